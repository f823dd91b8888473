# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_resource
from ansible_collections.metaflow.infra.tests.unit.azure_wire import ARM, SUBSCRIPTION, Call, error, together

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
NET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/st"
GROUP_LIVE = {"id": GROUP, "name": "rg", "location": "westus2", "properties": {"provisioningState": "Succeeded"}, "tags": {"theirs": "1"}}
OPERATION = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/westus2/operations/1"
POLL = {"Azure-AsyncOperation": f"{ARM}{OPERATION}?api-version=2025-01-01", "Retry-After": "3"}


def network(**more):
    properties = {"provisioningState": "Succeeded", "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [], **more}
    return {"id": NET, "name": "net", "type": "Microsoft.Network/virtualNetworks", "etag": "e", "location": "westus2", "properties": properties}


def subnet(name, prefix, **more):
    return {
        "id": f"{NET}/subnets/{name}",
        "name": name,
        "etag": "e",
        "properties": {"addressPrefix": prefix, "provisioningState": "Succeeded", **more},
    }


ASK_GROUP = {"id": "/resourceGroups/rg", "body": {"location": "westus2"}}
ASK_NET = {"id": NET, "body": {"location": "westus2", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}}


def test_makes_a_group_and_then_what_is_in_it(azure, clock, run_module):
    azure.expect(
        together(Call("GET", GROUP, 404, error("ResourceGroupNotFound")), Call("GET", NET, 404, error("ResourceGroupNotFound"))),
        Call("PUT", GROUP, 201, GROUP_LIVE, body={"location": "westus2", "tags": {"a": "1"}}, query={"api-version": "2024-11-01"}),
        Call("PUT", NET, 201, network(provisioningState="Updating"), POLL, body={**ASK_NET["body"], "tags": {"a": "1"}}),
        Call("GET", OPERATION, 200, {"status": "InProgress"}, {"Retry-After": "7"}),
        Call("GET", OPERATION, 200, {"status": "Succeeded"}),
        Call("GET", NET, 200, network()),
    )
    result = run_module(azure_resource, resources=[ASK_NET, ASK_GROUP], tags={"a": 1})
    assert result["changed"]
    assert result["resources"] == [network(), GROUP_LIVE]
    assert result["diff"]["before"] == {}
    assert result["diff"]["after"]["resourceGroups rg"] == {"location": "westus2", "tags": {"a": "1"}}
    assert clock.sleeps == [7]
    assert azure.logins == 1


def test_check_mode_on_an_empty_subscription_writes_nothing(azure, run_module):
    azure.expect(
        together(Call("GET", GROUP, 404, error("ResourceGroupNotFound")), Call("GET", NET, 409, error("MissingSubscriptionRegistration"))),
    )
    result = run_module(azure_resource, _check=True, resources=[ASK_GROUP, ASK_NET])
    assert result["changed"]
    assert result["resources"][1]["id"] == NET
    assert result["resources"][1]["name"] == "net"
    assert set(result["diff"]["after"]) == {"resourceGroups rg", "virtualNetworks net"}


def test_an_unchanged_resource_costs_one_read(azure, run_module):
    spelled = {**GROUP_LIVE, "location": "West US 2"}
    azure.expect(together(Call("GET", GROUP, 200, spelled), Call("GET", NET, 200, network())))
    result = run_module(azure_resource, resources=[ASK_GROUP, ASK_NET])
    assert not result["changed"]
    assert result["resources"] == [spelled, network()]
    assert result["diff"] == {"before": {}, "after": {}}


def test_an_update_keeps_what_is_not_declared_and_sends_nothing_read_only(azure, run_module):
    theirs = subnet(
        "theirs", "10.0.9.0/24", ipConfigurations=[{"id": "/x"}], delegations=[{"name": "0", "properties": {"serviceName": "S", "actions": ["a"]}}]
    )
    ask = {"id": NET, "body": {"location": "westus2", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16", "10.1.0.0/16"]}}}}
    sent = {
        "location": "westus2",
        "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16", "10.1.0.0/16"]},
            "subnets": [
                {
                    "id": f"{NET}/subnets/theirs",
                    "name": "theirs",
                    "properties": {"addressPrefix": "10.0.9.0/24", "delegations": [{"name": "0", "properties": {"serviceName": "S"}}]},
                }
            ],
        },
    }
    azure.expect(Call("GET", NET, 200, network(subnets=[theirs])), Call("PUT", NET, 200, network(), body=sent))
    result = run_module(azure_resource, resources=[ask])
    assert result["changed"]
    assert result["diff"]["before"]["virtualNetworks net"]["properties"] == {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}


