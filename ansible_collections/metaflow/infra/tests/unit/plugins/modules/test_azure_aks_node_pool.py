# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_aks_node_pool as module
from ansible_collections.metaflow.infra.tests.unit.azure_wire import ANY, ARM, SUBSCRIPTION, Call, error, together

CLUSTER = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks"
PATH = f"{CLUSTER}/agentPools/taskworkers"
COMPUTE = f"{SUBSCRIPTION}/providers/Microsoft.Compute"
OPERATION = f"{SUBSCRIPTION}/providers/Microsoft.ContainerService/locations/westus/operations/op"
RUNNING = {"Azure-AsyncOperation": f"{ARM}{OPERATION}?api-version=2025-03-01", "Retry-After": "5"}
OPTIONS = {
    "cluster": "aks",
    "resource_group": "rg",
    "name": "taskworkers",
    "vm_sizes": ["Standard_D4s_v5", "Standard_D4as_v5"],
    "count": 1,
    "min_count": 1,
    "max_count": 50,
    "autoscale": True,
}
ALLOCATION = {
    "code": "ReconcileVMSSAgentPoolFailed",
    "message": 'Code="AllocationFailed" Message="Allocation failed. We do not have sufficient capacity for the requested VM size in this region."',
}
QUOTA = {
    "code": "PreconditionFailed",
    "message": "Provisioning of resource(s) for Agent Pool taskworkers failed. Error: "
    '{"code":"InvalidTemplateDeployment","message":"Not valid.","details":[{"code":"QuotaExceeded","message":"Operation could not be completed as it '
    "results in exceeding approved standardDSv5Family Cores quota. Additional details - Current Limit: 2, Current Usage: 0, Additional Required: 4, "
    '(Minimum) New Limit Required: 4."}]}',
}


def pool(state="Succeeded", size="Standard_D4s_v5", **properties):
    known = {
        "count": 7,
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 50,
        "osType": "Linux",
        "type": "VirtualMachineScaleSets",
        "mode": "User",
    }
    return {"id": PATH, "name": "taskworkers", "properties": {**known, "vmSize": size, "provisioningState": state, **properties}}


def failed_pool(failure=None, **properties):
    return pool("Failed", status={"provisioningError": failure or ALLOCATION}, **properties)


def sku(name, family):
    place = {"location": "westus", "zones": ["1"]}
    facts = [{"name": "vCPUs", "value": "4"}, {"name": "MemoryGB", "value": "16"}]
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "family": family,
        "locations": ["westus"],
        "locationInfo": [place],
        "capabilities": facts,
    }


SKUS = {"value": [sku("Standard_D4s_v5", "standardDSv5Family"), sku("Standard_D4as_v5", "standardDASv5Family")]}


def offer(**limits):
    rows = {"value": [{"name": {"value": name}, "currentValue": 0, "limit": limit} for name, limit in limits.items()]}
    return together(Call("GET", f"{COMPUTE}/skus", 200, SKUS), Call("GET", f"{COMPUTE}/locations/westus/usages", 200, rows))


def get(status=200, body=None):
    return Call("GET", PATH, status, body if status == 200 else error("NotFound"))


def cluster():
    return Call("GET", CLUSTER, 200, {"id": CLUSTER, "name": "aks", "location": "westus", "properties": {"provisioningState": "Succeeded"}})


def operation(status="Succeeded", **failure):
    return Call("GET", OPERATION, 200, {"name": "op", "status": status, **({"error": failure} if failure else {})})


def body(size):
    known = {"osType": "Linux", "type": "VirtualMachineScaleSets", "mode": "User"}
    return {"properties": {**known, "enableAutoScaling": True, "minCount": 1, "maxCount": 50, "count": 1, "vmSize": size}}


def put(sent=ANY, status=201, answer=None):
    return Call("PUT", PATH, status, answer or pool("Creating"), RUNNING if status < 300 else {}, sent)


