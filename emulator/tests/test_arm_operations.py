"""Long-running operations: each provider's first answer, its polls, faults, durations, and what a restart makes of them."""

from __future__ import annotations

import time
import urllib.parse

import pytest
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure_clients import Arm, refused
from conftest import Client

SPACE = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
NETWORK = {"location": "westus2", "properties": SPACE}


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture
def settings(emulator: Client):
    """Set settings for one test."""
    changed: list[str] = []

    def change(**values: object) -> None:
        for name, value in values.items():
            changed.append(name.replace("__", "."))
            emulator.run("settings", f"{changed[-1]}={value}")

    yield change
    for name in changed:
        emulator.run("settings", f"{name}=")


def headers_of(answer) -> tuple[str | None, str | None]:
    found = (answer.headers.get("Azure-AsyncOperation"), answer.headers.get("Location"))
    return tuple(urllib.parse.urlsplit(url).path.rsplit("/", 1)[0] if url else None for url in found)  # type: ignore[return-value]


def test_a_network_is_made_as_its_provider_does_it(arm: Arm, group: str):
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/style"
    answer = arm.call("PUT", path, NETWORK)
    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    assert headers_of(answer) == (f"{arm.scope}/providers/Microsoft.Network/locations/westus2/operations", None)
    assert answer.headers["azure-asyncnotification"] == "Enabled"
    assert answer.headers["Retry-After"] == "1"
    assert arm.settle(answer).json() == {"status": "Succeeded"}
    assert arm.call("PUT", path, NETWORK).status_code == 200
    time.sleep(0.2)
    gone = arm.call("DELETE", path)
    assert (gone.status_code, gone.content) == (202, b"")
    assert headers_of(gone)[1] == f"{arm.scope}/providers/Microsoft.Network/locations/westus2/operationResults"
    assert arm.settle(gone).status_code == 200
    assert arm.call("GET", gone.headers["Location"]).status_code == 204
    assert arm.call("GET", path).status_code == 404
    assert arm.call("DELETE", path).status_code == 204


def test_a_private_zone_is_made_as_its_provider_does_it(arm: Arm, group: str):
    path = f"{group}/providers/Microsoft.Network/privateDnsZones/style.example.com"
    answer = arm.call("PUT", path, {"location": "global"})
    assert (answer.status_code, answer.json()) == (202, {})
    statuses, results = headers_of(answer)
    assert statuses == f"{group}/providers/Microsoft.Network/privateDnsOperationStatuses"
    assert results == f"{group}/providers/Microsoft.Network/privateDnsOperationResults"
    assert arm.settle(answer).json() == {"status": "Succeeded"}
    result = arm.call("GET", answer.headers["Location"])
    assert (result.status_code, result.json()["name"]) == (200, "style.example.com")
    gone = arm.call("DELETE", path)
    assert (gone.status_code, gone.content) == (202, b"")
    arm.settle(gone)
    assert arm.call("DELETE", path).status_code == 204


def test_operation_urls_are_absolute_signed_and_on_the_requests_host(arm: Arm, group: str):
    answer = arm.call("PUT", f"{group}/providers/Microsoft.Network/virtualNetworks/signed", NETWORK)
    url = urllib.parse.urlsplit(answer.headers["Azure-AsyncOperation"])
    assert (url.scheme, url.netloc) == ("https", "management.azure.com")
    query = urllib.parse.parse_qs(url.query)
    assert query["api-version"] == ["2024-05-01"]
    assert {"t", "c", "s", "h"} <= set(query)


def test_an_operation_lasts_as_long_as_the_settings_say(arm: Arm, group: str, settings):
    settings(durations__virtualNetworks=1)
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/slow"
    began = time.monotonic()
    answer = arm.call("PUT", path, NETWORK)
    poll = arm.call("GET", answer.headers["Azure-AsyncOperation"])
    assert (poll.status_code, poll.json()["status"], poll.headers["Retry-After"]) == (200, "InProgress", "1")
    assert arm.call("GET", path).json()["properties"]["provisioningState"] == "Updating"
    assert arm.settle(answer).json()["status"] == "Succeeded"
    assert time.monotonic() - began >= 1
    assert arm.call("GET", path).json()["properties"]["provisioningState"] == "Succeeded"


def test_two_writes_in_one_network_at_once(arm: Arm, group: str, settings):
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/busy"
    arm.make(path, NETWORK)
    settings(durations__subnets=1)
    first = arm.call("PUT", f"{path}/subnets/a", {"properties": {"addressPrefix": "10.0.1.0/24"}})
    assert first.status_code == 201
    second = arm.call("PUT", f"{path}/subnets/b", {"properties": {"addressPrefix": "10.0.2.0/24"}})
    assert (second.status_code, second.json()["error"]["code"]) == (409, "AnotherOperationInProgress")
    assert "/providers/Microsoft.Network/locations/westus2/operations/" in second.json()["error"]["message"]
    assert "Retry-After" not in second.headers
    arm.settle(first)
    assert arm.call("PUT", f"{path}/subnets/b", {"properties": {"addressPrefix": "10.0.2.0/24"}}).status_code == 201


def test_a_fault_rule_makes_an_operation_fail(arm: Arm, group: str, emulator: Client):
    rule = "- {path: '*/virtualNetworks/doomed', method: PUT, operation_error: {code: AllocationFailed, message: Allocation failed.}}"
    emulator.run("faults", "add", "-", text=rule)
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/doomed"
    answer = arm.call("PUT", path, NETWORK)
    assert answer.status_code == 201
    ended = arm.settle(answer).json()
    assert ended == {"status": "Failed", "error": {"code": "AllocationFailed", "message": "Allocation failed."}}
    assert arm.call("GET", path).json()["properties"]["provisioningState"] == "Failed"
    assert arm.make(path, NETWORK)["properties"]["provisioningState"] == "Succeeded"


def test_the_sdk_follows_operations_to_their_end(arm: Arm, group: str):
    network, dns = arm.client(NetworkManagementClient), arm.client(PrivateDnsManagementClient)
    name = group.rsplit("/", 1)[1]
    made = network.virtual_networks.begin_create_or_update(name, "sdk", NETWORK).result()
    assert made.provisioning_state == "Succeeded"
    zone = dns.private_zones.begin_create_or_update(name, "sdk.example.com", {"location": "global"}).result()
    assert zone.name == "sdk.example.com"
    link = {"location": "global", "properties": {"virtualNetwork": {"id": made.id}, "registrationEnabled": False}}
    assert dns.virtual_network_links.begin_create_or_update(name, "sdk.example.com", "l", link).result().provisioning_state == "Succeeded"
    dns.virtual_network_links.begin_delete(name, "sdk.example.com", "l").result()
    dns.private_zones.begin_delete(name, "sdk.example.com").result()
    network.virtual_networks.begin_delete(name, "sdk").result()
    refused(lambda: network.virtual_networks.get(name, "sdk"), 404, "ResourceNotFound")


def test_operations_survive_down_and_up(arm: Arm, group: str, emulator: Client, settings):
    settings(durations__virtualNetworks=4)
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/survivor"
    answer = arm.call("PUT", path, NETWORK)
    assert answer.status_code == 201
    emulator.run("down")
    emulator.run("up")
    emulator.env = emulator.environment("deployer")
    poll = arm.call("GET", answer.headers["Azure-AsyncOperation"])
    assert poll.status_code == 200
    assert arm.settle(answer).json() == {"status": "Succeeded"}
    assert arm.call("GET", path).json()["properties"]["provisioningState"] == "Succeeded"
