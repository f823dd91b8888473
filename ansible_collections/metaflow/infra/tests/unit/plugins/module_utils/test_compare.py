# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._compare import PLAIN, Rules, differences, masked, merged, projected, stripped


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"location": "westus2"}, {"location": "West US 2"}),
        ({"id": "/subscriptions/S/resourceGroups/RG/"}, {"id": "/subscriptions/s/resourcegroups/rg"}),
        ({"a": None}, {}),
        ({"a": None}, {"a": []}),
        ({"a": {"b": None}}, {}),
        ({"rules": [{"name": "x", "p": 1}]}, {"rules": [{"name": "y"}, {"name": "x", "p": 1, "etag": "e"}]}),
        ({"serviceEndpoints": [{"service": "Microsoft.Storage"}]}, {"serviceEndpoints": [{"service": "Microsoft.Storage", "locations": ["*"]}]}),
        ({"prefixes": ["b", "a"]}, {"prefixes": ["a", "b"]}),
        ({"n": 32}, {"n": 32.0}),
        ({}, {"a": 1}),
        ({"pairs": [{"x": 1}, {"x": 2}]}, {"pairs": [{"x": 1, "y": 0}, {"x": 2, "y": 0}]}),
    ],
)
def test_fits(wanted, live):
    assert differences(wanted, live, PLAIN) == []


@pytest.mark.parametrize(
    ("wanted", "live", "path"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b"),
        ({"a": 1}, {}, "a"),
        ({"a": {"b": 1}}, {}, "a.b"),
        ({"a": None}, {"a": 1}, "a"),
        ({"a": False}, {"a": None}, "a"),
        ({"rules": [{"name": "x", "p": 1}]}, {"rules": [{"name": "x", "p": 2}]}, "rules[].p"),
        ({"rules": [{"name": "x", "fixed": 1}]}, {"rules": []}, "rules[]"),
        ({"prefixes": ["a"]}, {"prefixes": ["a", "b"]}, "prefixes"),
        ({"dhcpOptions": {"dnsServers": ["1", "2"]}}, {"dhcpOptions": {"dnsServers": ["2", "1"]}}, "dhcpOptions.dnsServers"),
        ({"name": "A"}, {"name": "a"}, "name"),
        ({"pairs": [{"x": 1}]}, {"pairs": [{"x": 1}, {"x": 2}]}, "pairs"),
    ],
)
def test_differs(wanted, live, path):
    assert [d.path for d in differences(wanted, live, PLAIN)] == [path]


def test_rules_say_what_is_not_compared():
    rules = Rules(
        write_only=("password",), create_only=("zone",), ignore_case=("size",), equal={"version": lambda wanted, live: live.startswith(wanted)}
    )
    wanted = {"password": "new", "zone": "1", "size": "standard_d2", "version": "1.36"}
    assert differences(wanted, {"zone": "2", "size": "Standard_D2", "version": "1.36.2"}, rules) == []
    assert [d.path for d in differences(wanted, {"size": "Standard_D4", "version": "1.35.2"}, rules)] == ["size", "version"]


def test_merged_keeps_the_rest_and_lives_own_spelling():
    live = {"location": "West US 2", "tags": {"a": "1"}, "rules": [{"name": "x", "p": 1, "q": 1}, {"name": "y"}], "gone": 1}
    wanted = {"location": "westus2", "tags": {"b": "2"}, "rules": [{"name": "x", "p": 2}, {"name": "z"}], "gone": None}
    assert merged(wanted, live, PLAIN) == {
        "location": "West US 2",
        "tags": {"a": "1", "b": "2"},
        "rules": [{"name": "x", "p": 2, "q": 1}, {"name": "y"}, {"name": "z"}],
    }


def test_merged_fits_what_was_wanted():
    wanted = {"a": {"b": [{"name": "n", "c": None, "d": 1}]}, "e": ["x"], "f": None}
    live = {"a": {"b": [{"name": "n", "c": 5}]}, "e": ["y", "z"], "f": {"g": 1}}
    assert differences(wanted, merged(wanted, live, PLAIN), PLAIN) == []


def test_merged_leaves_what_is_only_said_at_creation():
    rules = Rules(create_only=("zone",))
    assert merged({"zone": "1", "a": 1}, {"zone": "2"}, rules) == {"zone": "2", "a": 1}
    assert merged({"zone": "1"}, None, rules) == {"zone": "1"}


def test_stripped_takes_out_what_only_the_service_sets():
    rules = Rules(read_only=("id", "*.etag", "properties.subnets[].properties.ipConfigurations"))
    value = {"id": 1, "etag": 1, "properties": {"subnets": [{"id": 2, "etag": 3, "properties": {"ipConfigurations": [], "prefix": "p"}}]}}
    assert stripped(value, rules) == {"properties": {"subnets": [{"id": 2, "properties": {"prefix": "p"}}]}}


def test_projected_shows_only_what_was_asked_about():
    assert projected({"a": {"b": 1}, "l": [{"name": "x"}]}, {"a": {"b": 2, "c": 3}, "l": [{"name": "x"}, {"name": "y"}], "z": 1}) == {
        "a": {"b": 2},
        "l": [{"name": "x"}],
    }


def test_masked_hides_secrets_by_rule_and_by_name():
    value = {"administratorLoginPassword": "p", "clientSecret": "s", "key": "k", "secret_name": "n", "nested": [{"password": "q"}]}
    assert masked(value, Rules(write_only=("key",))) == {
        "administratorLoginPassword": "********",
        "clientSecret": "********",
        "key": "********",
        "secret_name": "n",
        "nested": [{"password": "********"}],
    }
