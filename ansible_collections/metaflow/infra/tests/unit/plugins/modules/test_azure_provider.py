# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.metaflow.infra.plugins.modules import azure_provider
from ansible_collections.metaflow.infra.tests.unit.azure_wire import SUBSCRIPTION, Call, error, together

A, B = (f"{SUBSCRIPTION}/providers/{name}" for name in ("Microsoft.A", "Microsoft.B"))


def state(name):
    return {"namespace": "x", "registrationState": name}


def test_registers_what_is_missing_and_waits(azure, clock, run_module):
    azure.expect(
        together(Call("GET", A, 200, state("Registered")), Call("GET", B, 200, state("NotRegistered"))),
        Call("POST", f"{B}/register", 200, state("Registering")),
        Call("GET", B, 200, state("Registering")),
        Call("GET", B, 200, state("Registered")),
    )
    result = run_module(azure_provider, namespaces=["Microsoft.A", "Microsoft.B"])
    assert result["changed"]
    assert result["providers"] == {"Microsoft.A": "Registered", "Microsoft.B": "Registered"}
    assert result["diff"] == {
        "before": {"Microsoft.B": {"registrationState": "NotRegistered"}},
        "after": {"Microsoft.B": {"registrationState": "Registered"}},
    }


def test_nothing_to_do(azure, run_module):
    azure.expect(Call("GET", A, 200, state("Registered")))
    assert not run_module(azure_provider, namespaces=["Microsoft.A"])["changed"]


def test_check_mode(azure, run_module):
    azure.expect(Call("GET", A, 200, state("NotRegistered")))
    result = run_module(azure_provider, _check=True, namespaces=["Microsoft.A"])
    assert result["changed"]
    assert result["providers"] == {"Microsoft.A": "Registered"}


def test_no_right_to_register_says_whom_to_ask(azure, run_module):
    azure.expect(
        Call("GET", A, 200, state("NotRegistered")), Call("POST", f"{A}/register", 403, error("AuthorizationFailed", "The client has no right."))
    )
    result = run_module(azure_provider, namespaces=["Microsoft.A"])
    assert result["failure"]["code"] == "AuthorizationFailed"
    assert "Ask an owner of the subscription" in result["msg"]


def test_one_that_azure_does_not_have_is_refused_in_check_mode_too(azure, run_module):
    azure.expect(Call("GET", A, 404, error("InvalidResourceNamespace")))
    result = run_module(azure_provider, _check=True, namespaces=["Microsoft.A"])
    assert result["msg"] == "Azure has no resource provider 'Microsoft.A'."