def test_tags_are_added_with_patch(azure, run_module):
    azure.expect(Call("GET", GROUP, 200, GROUP_LIVE), Call("PATCH", GROUP, 200, GROUP_LIVE, body={"tags": {"theirs": "1", "mine": "x"}}))
    assert run_module(azure_resource, resources=[ASK_GROUP], tags={"mine": "x"})["changed"]


def test_patch_names_only_what_differs(azure, run_module):
    live = {
        "id": STORAGE,
        "location": "westus2",
        "sku": {"name": "Standard_LRS"},
        "properties": {"allowBlobPublicAccess": True, "minimumTlsVersion": "TLS1_2"},
    }
    body = {"location": "westus2", "sku": {"name": "Standard_LRS"}, "properties": {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"}}
    azure.expect(Call("GET", STORAGE, 200, live), Call("PATCH", STORAGE, 200, live, body={"properties": {"allowBlobPublicAccess": False}}))
    assert run_module(azure_resource, resources=[{"id": STORAGE, "body": body}])["changed"]


def test_an_immutable_property_is_refused_by_name_before_anything_is_written(azure, run_module):
    azure.expect(together(Call("GET", GROUP, 200, GROUP_LIVE), Call("GET", NET, 404)))
    result = run_module(azure_resource, resources=[{"id": GROUP, "body": {"location": "eastus"}}, ASK_NET])
    assert result["failed"]
    assert "location is 'westus2' and was to be 'eastus'" in result["msg"]
    assert not result["changed"]


def test_subnets_of_one_network_are_written_one_after_the_other(azure, run_module):
    asked = [{"id": f"{NET}/subnets/{n}", "body": {"properties": {"addressPrefix": f"10.0.{n}.0/24"}}} for n in ("1", "2")]
    writes = [
        [Call("PUT", f"{NET}/subnets/{n}", 201, subnet(n, ""), {**POLL, "Azure-AsyncOperation": f"{ARM}{OPERATION}{n}?api-version=1"}),
         Call("GET", f"{OPERATION}{n}", 200, {"status": "Succeeded"}), Call("GET", f"{NET}/subnets/{n}", 200, subnet(n, ""))]
        for n in ("1", "2")
    ]  # fmt: skip
    azure.expect(together(*[Call("GET", f"{NET}/subnets/{n}", 404) for n in ("1", "2")]), *writes[0], *writes[1])
    assert run_module(azure_resource, resources=asked)["changed"]


def test_one_range_may_be_spelled_as_a_list_and_a_delegation_has_any_name(azure, run_module):
    path = f"{NET}/subnets/db"
    live = subnet(
        "db",
        None,
        addressPrefixes=["10.0.1.0/24"],
        delegations=[{"name": "fs", "properties": {"serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}],
    )
    del live["properties"]["addressPrefix"]
    delegation = {"name": "0", "properties": {"serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}
    azure.expect(Call("GET", path, 200, live))
    body = {"properties": {"addressPrefix": "10.0.1.0/24", "delegations": [delegation]}}
    assert not run_module(azure_resource, resources=[{"id": path, "body": body}])["changed"]


def test_a_resource_that_azure_gave_up_on_is_written_again(azure, run_module):
    azure.expect(Call("GET", NET, 200, network(provisioningState="Failed")), Call("PUT", NET, 200, network()))
    assert run_module(azure_resource, resources=[ASK_NET])["changed"]


def test_one_that_a_killed_run_left_in_the_making_is_awaited(azure, clock, run_module):
    busy, ready = Call("GET", NET, 200, network(provisioningState="Updating")), Call("GET", NET, 200, network())
    azure.expect(busy, Call("GET", NET, 200, network(provisioningState="Updating")), ready)
    assert not run_module(azure_resource, resources=[ASK_NET])["changed"]
    assert len(clock.sleeps) == 1


def test_another_operation_in_progress_is_waited_for(azure, clock, run_module):
    azure.expect(
        Call("GET", NET, 404),
        Call("PUT", NET, 409, error("AnotherOperationInProgress")),
        Call("PUT", NET, 429, error("RetryableError"), {"Retry-After": "11"}),
        Call("PUT", NET, 200, network()),
    )
    assert run_module(azure_resource, resources=[ASK_NET])["changed"]
    assert clock.sleeps == [2, 11]


def test_throttling_longer_than_the_time_left_ends_with_a_sentence(azure, run_module):
    azure.expect(Call("GET", NET, 429, error("TooManyRequests"), {"Retry-After": "700"}))
    result = run_module(azure_resource, resources=[ASK_NET], timeout=600)
    assert result["failed"]
    assert "answered 429" in result["msg"]


def test_an_operation_that_fails_gives_azures_code_message_and_request_id(azure, run_module):
    azure.expect(
        Call("GET", NET, 404),
        Call("PUT", NET, 201, network(provisioningState="Updating"), POLL),
        Call("GET", OPERATION, 200, {"status": "Failed", "error": {"code": "NetcfgSubnetRangesOverlap", "message": "They overlap."}}),
    )
    result = run_module(azure_resource, resources=[ASK_NET])
    assert result["failure"] == {"status": 200, "code": "NetcfgSubnetRangesOverlap", "message": "They overlap.", "request_id": "req-1"}
    assert "virtualNetworks net: They overlap." in result["msg"]
    assert "Choose an address range" in result["msg"]


def test_what_fails_stops_only_what_depends_on_it(azure, run_module):
    storage = {"id": STORAGE, "body": {"location": "westus2"}}
    child = {"id": f"{NET}/subnets/a", "body": {"properties": {"addressPrefix": "10.0.1.0/24"}}}
    azure.expect(
        together(Call("GET", NET, 404), Call("GET", f"{NET}/subnets/a", 404), Call("GET", STORAGE, 404)),
        together(Call("PUT", NET, 400, error("InvalidCidr", "Bad range.")), Call("PUT", STORAGE, 200, {"id": STORAGE})),
    )
    result = run_module(azure_resource, resources=[child, ASK_NET, storage])
    assert "Bad range." in result["msg"]
    assert "NOT TRIED" in result["msg"]


def test_absent_goes_backwards_and_until_a_read_says_gone(azure, run_module):
    path = f"{NET}/subnets/a"
    azure.expect(
        together(Call("GET", NET, 200, network()), Call("GET", path, 200, subnet("a", "10.0.1.0/24"))),
        Call("DELETE", path, 400, error("InUseSubnetCannotBeDeleted", "in use by /serviceAssociationLinks/a-service-association-link")),
        Call("DELETE", path, 202, None, POLL),
        Call("GET", OPERATION, 200, {"status": "Succeeded"}),
        Call("GET", path, 200, subnet("a", "10.0.1.0/24")),
        Call("GET", path, 404),
        Call("DELETE", NET, 204),
        Call("GET", NET, 404),
    )
    result = run_module(azure_resource, state="absent", resources=[{"id": NET}, {"id": path}])
    assert result["changed"]
    assert result["resources"] == [None, None]
    assert set(result["diff"]["before"]) == {"virtualNetworks net", "virtualNetworks/subnets net/a"}


def test_absent_where_nothing_is(azure, run_module):
    azure.expect(Call("GET", NET, 404))
    result = run_module(azure_resource, state="absent", resources=[{"id": NET}])
    assert not result["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_group_that_holds_something_else_is_left_alone(azure, run_module, check):
    foreign = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
    azure.expect(
        together(Call("GET", GROUP, 200, GROUP_LIVE), Call("GET", NET, 200, network())),
        Call("GET", f"{GROUP}/resources", 200, {"value": [{"id": NET}, {"id": foreign}]}),
    )
    result = run_module(azure_resource, _check=check, state="absent", resources=[{"id": GROUP}, {"id": NET}])
    assert "virtualMachines vm" in result["msg"]
    assert result["failed"]


def test_force_takes_the_group_with_all_in_it(azure, run_module):
    azure.expect(Call("GET", GROUP, 200, GROUP_LIVE), Call("DELETE", GROUP, 200), Call("GET", GROUP, 404))
    assert run_module(azure_resource, state="absent", force=True, resources=[{"id": GROUP}])["changed"]


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ([{"id": "vnet"}], "is not a resource id"),
        ([{"id": NET}, {"id": NET.upper().replace("/SUBSCRIPTIONS", "/subscriptions")}], "declared twice"),
        ([{"id": f"{GROUP}/providers/Some.Thing/others/x"}], "set api_version"),
    ],
)
def test_bad_input_is_refused_before_any_call(azure, run_module, resources, sentence):
    assert sentence in run_module(azure_resource, resources=resources)["msg"]


def test_no_secret_is_in_result_or_diff(azure, run_module):
    kind = f"{GROUP}/providers/Some.Thing/others/x"
    body = {"location": "westus2", "properties": {"adminPassword": "hunter2"}}
    azure.expect(Call("GET", kind, 404), Call("PUT", kind, 201, {"id": kind}, body=body))
    result = run_module(azure_resource, resources=[{"id": kind, "api_version": "2025-01-01", "body": body}])
    assert result["diff"]["after"]["others x"]["properties"]["adminPassword"] == "********"
    assert "hunter2" not in str({k: v for k, v in result.items() if k != "invocation"})


def test_a_database_server_that_is_ready_is_not_awaited(azure, clock, run_module):
    path = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/psql"
    azure.expect(
        Call("GET", path, 200, {"id": path, "location": "westus", "properties": {"state": "Ready"}}),
        Call("DELETE", path, 204),
        Call("GET", path, 404, error("ResourceNotFound")),
    )
    assert run_module(azure_resource, state="absent", resources=[{"id": path}])["changed"]
