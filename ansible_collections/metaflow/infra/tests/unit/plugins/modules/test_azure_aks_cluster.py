# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_aks_cluster as module
from ansible_collections.metaflow.infra.tests.unit.azure_wire import ANY, ARM, SUBSCRIPTION, Call, error, together

PATH = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks"
SUBNET = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/k8s"
COMPUTE = f"{SUBSCRIPTION}/providers/Microsoft.Compute"
OPERATION = f"{SUBSCRIPTION}/providers/Microsoft.ContainerService/locations/westus/operations/op"
RUNNING = {"Azure-AsyncOperation": f"{ARM}{OPERATION}?api-version=2025-03-01", "Retry-After": "5"}

OPTIONS = {
    "name": "aks",
    "resource_group": "rg",
    "location": "westus",
    "kubernetes_version": "1.35",
    "system_pool": {"name": "system", "vm_sizes": ["Standard_D2s_v5", "Standard_D2as_v5"], "count": 1, "min_count": 1, "max_count": 10},
    "subnet_id": SUBNET,
    "network": {"plugin": "azure", "plugin_mode": "overlay", "service_cidr": "10.0.0.0/16", "dns_service_ip": "10.0.0.10"},
    "oidc_issuer": True,
    "workload_identity": True,
    "authorized_ip_ranges": [],
    "tags": {"stack": "default"},
}


def cluster(state="Succeeded", **properties):
    pool = {
        "name": "system",
        "count": 4,
        "vmSize": "Standard_D2s_v5",
        "mode": "System",
        "osType": "Linux",
        "type": "VirtualMachineScaleSets",
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 10,
        "vnetSubnetID": SUBNET,
        "provisioningState": state,
    }
    workers = {"name": "taskworkers", "count": 3, "vmSize": "Standard_D4s_v5", "mode": "User", "provisioningState": "Succeeded"}
    return {
        "id": PATH,
        "name": "aks",
        "location": "westus",
        "sku": {"name": "Base", "tier": "Free"},
        "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
        "tags": {"stack": "default"},
        "properties": {
            "provisioningState": state,
            "kubernetesVersion": "1.35",
            "currentKubernetesVersion": "1.35.6",
            "dnsPrefix": "aks",
            "fqdn": "aks-1.hcp.westus.azmk8s.io",
            "agentPoolProfiles": [pool, workers],
            "networkProfile": {"networkPlugin": "azure", "networkPluginMode": "overlay", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10"},
            "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://issuer"},
            "securityProfile": {"workloadIdentity": {"enabled": True}},
            **properties,
        },
    }


def sku(name, family):
    place = {"location": "westus", "zones": []}
    facts = [{"name": "vCPUs", "value": "2"}, {"name": "MemoryGB", "value": "8"}]
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "family": family,
        "locations": ["westus"],
        "locationInfo": [place],
        "capabilities": facts,
    }


SKUS = {"value": [sku("Standard_D2s_v5", "standardDSv5Family"), sku("Standard_D2as_v5", "standardDASv5Family")]}


def usages(**limits):
    return {"value": [{"name": {"value": name}, "currentValue": 0, "limit": limit} for name, limit in limits.items()]}


def offer(**limits):
    return together(
        Call("GET", f"{COMPUTE}/skus", 200, SKUS, query={"$filter": "location eq 'westus'"}),
        Call("GET", f"{COMPUTE}/locations/westus/usages", 200, usages(**limits)),
    )


def get(status=200, body=None):
    return Call("GET", PATH, status, body if status == 200 else error("ResourceNotFound"))


def operation(status="Succeeded", **failure):
    return Call("GET", OPERATION, 200, {"name": "op", "status": status, **({"error": failure} if failure else {})})


def put(body=ANY, state="Creating"):
    return Call("PUT", PATH, 201, cluster(state), RUNNING, body)


def test_creates_with_the_first_size_that_fits(azure, run_module):
    azure.expect(get(404), offer(cores=10, standardDSv5Family=0), put(), operation("InProgress"), operation(), get(200, cluster()))
    result = run_module(module, **OPTIONS)
    assert result["changed"]
    assert result["cluster"]["properties"]["provisioningState"] == "Succeeded"
    assert [a["vm_size"] for a in result["attempts"]] == ["Standard_D2s_v5", "Standard_D2as_v5"]
    body = json.loads(next(r for r in azure.requests if r.method == "PUT").body)
    assert body == {
        "location": "westus",
        "tags": {"stack": "default"},
        "sku": {"name": "Base"},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "kubernetesVersion": "1.35",
            "dnsPrefix": "aks",
            "networkProfile": {
                "networkPlugin": "azure",
                "networkPluginMode": "overlay",
                "serviceCidr": "10.0.0.0/16",
                "dnsServiceIP": "10.0.0.10",
                "loadBalancerSku": "standard",
            },
            "oidcIssuerProfile": {"enabled": True},
            "securityProfile": {"workloadIdentity": {"enabled": True}},
            "agentPoolProfiles": [
                {
                    "name": "system",
                    "mode": "System",
                    "osType": "Linux",
                    "type": "VirtualMachineScaleSets",
                    "enableAutoScaling": True,
                    "minCount": 1,
                    "maxCount": 10,
                    "count": 1,
                    "vnetSubnetID": SUBNET,
                    "vmSize": "Standard_D2as_v5",
                }
            ],
        },
    }


def test_nothing_to_do_is_one_read(azure, run_module):
    azure.expect(get(200, cluster()))
    result = run_module(module, **OPTIONS)
    assert not result["changed"]
    assert result["cluster"]["properties"]["fqdn"]


