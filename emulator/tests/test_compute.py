"""Virtual machine sizes, restrictions and quotas, with Microsoft's SDK."""

from __future__ import annotations

import pytest
from azure.mgmt.compute import ComputeManagementClient
from azure_clients import Arm, refused
from conftest import Client


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register("Microsoft.Compute")
    return arm


@pytest.fixture(scope="module")
def client(arm: Arm) -> ComputeManagementClient:
    return arm.client(ComputeManagementClient)


def capabilities(sku) -> dict[str, str]:
    return {each.name: each.value for each in sku.capabilities}


def test_sizes_of_one_region(client: ComputeManagementClient):
    found = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'westus2'")}
    size = found["Standard_D4s_v5"]
    assert (size.family, size.resource_type, size.locations) == ("standardDSv5Family", "virtualMachines", ["westus2"])
    assert size.location_info[0].zones == ["1", "2", "3"]
    assert (capabilities(size)["vCPUs"], capabilities(size)["MemoryGB"], capabilities(size)["CpuArchitectureType"]) == ("4", "16", "x64")
    assert size.restrictions == []
    assert {"Standard_D2_v2", "Standard_D4_v5"} <= set(found)
    without = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'westus'")}
    assert without["Standard_D4s_v5"].location_info[0].zones == []
    assert capabilities(found["Standard_D2ps_v5"])["CpuArchitectureType"] == "Arm64"
    assert "Standard_D2ps_v5" not in without


def test_only_the_location_can_be_filtered_by(client: ComputeManagementClient):
    refused(lambda: list(client.resource_skus.list(filter="name eq 'Standard_D4s_v5'")), 400, "InvalidParameter")


def test_a_size_that_the_subscription_may_not_use(client: ComputeManagementClient, emulator: Client):
    emulator.run("settings", "limits.restricted.westus2.Standard_D8s_v5=1")
    try:
        found = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'westus2'")}
        elsewhere = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'eastus'")}
    finally:
        emulator.run("settings", "limits.restricted.westus2.Standard_D8s_v5=")
    kinds = [(each["type"], each["reasonCode"], each["values"]) for each in found["Standard_D8s_v5"].restrictions]
    assert kinds[0] == ("Location", "NotAvailableForSubscription", ["westus2"])
    assert found["Standard_D4s_v5"].restrictions == []
    assert elsewhere["Standard_D8s_v5"].restrictions == []


def test_quotas_are_settings(client: ComputeManagementClient, emulator: Client):
    emulator.run("settings", "quotas.standardDSv5Family=12", "quotas.westus2.cores=34")
    try:
        usages = {each.name.value: each for each in client.usage.list("westus2")}
        elsewhere = {each.name.value: each for each in client.usage.list("eastus")}
    finally:
        emulator.run("settings", "quotas.standardDSv5Family=", "quotas.westus2.cores=")
    assert (usages["standardDSv5Family"].limit, usages["cores"].limit, usages["cores"].current_value) == (12, 34, 0)
    assert usages["standardDSv5Family"].name.localized_value == "Standard DSv5 Family vCPUs"
    assert (elsewhere["standardDSv5Family"].limit, elsewhere["cores"].limit) == (12, 100)
    assert usages["Standard NCASv3_T4 Family"].limit == 0


def test_sizes_in_the_old_list(client: ComputeManagementClient):
    found = {size.name: size for size in client.virtual_machine_sizes.list("westus2")}
    assert (found["Standard_D4s_v5"].number_of_cores, found["Standard_D4s_v5"].memory_in_mb) == (4, 16384)


def test_an_unknown_region(client: ComputeManagementClient):
    text = refused(lambda: list(client.usage.list("moon")), 400, "NoRegisteredProviderFound")
    assert "No registered resource provider found for location 'moon'" in text
