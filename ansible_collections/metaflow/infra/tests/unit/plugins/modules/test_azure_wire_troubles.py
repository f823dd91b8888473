# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client does about a wire that fails, seen through a module."""

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_resource
from ansible_collections.metaflow.infra.tests.unit.azure_wire import ARM, SUBSCRIPTION, Call, error

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
LIVE = {"id": GROUP, "location": "westus2", "properties": {"provisioningState": "Succeeded"}}
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/st"
POLL = f"{SUBSCRIPTION}/providers/Microsoft.Storage/locations/westus2/asyncoperations/1"
ASK = [{"id": GROUP, "body": {"location": "westus2"}}]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_that_stumbles_is_asked_again(azure, run_module, status):
    azure.expect(Call("GET", GROUP, status), Call("GET", GROUP, status), Call("GET", GROUP, 200, LIVE))
    assert not run_module(azure_resource, resources=ASK)["changed"]


def test_but_not_for_ever(azure, clock, run_module):
    azure.expect(*[Call("GET", GROUP, 500, error("InternalServerError", "An unexpected error.")) for dummy in range(5)])
    result = run_module(azure_resource, resources=ASK)
    assert result["failure"]["code"] == "InternalServerError"
    assert clock.now < 60


def test_throttling_is_waited_for_however_often_it_comes(azure, clock, run_module):
    azure.expect(*[Call("GET", GROUP, 429, error("TooManyRequests"), {"Retry-After": "17"}) for dummy in range(12)], Call("GET", GROUP, 200, LIVE))
    assert not run_module(azure_resource, resources=ASK)["changed"]
    assert clock.sleeps == [17] * 12


def test_a_write_whose_answer_was_lost_is_made_again(azure, run_module):
    azure.expect(
        Call("GET", GROUP, drop=True),
        Call("GET", GROUP, 404),
        Call("PUT", GROUP, drop=True),
        Call("PUT", GROUP, 200, LIVE),
    )
    assert run_module(azure_resource, resources=ASK)["changed"]


def test_no_network_is_one_sentence_within_seconds(azure, clock, run_module):
    azure.expect(*[Call("GET", GROUP, drop=True) for dummy in range(4)])
    result = run_module(azure_resource, resources=ASK)
    assert result["failure"]["code"] == "NoConnection"
    assert f"{ARM} can't be reached: Connection reset by peer" in result["msg"]
    assert clock.now < 15


def test_an_operation_outlasts_a_network_that_is_gone_for_a_while(azure, clock, run_module):
    """A storage account's operation has a Location only, and its answers are empty text until the account comes."""
    azure.expect(
        Call("GET", STORAGE, 404),
        Call("PUT", STORAGE, 202, None, {"Location": f"{ARM}{POLL}?monitor=true&api-version=1", "Content-Type": "text/plain", "Retry-After": "17"}),
        Call("GET", POLL, 202, None, {"Location": f"{ARM}{POLL}?monitor=true&api-version=2", "Retry-After": "17"}),
        *[Call("GET", POLL, drop=True) for dummy in range(6)],
        Call("GET", POLL, 200, {"id": STORAGE, "properties": {}}, query={"api-version": "2"}),
    )
    result = run_module(azure_resource, resources=[{"id": STORAGE, "body": {"location": "westus2"}}])
    assert result["resources"] == [{"id": STORAGE, "properties": {}}]


def test_an_operation_longer_than_the_timeout_ends_with_its_last_state(azure, clock, run_module):
    creating = {"status": "InProgress"}
    azure.expect(
        Call("GET", STORAGE, 404),
        Call("PUT", STORAGE, 201, {}, {"Azure-AsyncOperation": f"{ARM}{POLL}?api-version=1"}),
        *[Call("GET", POLL, 200, creating, {"Retry-After": "20"}) for dummy in range(5)],
    )
    result = run_module(azure_resource, timeout=90, resources=[{"id": STORAGE, "body": {"location": "westus2"}}])
    assert "storageAccounts st was not ready after 80 s (timeout); its last state was: InProgress" in result["msg"]


def test_nothing_is_said_of_the_token(azure, run_module):
    azure.expect(Call("GET", GROUP, 401, error("InvalidAuthenticationToken", "The token is not good.")))
    result = run_module(azure_resource, resources=ASK)
    assert "Log in again" in result["msg"]
    assert "Bearer" not in str(result)