def delete():
    return [Call("DELETE", PATH, 202, None, RUNNING), operation(), get(404)]


def test_creates_with_the_first_size(azure, run_module):
    azure.expect(get(404), cluster(), offer(cores=100), put(body("Standard_D4s_v5")), operation(), get(200, pool()))
    result = run_module(module, **OPTIONS)
    assert result["changed"]
    assert result["attempts"] == [{"vm_size": "Standard_D4s_v5", "error": None}]


def test_quota_is_asked_beforehand(azure, run_module):
    azure.expect(get(404), cluster(), offer(cores=100, STANDARDDSV5FAMILY=3), put(body("Standard_D4as_v5")), operation(), get(200, pool()))
    result = run_module(module, **OPTIONS)
    assert result["attempts"][0]["error"].startswith("not tried: quota standardDSv5Family has 3 of 3 vCPUs left and 4 are needed")


def test_a_failed_allocation_gives_way_to_the_next_size(azure, run_module):
    azure.expect(
        *(get(404), cluster(), offer(), put(body("Standard_D4s_v5")), operation("Failed", **ALLOCATION)),
        *(get(200, failed_pool()), *delete()),
        *(put(body("Standard_D4as_v5")), operation(), get(200, pool(size="Standard_D4as_v5"))),
    )
    result = run_module(module, **OPTIONS)
    assert result["pool"]["properties"]["vmSize"] == "Standard_D4as_v5"
    assert [bool(a["error"]) for a in result["attempts"]] == [True, False]
    assert result["diff"]["after"]["managedClusters/agentPools aks/taskworkers"]["properties"]["vmSize"] == "Standard_D4as_v5"


def test_a_quota_refused_at_once_gives_way_to_the_next_size(azure, run_module):
    azure.expect(*(get(404), cluster(), offer(), put(status=400, answer=QUOTA)), *(get(404), put(), operation(), get(200, pool())))
    assert run_module(module, **OPTIONS)["changed"]


def test_where_nothing_helps_each_size_has_its_reason(azure, run_module):
    azure.expect(
        *(get(404), cluster(), offer(), put(status=400, answer=QUOTA), get(404)),
        *(put(), operation("Failed", **ALLOCATION), get(200, failed_pool()), *delete()),
    )
    result = run_module(module, **OPTIONS)
    assert result["msg"].startswith(
        "No VM size of the list can be had for pool taskworkers in westus: Standard_D4s_v5 needs more vCPU quota (QuotaExceeded: family "
        "standardDSv5Family: 0 of 2 vCPUs in use, request a limit of at least 4); Standard_D4as_v5 has no free capacity in the region just now"
    )
    assert result["failure"]["code"] == "ReconcileVMSSAgentPoolFailed"


def test_another_failure_leaves_the_pool_for_the_user_to_see(azure, run_module):
    azure.expect(get(404), cluster(), offer(), put(), operation("Failed", code="SubnetIsFull", message="The subnet is full."))
    result = run_module(module, **OPTIONS)
    assert result["failure"]["code"] == "SubnetIsFull"


def test_a_healthy_pool_is_left_alone_whatever_its_size(azure, run_module):
    azure.expect(get(200, pool(size="Standard_D4_v5")))
    result = run_module(module, **OPTIONS)
    assert not result["changed"]
    assert "runs Standard_D4_v5, which is not in vm_sizes" in str(result["warnings"])


def test_bounds_change_in_place(azure, run_module):
    azure.expect(get(200, pool()), put(), operation(), get(200, pool(maxCount=60)))
    result = run_module(module, **{**OPTIONS, "max_count": 60})
    assert result["diff"]["before"]["managedClusters/agentPools aks/taskworkers"]["properties"]["maxCount"] == 50
    sent = json.loads(next(r for r in azure.requests if r.method == "PUT").body)["properties"]
    assert (sent["maxCount"], sent["count"], sent["vmSize"]) == (60, 7, "Standard_D4s_v5")