def test_check_mode_plans(azure, run_module):
    azure.expect(get(404), offer(cores=10))
    result = run_module(module, _check=True, **OPTIONS)
    assert result["changed"]
    assert result["cluster"]["properties"]["agentPoolProfiles"][0]["vmSize"] == "Standard_D2s_v5"
    assert "managedClusters aks" in result["diff"]["after"]


def test_no_size_fits(azure, run_module):
    azure.expect(get(404), offer(cores=1))
    message = run_module(module, **OPTIONS)["msg"]
    assert message.startswith("No VM size of the list can be had for the system pool of cluster aks in westus: Standard_D2s_v5 quota cores")
    assert "Standard_D2as_v5 quota cores" in message


def test_a_size_refused_at_once_gives_way_to_the_next(azure, run_module):
    quota = {"code": "ErrCode_InsufficientVCPUQuota", "message": "Insufficient regional vcpu quota left for location westus.", "details": None}
    azure.expect(get(404), offer(), Call("PUT", PATH, 400, quota), get(404), put(), operation(), get(200, cluster()))
    result = run_module(module, **OPTIONS)
    assert [(a["vm_size"], bool(a["error"])) for a in result["attempts"]] == [("Standard_D2s_v5", True), ("Standard_D2as_v5", False)]


def test_a_cluster_that_failed_is_kept_and_explained(azure, run_module):
    failure = {"code": "ReconcileVMSSAgentPoolFailed", "message": 'Code="AllocationFailed" Message="Allocation failed."'}
    azure.expect(get(404), offer(), put(), operation("Failed", **failure), get(200, cluster("Failed", status={"provisioningError": failure})))
    result = run_module(module, **OPTIONS)
    assert result["failure"]["code"] == "ReconcileVMSSAgentPoolFailed"
    assert "The cluster is left in state Failed. Run again to have AKS try once more with Standard_D2s_v5" in result["msg"]


def test_a_failed_cluster_is_written_again(azure, run_module):
    azure.expect(get(200, cluster("Failed")), put(state="Updating"), operation(), get(200, cluster()))
    result = run_module(module, **OPTIONS)
    assert result["changed"]
    assert result["cluster"]["properties"]["provisioningState"] == "Succeeded"


def test_an_update_changes_only_what_is_declared(azure, run_module):
    azure.expect(get(200, cluster()), put(state="Updating"), operation(), get(200, cluster()))
    result = run_module(module, **{**OPTIONS, "sku_tier": "Standard"})
    assert result["diff"]["before"]["managedClusters aks"]["sku"] == {"name": "Base", "tier": "Free"}
    body = json.loads(next(r for r in azure.requests if r.method == "PUT").body)
    assert body["sku"] == {"name": "Base", "tier": "Standard"}
    assert [pool["count"] for pool in body["properties"]["agentPoolProfiles"]] == [4, 3]
    assert "fqdn" not in body["properties"]
    assert "principalId" not in body["identity"]


def test_another_operation_is_waited_for(azure, clock, run_module):
    busy = {"code": "OperationNotAllowed", "message": "Another operation (PutExtensionAddonHandler.PUT) is in progress."}
    azure.expect(get(200, cluster()), Call("PUT", PATH, 409, busy), put(state="Updating"), operation(), get(200, cluster()))
    assert run_module(module, **{**OPTIONS, "sku_tier": "Standard"})["changed"]
    assert clock.sleeps


def test_a_cluster_on_its_way_is_awaited(azure, run_module):
    azure.expect(get(200, cluster("Creating")), get(200, cluster("Creating")), get(200, cluster()))
    assert not run_module(module, **OPTIONS)["changed"]


def test_a_cluster_that_is_going_is_made_anew(azure, run_module):
    azure.expect(get(200, cluster("Deleting")), get(200, cluster("Deleting")), get(404), offer(), put(), operation(), get(200, cluster()))
    assert run_module(module, **OPTIONS)["changed"]


def test_without_wait(azure, run_module):
    azure.expect(get(404), offer(), put())
    assert run_module(module, **OPTIONS, wait=False)["cluster"]["properties"]["provisioningState"] == "Creating"


def test_without_wait_one_that_is_on_its_way_is_left_alone(azure, run_module):
    azure.expect(get(200, cluster("Creating")))
    assert not run_module(module, **OPTIONS, wait=False)["changed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": {"service_cidr": "10.1.0.0/16", "dns_service_ip": "10.0.0.10"}}, "serviceCidr is '10.0.0.0/16' and was to be '10.1.0.0/16'"),
        ({"kubernetes_version": "1.34"}, "AKS can't go back"),
        ({"dns_prefix": "other"}, "dnsPrefix"),
    ],
)
def test_what_cannot_change_is_refused(azure, run_module, options, words):
    azure.expect(get(200, cluster()))
    assert words in run_module(module, **{**OPTIONS, **options})["msg"]


def test_bad_options_end_before_anything_is_asked(azure, run_module):
    options = {**OPTIONS, "name": "aks-" + "a" * 60, "dns_prefix": "a" * 60, "local_accounts": False}
    message = run_module(module, **options)["msg"]
    assert "has 64 characters and Azure allows 63" in message
    assert "has 60 characters and Azure allows 54" in message
    assert "nobody could log in" in message
    assert azure.requests == []


def test_pools_of_an_old_stack_are_left_as_they_are(azure, run_module):
    azure.expect(get(200, cluster()))
    pool = {"name": "default", "vm_sizes": ["Standard_D2_v2"], "min_count": 1, "max_count": 10}
    result = run_module(module, **{**OPTIONS, "system_pool": pool})
    assert not result["changed"]
    assert "has no pool default" in str(result["warnings"])


def test_absent(azure, run_module):
    azure.expect(get(200, cluster()), Call("DELETE", PATH, 202, None, RUNNING), operation(), get(404))
    assert run_module(module, name="aks", resource_group="rg", state="absent")["changed"]
