# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._compare import Rules
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError
from ansible_collections.metaflow.infra.plugins.module_utils._plan import diff, plan, plan_absent

RULES = Rules(read_only=("id",), immutable=("location", "properties.network"), write_only=("properties.password",))


def test_create():
    change = plan("x", {"location": "l", "properties": {"password": "p", "gone": None}}, None, RULES)
    assert change.action == "create"
    assert change.body == {"location": "l", "properties": {"password": "p"}}
    assert diff([change]) == {"before": {}, "after": {"x": {"location": "l", "properties": {"password": "********"}}}}


def test_nothing():
    live = {"id": 1, "location": "L", "properties": {"a": 1}}
    change = plan("x", {"location": "l", "properties": {"password": "p", "a": 1}}, live, RULES)
    assert not change
    assert change.after == live
    assert diff([change]) == {"before": {}, "after": {}}


def test_update():
    live = {"id": 1, "properties": {"a": 1, "b": 2, "rules": [{"name": "x", "p": 1}, {"name": "y"}]}, "tags": {"t": "1"}}
    change = plan("x", {"properties": {"a": 3, "rules": [{"name": "x", "p": 2}]}, "tags": {"u": "2"}}, live, RULES)
    assert change.action == "update"
    assert change.body == {"properties": {"a": 3, "b": 2, "rules": [{"name": "x", "p": 2}, {"name": "y"}]}, "tags": {"t": "1", "u": "2"}}
    assert change.patch == {"properties": {"a": 3, "rules": [{"name": "x", "p": 2}, {"name": "y"}]}, "tags": {"t": "1", "u": "2"}}
    assert diff([change])["before"]["x"] == {"properties": {"a": 1, "rules": [{"name": "x", "p": 1}]}, "tags": {}}


def test_unsetting_is_sent_as_null_by_patch_and_left_out_by_put():
    change = plan("x", {"properties": {"a": None}}, {"properties": {"a": 1, "b": 2}}, RULES)
    assert change.patch == {"properties": {"a": None}}
    assert change.body == {"properties": {"b": 2}}


def test_immutable_is_refused_with_every_name():
    live = {"location": "a", "properties": {"network": {"zone": "z"}}}
    with pytest.raises(InputError, match=r"x exists.*location is 'a'.*properties\.network\.zone is 'z' and was to be 'y'.*left alone"):
        plan("x", {"location": "b", "properties": {"network": {"zone": "y"}}}, live, RULES)


def test_absent():
    assert not plan_absent("x", None)
    change = plan_absent("x", {"id": 1, "location": "l", "properties": {"a": 1}})
    assert change.action == "delete"
    assert diff([change]) == {"before": {"x": {"location": "l"}}, "after": {}}


def test_immutable_below_what_is_absent_altogether_is_refused_too():
    rules = Rules(immutable=("properties.access.private",))
    with pytest.raises(InputError, match=r"properties\.access\.private"):
        plan("c", {"properties": {"access": {"private": True}}}, {"properties": {}}, rules)