def test_a_failed_pool_without_machines_is_replaced_with_the_next_size(azure, run_module):
    azure.expect(
        get(200, failed_pool()),
        Call("GET", f"{CLUSTER}/agentPools", 200, {"value": [failed_pool(), {"name": "system", "properties": {"mode": "System"}}]}),
        Call("GET", f"{PATH}/machines", 200, {"value": []}),
        *(*delete(), cluster(), offer(), put(body("Standard_D4as_v5")), operation(), get(200, pool(size="Standard_D4as_v5"))),
    )
    assert run_module(module, **OPTIONS)["changed"]


@pytest.mark.parametrize("machines", [(200, {"value": [{"name": "vm"}]}), (404, error("NotFound"))])
def test_a_failed_pool_that_may_have_machines_is_written_again(azure, run_module, machines):
    azure.expect(
        get(200, failed_pool()),
        Call("GET", f"{CLUSTER}/agentPools", 200, {"value": [failed_pool()]}),
        Call("GET", f"{PATH}/machines", *machines),
        *(put(), operation(), get(200, pool())),
    )
    assert run_module(module, **OPTIONS)["changed"]


def test_the_last_system_pool_is_never_deleted(azure, run_module):
    mine = failed_pool(mode="System")
    azure.expect(
        get(200, mine),
        Call("GET", f"{CLUSTER}/agentPools", 200, {"value": [mine]}),
        Call("GET", f"{PATH}/machines", 200, {"value": []}),
        *(put(), operation(), get(200, pool(mode="System"))),
    )
    run_module(module, **OPTIONS, mode="System")


def test_one_that_an_earlier_run_began_and_that_fails_now_is_replaced(azure, run_module):
    azure.expect(
        *(get(200, pool("Creating")), get(200, pool("Creating")), get(200, failed_pool())),
        Call("GET", f"{CLUSTER}/agentPools", 200, {"value": [failed_pool()]}),
        Call("GET", f"{PATH}/machines", 404, error("NotFound")),
        *(*delete(), cluster(), offer(), put(body("Standard_D4as_v5")), operation(), get(200, pool())),
    )
    assert run_module(module, **OPTIONS)["changed"]


def test_check_mode(azure, run_module):
    azure.expect(get(404), cluster(), offer())
    result = run_module(module, _check=True, **OPTIONS)
    assert result["changed"]
    assert result["pool"]["properties"]["vmSize"] == "Standard_D4s_v5"


def test_check_mode_before_there_is_a_cluster(azure, run_module):
    azure.expect(get(404), Call("GET", CLUSTER, 404, error("ResourceNotFound")))
    assert run_module(module, _check=True, **OPTIONS)["changed"]


def test_no_cluster(azure, run_module):
    azure.expect(get(404), Call("GET", CLUSTER, 404, error("ResourceNotFound")))
    assert run_module(module, **OPTIONS)["msg"] == "There is no cluster aks in the resource group rg: create it first."


def test_without_wait(azure, run_module):
    azure.expect(get(404), cluster(), offer(), put())
    assert run_module(module, **OPTIONS, wait=False)["pool"]["properties"]["provisioningState"] == "Creating"


def test_an_offer_that_may_not_be_read_leaves_each_size_to_be_tried(azure, run_module):
    refused = error("AuthorizationFailed", "No right.")
    azure.expect(
        get(404),
        cluster(),
        together(Call("GET", f"{COMPUTE}/skus", 403, refused), Call("GET", f"{COMPUTE}/locations/westus/usages", 403, refused)),
        *(put(), operation(), get(200, pool())),
    )
    result = run_module(module, **OPTIONS)
    assert result["changed"]
    assert len(result["warnings"]) == 2


def test_absent(azure, run_module):
    azure.expect(get(200, pool()), *delete())
    assert run_module(module, cluster="aks", resource_group="rg", name="taskworkers", state="absent")["changed"]
