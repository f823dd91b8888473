# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._errors import ApiError, Failures, InputError, Timeout
from ansible_collections.metaflow.infra.plugins.module_utils._graph import all_of, in_order
from ansible_collections.metaflow.infra.plugins.module_utils._wait import Deadline, intervals, wait_for
from ansible_collections.metaflow.infra.tests.unit.azure_wire import Clock


def test_waits_until_it_is_so_and_tells_meanwhile():
    clock, told = Clock(), []
    seen = iter(["Creating", "Creating", "Succeeded"])
    last = wait_for(
        lambda: next(seen),
        lambda s: s == "Succeeded",
        what="a server",
        deadline=Deadline(100, clock),
        report=lambda what, state: told.append((what, state)),
    )
    assert last == "Succeeded"
    assert told == [("a server", "Creating")] * 2
    assert clock.sleeps == [1.0, 1.5]


def test_a_timeout_says_what_was_seen_last():
    clock = Clock()
    with pytest.raises(Timeout, match=r"a server was not ready after .* last state was: Creating") as caught:
        wait_for(lambda: "Creating", lambda s: False, what="a server", deadline=Deadline(30, clock))
    assert caught.value.state == "Creating"
    assert clock.now <= 30


def test_pauses_grow_to_their_limit():
    pauses = intervals(1, 5, 2)
    assert [next(pauses) for dummy in range(5)] == [1, 2, 4, 5, 5]


def test_a_deadline_inside_another_never_ends_later():
    clock = Clock()
    outer = Deadline(10, clock)
    clock.sleep(8)
    assert outer.within(60).left == 2


def test_order_follows_needs():
    done: list[str] = []
    in_order({"c": ["b"], "b": ["a"], "a": ["unknown"]}, done.append)
    assert done == ["a", "b", "c"]


def test_what_stands_against_nothing_runs_side_by_side():
    barrier = threading.Barrier(3, timeout=10)
    assert set(all_of("abc", lambda key: barrier.wait() >= 0)) == {"a", "b", "c"}


def test_same_lock_one_at_a_time():
    inside, most, guard = 0, 0, threading.Lock()

    def work(key):
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.01)
        with guard:
            inside -= 1

    in_order(dict.fromkeys("abcd", ()), work, locks=dict.fromkeys("abcd", "net"))
    assert most == 1


def refuse(code):
    raise ApiError(400, code, f"{code} is bad", during=f"write {code}")


def test_all_errors_are_collected_and_the_first_leads():
    done = []

    def work(key):
        done.append(key)
        if key in "ac":
            refuse(key)

    with pytest.raises(Failures) as caught:
        in_order({"a": (), "b": (), "c": (), "d": ["a"], "e": ["d"]}, work)
    text = str(caught.value)
    assert text.startswith("write a: a is bad")
    assert "ALSO FAILED: write c" in text
    assert "NOT TRIED, as they depend on these: d, e" in text
    assert sorted(done) == ["a", "b", "c"]
    assert caught.value.failure["others"][0]["code"] == "c"


def test_what_failed_alike_is_told_once():
    with pytest.raises(Failures) as caught:
        all_of("ab", lambda key: (dummy for dummy in ()).throw(ApiError(401, "X", "Log in.", during=f"read {key}")))
    assert str(caught.value).count("Log in.") == 1
    assert "THE SAME HAPPENED to read b" in str(caught.value)


def test_a_circle_is_refused_before_anything_is_done():
    with pytest.raises(InputError, match=r"circle: a, b"):
        in_order({"a": ["b"], "b": ["a"], "c": ()}, lambda key: pytest.fail("nothing may run"))
