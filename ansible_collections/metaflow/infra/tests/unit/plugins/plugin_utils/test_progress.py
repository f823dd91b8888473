# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import stat
from unittest import mock

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._progress import PROGRESS, Progress, minutes
from ansible_collections.metaflow.infra.plugins.module_utils._wait import Deadline
from ansible_collections.metaflow.infra.plugins.plugin_utils import _progress as progress
from ansible_collections.metaflow.infra.tests.unit.azure_wire import Clock


@pytest.fixture
def shown(monkeypatch):
    lines = []
    monkeypatch.setattr(progress.display, "display", lambda text, **kwargs: lines.append(text.strip()))
    return lines


def action(monkeypatch, tmp_path, module, transport="local"):
    """The action with a module that is a function of its environment."""
    monkeypatch.setattr(progress, "LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(progress.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    made = progress.ActionModule.__new__(progress.ActionModule)
    made._task = mock.Mock(async_val=0, environment=[{"THEIRS": "1"}])
    made._connection = mock.Mock(transport=transport)
    made._execute_module = lambda **kwargs: module({k: v for e in made._task.environment for k, v in e.items()})
    return made


def test_lines_are_shown_while_the_module_runs(monkeypatch, tmp_path, shown):
    def module(environment):
        fifo = pathlib.Path(environment[PROGRESS])
        assert stat.S_IMODE(fifo.parent.stat().st_mode) == 0o700
        assert environment["THEIRS"] == "1"
        tell = Progress.from_environment(Deadline(60, Clock()), environment)
        tell("a server", "Creating\n(still)")
        tell("a cluster", "Updating")
        return {"changed": True}

    made = action(monkeypatch, tmp_path, module)
    assert made.run() == {"changed": True}
    assert shown == ["a server: Creating (still) (0s)", "a cluster: Updating (0s)"]
    assert made._task.environment == [{"THEIRS": "1"}]
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_where_the_module_fails(monkeypatch, tmp_path, shown):
    def module(environment):
        raise RuntimeError("no")

    made = action(monkeypatch, tmp_path, module)
    with pytest.raises(RuntimeError):
        made.run()
    assert list(tmp_path.iterdir()) == []
    assert made._task.environment == [{"THEIRS": "1"}]


def test_a_module_on_another_machine_is_run_as_it_is(monkeypatch, tmp_path, shown):
    made = action(monkeypatch, tmp_path, lambda environment: {"found": PROGRESS in environment}, transport="ssh")
    assert made.run() == {"found": False}


@pytest.mark.parametrize("path", [None, "/nonexistent/fifo"])
def test_without_a_listener_nothing_happens(path):
    Progress(Deadline(60, Clock()), path)("a server", "Creating")


def test_an_unchanged_state_is_told_again_only_after_a_while(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR)
    clock = Clock()
    tell = Progress(Deadline(600, clock), str(fifo))
    for seconds in range(0, 70, 5):
        clock.now = seconds
        tell("a server", "Creating" if seconds < 60 else "Ready")
    text = os.read(end, 65536).decode()
    os.close(end)
    states = ["Creating (0s)", "Creating (20s)", "Creating (40s)", "Ready (1m00s)"]
    assert text.splitlines() == [f"a server: {state}" for state in states]


def test_a_full_pipe_loses_lines_and_no_time(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR)
    tell = Progress(Deadline(600, Clock()), str(fifo))
    for number in range(2000):
        tell(f"thing {number} {'x' * 100}", "Creating")
    assert os.read(end, 65536)
    os.close(end)


def test_times():
    assert [minutes(s) for s in (0.4, 59.9, 60, 3671)] == ["0s", "59s", "1m00s", "61m11s"]
