"""Subscriptions, clouds, providers, resource groups, lists, tags and locks, with Microsoft's SDK."""

from __future__ import annotations

import uuid

import pytest
from azure.mgmt.resource.resources import ResourceManagementClient
from azure_clients import Arm, refused
from conftest import Client

IDENTITY = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
NETWORKS = "providers/Microsoft.Network/virtualNetworks"
NETWORK = {"location": "westus2", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def client(arm: Arm) -> ResourceManagementClient:
    return arm.client(ResourceManagementClient)


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def name_of(identity: str) -> str:
    return identity.rsplit("/", 1)[1]


def test_the_clouds_are_described_without_a_token(emulator: Client):
    def ask(version: str):
        return emulator.request("GET", f"https://management.azure.com/metadata/endpoints?api-version={version}").json()

    assert isinstance(ask("2019-05-01"), list)
    cloud = ask("2022-09-01")
    assert cloud["resourceManager"] == "https://management.azure.com/"
    assert cloud["authentication"]["loginEndpoint"] == "https://login.microsoftonline.com"
    assert cloud["suffixes"]["storage"] == "core.windows.net"
    assert cloud["microsoftGraphResourceId"] == "https://graph.microsoft.com/"


def test_subscriptions_tenants_and_locations(arm: Arm, emulator: Client):
    found = arm.call("GET", "/subscriptions").json()["value"]
    assert [(each["subscriptionId"], each["tenantId"], each["state"]) for each in found] == [(arm.subscription, emulator.tenant_id, "Enabled")]
    assert arm.call("GET", arm.scope).json()["id"] == arm.scope
    assert arm.call("GET", "/tenants").json()["value"][0]["tenantId"] == emulator.tenant_id
    locations = {each["name"]: each for each in arm.call("GET", f"{arm.scope}/locations").json()["value"]}
    assert locations["westus2"]["displayName"] == "West US 2"
    assert "availabilityZoneMappings" not in locations["westus"]


def test_who_has_no_role_sees_no_subscription(emulator: Client):
    other = Arm(emulator, "data-scientist")
    assert other.call("GET", "/subscriptions").json()["value"] == []
    assert other.call("GET", other.scope).json()["error"]["code"] == "AuthorizationFailed"


def test_providers_are_listed_with_their_types(arm: Arm, client: ResourceManagementClient):
    providers = {provider.namespace: provider for provider in client.providers.list()}
    kinds = {kind.resource_type: kind for kind in providers["Microsoft.Network"].resource_types}
    assert {"virtualNetworks", "virtualNetworks/subnets", "privateDnsZones", "privateDnsZones/virtualNetworkLinks"} <= set(kinds)
    assert "West US 2" in kinds["virtualNetworks"].locations
    assert kinds["virtualNetworks"].api_versions
    assert providers["Microsoft.Resources"].registration_state == "Registered"
    assert client.providers.register("Microsoft.CostManagement").registration_state in ("Registering", "Registered")


def test_a_group_is_made_read_changed_and_deleted(client: ResourceManagementClient):
    name = f"rg-{uuid.uuid4().hex[:8]}"
    assert client.resource_groups.check_existence(name) is False
    made = client.resource_groups.create_or_update(name, {"location": "West US 2", "tags": {"a": "1"}})
    assert (made.location, made.properties.provisioning_state) == ("westus2", "Succeeded")
    assert client.resource_groups.check_existence(name) is True
    assert client.resource_groups.update(name, {"tags": {"b": "2"}}).tags == {"b": "2"}
    assert client.resource_groups.get(name).tags == {"b": "2"}
    assert name in [group.name for group in client.resource_groups.list(filter="tagName eq 'b' and tagValue eq '2'")]
    refused(lambda: client.resource_groups.create_or_update(name, {"location": "eastus"}), 409, "InvalidResourceGroupLocation")
    client.resource_groups.begin_delete(name).result()
    assert client.resource_groups.check_existence(name) is False
    refused(lambda: client.resource_groups.get(name), 404, "ResourceGroupNotFound")


def test_a_groups_place_and_name_are_checked(client: ResourceManagementClient):
    refused(lambda: client.resource_groups.create_or_update("fine", {"location": "moon"}), 400, "LocationNotAvailableForResourceGroup")
    refused(lambda: client.resource_groups.create_or_update("ends.", {"location": "westus2"}), 400, "InvalidResourceGroup")


def test_a_group_takes_everything_along_in_the_right_order(arm: Arm, group: str):
    network = arm.make(f"{group}/{NETWORKS}/v", {**NETWORK, "properties": {**NETWORK["properties"], "subnets": [_subnet("a", "10.0.1.0/24")]}})
    zone = f"{group}/providers/Microsoft.Network/privateDnsZones/all.example.com"
    arm.make(zone, {"location": "global"})
    arm.make(f"{zone}/virtualNetworkLinks/l", {"location": "global", "properties": {"virtualNetwork": {"id": network["id"]}}})
    identity = arm.make(f"{group}/{IDENTITY}/ident", {"location": "westus2"})
    answer = arm.call("DELETE", group)
    assert (answer.status_code, answer.content) == (202, b"")
    assert "/operationresults/" in answer.headers["Location"]
    assert arm.settle(answer).status_code == 200
    assert arm.call("GET", network["id"]).json()["error"]["code"] == "ResourceGroupNotFound"
    again = arm.group()
    assert arm.call("PUT", group, {"location": "westus2"}).status_code == 201
    for lost in (network["id"], zone, identity["id"]):
        assert arm.call("GET", lost).json()["error"]["code"] == "ResourceNotFound", again


def test_while_a_group_is_deleted_nothing_is_written_in_it(arm: Arm, group: str, emulator: Client):
    emulator.run("settings", "durations.resourceGroups=4")
    try:
        answer = arm.call("DELETE", group)
        assert arm.call("GET", group).json()["properties"]["provisioningState"] == "Deleting"
        refusal = arm.call("PUT", f"{group}/{IDENTITY}/late", {"location": "westus2"})
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (409, "ResourceGroupBeingDeleted")
        assert arm.call("DELETE", group).status_code == 202
        arm.settle(answer)
    finally:
        emulator.run("settings", "durations.resourceGroups=")
    assert arm.call("HEAD", group).status_code == 404


def test_a_group_stays_where_something_outside_needs_a_part_of_it(arm: Arm, group: str, emulator: Client):
    other = arm.group()
    network = arm.make(f"{group}/{NETWORKS}/v", NETWORK)
    zone = f"{other}/providers/Microsoft.Network/privateDnsZones/outside.example.com"
    arm.make(zone, {"location": "global"})
    arm.make(f"{zone}/virtualNetworkLinks/l", {"location": "global", "properties": {"virtualNetwork": {"id": network["id"]}}})
    emulator.run("settings", "limits.groupDeletionTries=1")
    try:
        ended = arm.settle(arm.call("DELETE", group))
    finally:
        emulator.run("settings", "limits.groupDeletionTries=")
    assert (ended.status_code, ended.json()["error"]["code"]) == (409, "ResourceGroupDeletionBlocked")
    assert "Microsoft.Network/virtualNetworks/v" in ended.json()["error"]["message"]
    assert arm.call("GET", group).json()["properties"]["provisioningState"] == "Succeeded"


def _subnet(name: str, prefix: str) -> dict:
    return {"name": name, "properties": {"addressPrefix": prefix}}


def test_resources_are_listed_and_filtered(arm: Arm, client: ResourceManagementClient, group: str):
    arm.make(f"{group}/{IDENTITY}/one", {"location": "westus2", "tags": {"stack": "a"}})
    arm.make(f"{group}/{NETWORKS}/two", {**NETWORK, "properties": {**NETWORK["properties"], "subnets": [_subnet("s", "10.0.1.0/24")]}})
    name = name_of(group)
    assert {each.name for each in client.resources.list_by_resource_group(name)} == {"one", "two"}
    only = client.resources.list_by_resource_group(name, filter="resourceType eq 'Microsoft.Network/virtualNetworks'", expand="provisioningState")
    assert [(each.name, each.provisioning_state) for each in only] == [("two", "Succeeded")]
    assert [each.name for each in client.resources.list(filter="tagName eq 'stack' and tagValue eq 'a'") if each.id.startswith(group)] == ["one"]
    assert len(list(client.resources.list_by_resource_group(name, top=1))) == 1


def test_generic_reads_and_writes_by_id(client: ResourceManagementClient, group: str):
    identity = f"{group}/{NETWORKS}/generic"
    client.resources.begin_create_or_update_by_id(identity, NETWORK, api_version="2024-05-01").result()
    found = client.resources.get_by_id(identity, api_version="2024-05-01")
    assert found.properties["addressSpace"]["addressPrefixes"] == ["10.0.0.0/16"]
    client.resources.begin_delete_by_id(identity, api_version="2024-05-01").result()
    refused(lambda: client.resources.get_by_id(identity, api_version="2024-05-01"), 404, "ResourceNotFound")


def test_tags_are_changed_alone(arm: Arm, client: ResourceManagementClient, group: str):
    identity = arm.make(f"{group}/{IDENTITY}/tagged", {"location": "westus2", "tags": {"a": "1"}})["id"]
    assert client.tags.get_at_scope(identity).properties.tags == {"a": "1"}
    patched = arm.call("PATCH", f"{identity}/providers/Microsoft.Resources/tags/default", {"operation": "Merge", "properties": {"tags": {"b": "2"}}})
    assert patched.json()["properties"]["tags"] == {"a": "1", "b": "2"}
    arm.call("PATCH", f"{identity}/providers/Microsoft.Resources/tags/default", {"operation": "Delete", "properties": {"tags": {"a": "1"}}})
    assert arm.call("GET", identity).json()["tags"] == {"b": "2"}
    assert arm.call("PUT", f"{identity}/providers/Microsoft.Resources/tags/default", {"properties": {"tags": {}}}).status_code == 200
    assert arm.call("GET", f"{identity}/providers/Microsoft.Resources/tags/default").json()["properties"]["tags"] == {}
    assert arm.call("PATCH", identity, {"tags": {"c": "3"}}).json()["tags"] == {"c": "3"}


@pytest.mark.parametrize(("level", "write"), [("CanNotDelete", 201), ("ReadOnly", 409)])
def test_locks_hold_what_is_below_them(arm: Arm, group: str, level: str, write: int):
    identity = arm.make(f"{group}/{IDENTITY}/held", {"location": "westus2"})["id"]
    lock = f"{group}/providers/Microsoft.Authorization/locks/keep"
    assert arm.call("PUT", lock, {"properties": {"level": level, "notes": "kept"}}).status_code == 201
    assert [each["name"] for each in arm.call("GET", f"{group}/providers/Microsoft.Authorization/locks").json()["value"]] == ["keep"]
    for path in (identity, group):
        refusal = arm.call("DELETE", path)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (409, "ScopeLocked")
        assert f"locked: '{group}'. Please remove the lock and try again." in refusal.json()["error"]["message"]
    assert arm.call("PUT", f"{group}/{IDENTITY}/another", {"location": "westus2"}).status_code == write
    assert arm.call("DELETE", lock).status_code == 200
    assert arm.call("DELETE", lock).status_code == 204
    assert arm.call("DELETE", identity).status_code == 200


def test_a_lock_below_holds_the_group(arm: Arm, group: str):
    identity = arm.make(f"{group}/{IDENTITY}/held", {"location": "westus2"})["id"]
    arm.call("PUT", f"{identity}/providers/Microsoft.Authorization/locks/keep", {"properties": {"level": "CanNotDelete"}})
    assert arm.call("DELETE", group).json()["error"]["code"] == "ScopeLocked"
    assert arm.call("PUT", f"{group}/providers/Microsoft.Authorization/locks/x", {"properties": {"level": "Maybe"}}).status_code == 400
