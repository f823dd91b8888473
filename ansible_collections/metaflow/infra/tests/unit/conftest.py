# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of module tests; what they script is in azure_wire."""

from __future__ import annotations

import json
import os
import typing as t

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils import _azure_http
from ansible_collections.metaflow.infra.plugins.module_utils._run import Run
from ansible_collections.metaflow.infra.tests.unit.azure_wire import CALLER, SUBSCRIPTION, TENANT, Clock, Exchange


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(Run, "clock", made)
    return made


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> t.Iterator[Exchange]:
    """Azure as the test scripts it, with credentials in the environment."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "ARM_", "IDENTITY_", "MSI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in {"TENANT_ID": TENANT, "CLIENT_ID": CALLER, "CLIENT_SECRET": "a-secret", "SUBSCRIPTION_ID": SUBSCRIPTION[15:]}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    exchange = Exchange()
    monkeypatch.setattr(_azure_http, "adapter", lambda: exchange)
    yield exchange
    assert not exchange.faults, "\n".join(exchange.faults)
    assert not exchange.left(), f"never called: {exchange.left()}"


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    """Run a module's main() with these options; its result. Check mode and diff as `_check` and `_diff`."""
    from ansible.module_utils import _internal
    from ansible.module_utils.common import warnings
    from ansible.module_utils.testing import patch_module_args

    monkeypatch.setattr(_internal, "is_controller", False)  # tests of action plugins have imported the other side into this process
    warnings._global_warnings.clear()  # else a test sees those of the tests before it

    def run(module: t.Any, _check: bool = False, _diff: bool = True, **options: t.Any) -> dict[str, t.Any]:
        with patch_module_args({**options, "_ansible_check_mode": _check, "_ansible_diff": _diff}), pytest.raises(SystemExit):
            module.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out.strip().splitlines()[-1]))

    return run
