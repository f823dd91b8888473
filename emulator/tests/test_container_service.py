"""Managed clusters and agent pools, driven with Microsoft's SDK; the cluster is asked with kubectl through the proxy. One cluster for the module."""

from __future__ import annotations

import base64
import copy
import json
import os
import pathlib
import subprocess
import typing as t

import pytest
import yaml
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure_stack import REGION, Azure, refused
from conftest import Client

CLUSTER = "aks-acme-metaflow-default"
CLUSTERS = "Microsoft.ContainerService/managedClusters"
ALLOCATION = 'Code="AllocationFailed" Message="Allocation failed. We do not have sufficient capacity for the requested VM size in this region."'


@pytest.fixture(scope="module")
def azure(emulator: Client) -> Azure:
    return Azure(emulator, "rg-aks")


@pytest.fixture(scope="module")
def subnets(azure: Azure) -> dict[str, str]:
    ranges = {"k8s": ("10.2.0.0/20", None), "db": ("10.2.16.0/24", "Microsoft.DBforPostgreSQL/flexibleServers"), "small": ("10.2.17.0/28", None)}
    return azure.make_network("vnet", "10.2.0.0/16", ranges)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cluster(azure: Azure, subnets: dict[str, str]) -> t.Any:
    """The one cluster that is really made."""
    return azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, wanted(subnets)).result()


def wanted(
    subnets: dict[str, str], *, pool: dict[str, t.Any] | None = None, network: dict[str, t.Any] | None = None, **properties: t.Any
) -> dict[str, t.Any]:
    """A body as infrastructure code sends it; the arguments replace parts."""
    system = {
        "name": "system",
        "count": 1,
        "vmSize": "Standard_D2s_v5",
        "mode": "System",
        "osType": "Linux",
        "vnetSubnetID": subnets["k8s"],
        **(pool or {}),
    }
    profile = {
        "networkPlugin": "azure",
        "networkPluginMode": "overlay",
        "serviceCidr": "10.100.0.0/16",
        "dnsServiceIP": "10.100.0.10",
        **(network or {}),
    }
    base = {
        "dnsPrefix": "acme",
        "kubernetesVersion": "1.35",
        "agentPoolProfiles": [system],
        "networkProfile": profile,
        "oidcIssuerProfile": {"enabled": True},
        "securityProfile": {"workloadIdentity": {"enabled": True}},
    }
    return {"location": REGION, "identity": {"type": "SystemAssigned"}, "tags": {"metaflow-stack": "default"}, "properties": {**base, **properties}}


def workers(subnets: dict[str, str], **changes: t.Any) -> dict[str, t.Any]:
    """The pool that flows run on."""
    base = {
        "count": 1,
        "minCount": 1,
        "maxCount": 5,
        "enableAutoScaling": True,
        "vmSize": "Standard_D4s_v5",
        "mode": "User",
        "vnetSubnetID": subnets["k8s"],
    }
    return {"properties": {**base, **changes}}


def kubectl(azure: Azure, folder: pathlib.Path, *arguments: str, admin: bool = False) -> str:
    """Output of kubectl with a kubeconfig of the API, under the environment that users have."""
    calls = azure.aks.managed_clusters
    answer = (calls.list_cluster_admin_credentials if admin else calls.list_cluster_user_credentials)(azure.group, CLUSTER)
    path = folder / "kubeconfig"
    path.write_bytes(bytes(answer.kubeconfigs[0].value))
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(path), *arguments], env={**os.environ, **azure.emulator.env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cluster_is_as_azure_shows_it(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    answer = azure.call("GET", f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}", version="2025-10-01").json()
    properties = answer["properties"]
    assert f"/resourcegroups/{azure.group}/" in answer["id"]
    assert answer["type"] == CLUSTERS
    assert answer["sku"] == {"name": "Base", "tier": "Free"}
    assert answer["identity"]["principalId"]
    assert (properties["provisioningState"], properties["powerState"]) == ("Succeeded", {"code": "Running"})
    assert (properties["kubernetesVersion"], properties["currentKubernetesVersion"]) == ("1.35", "1.35.6")
    assert properties["fqdn"].startswith("acme-")
    assert properties["fqdn"].endswith(f".hcp.{REGION}.azmk8s.io")
    assert properties["servicePrincipalProfile"] == {"clientId": "msi"}
    assert properties["nodeResourceGroup"] == f"MC_{azure.group}_{CLUSTER}_{REGION}"
    assert properties["oidcIssuerProfile"]["issuerURL"].startswith(f"https://{REGION}.oic.prod-aks.azure.com/{azure.emulator.tenant_id}/")
    assert properties["networkProfile"]["podCidr"] == "10.244.0.0/16"
    assert properties["networkProfile"]["outboundType"] == "loadBalancer"
    pool = properties["agentPoolProfiles"][0]
    assert (pool["name"], pool["vnetSubnetID"], pool["maxPods"], pool["osSKU"]) == ("system", subnets["k8s"], 250, "Ubuntu")
    assert (pool["orchestratorVersion"], pool["currentOrchestratorVersion"]) == ("1.35", "1.35.6")
    assert CLUSTER in [each.name for each in azure.aks.managed_clusters.list()]
    assert [each.name for each in azure.aks.agent_pools.list(azure.group, CLUSTER)] == ["system"]


def test_the_machines_group_and_identity_are_real(azure: Azure, cluster: t.Any) -> None:
    group = azure.resources.resource_groups.get(cluster.node_resource_group)
    assert group.managed_by.lower() == cluster.id.lower()
    kubelet = cluster.identity_profile["kubeletidentity"]
    identity = azure.call("GET", kubelet.resource_id, version="2024-11-30").json()
    assert identity["properties"]["clientId"] == kubelet.client_id
    assert identity["properties"]["principalId"] == kubelet.object_id


def test_writes_are_answered_as_aks_does(azure: Azure, cluster: t.Any) -> None:
    path = f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}"
    answer = azure.call("PATCH", path, {"tags": {"metaflow-stack": "default", "more": "1"}}, "2025-10-01")
    assert answer.status_code == 200
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    assert "/providers/Microsoft.ContainerService/locations/" in answer.headers["Azure-AsyncOperation"]
    assert "Location" not in answer.headers
    azure.wait_for(lambda: azure.aks.managed_clusters.get(azure.group, CLUSTER).provisioning_state == "Succeeded")
    assert azure.aks.managed_clusters.get(azure.group, CLUSTER).tags["more"] == "1"


def test_the_kubeconfig_works(azure: Azure, cluster: t.Any, tmp_path: pathlib.Path) -> None:
    nodes = json.loads(kubectl(azure, tmp_path, "get", "nodes", "-o", "json"))["items"]
    assert [node["metadata"]["labels"]["kubernetes.azure.com/mode"] for node in nodes] == ["system"]
    kubectl(azure, tmp_path, "create", "configmap", "one", "--from-literal=a=b", admin=True)
    assert kubectl(azure, tmp_path, "get", "configmap", "one", "-o", "jsonpath={.data.a}") == "b"
    token = kubectl(azure, tmp_path, "create", "token", "default", "--audience=api://AzureADTokenExchange")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == cluster.oidc_issuer_profile.issuer_url


def test_kubeconfigs_have_azures_names(azure: Azure, cluster: t.Any) -> None:
    answer = azure.aks.managed_clusters.list_cluster_user_credentials(azure.group, CLUSTER).kubeconfigs[0]
    config = yaml.safe_load(bytes(answer.value))
    assert answer.name == "clusterUser"
    assert (config["current-context"], config["clusters"][0]["name"]) == (CLUSTER, CLUSTER)
    assert config["users"][0]["name"] == f"clusterUser_{azure.group}_{CLUSTER}"
    assert config["clusters"][0]["cluster"]["server"] == f"https://{cluster.fqdn}:443"
    admin = azure.aks.managed_clusters.list_cluster_admin_credentials(azure.group, CLUSTER).kubeconfigs[0]
    config = yaml.safe_load(bytes(admin.value))
    assert (admin.name, config["current-context"]) == ("clusterAdmin", f"{CLUSTER}-admin")
    assert config["users"][0]["name"] == f"clusterAdmin_{azure.group}_{CLUSTER}"


def test_a_pool_is_nodes_and_shows_in_the_cluster(azure: Azure, cluster: t.Any, subnets: dict[str, str], tmp_path: pathlib.Path) -> None:
    body = workers(subnets, nodeLabels={"purpose": "tasks"}, nodeTaints=["dedicated=tasks:NoSchedule"])
    first = azure.call("PUT", f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}/agentPools/taskworkers", body, "2025-10-01")
    assert first.status_code == 201
    assert first.json()["properties"]["provisioningState"] == "Creating"
    pools = azure.aks.agent_pools
    azure.wait_for(lambda: pools.get(azure.group, CLUSTER, "taskworkers").provisioning_state == "Succeeded")
    shown = azure.aks.managed_clusters.get(azure.group, CLUSTER).agent_pool_profiles
    assert [(pool.name, pool.mode, pool.min_count, pool.max_count) for pool in shown] == [
        ("system", "System", None, None),
        ("taskworkers", "User", 1, 5),
    ]
    nodes = json.loads(kubectl(azure, tmp_path, "get", "nodes", "-l", "agentpool=taskworkers", "-o", "json"))["items"]
    assert len(nodes) == 1
    assert nodes[0]["metadata"]["labels"]["purpose"] == "tasks"
    assert {"key": "dedicated", "value": "tasks", "effect": "NoSchedule"} in nodes[0]["spec"]["taints"]
    assert nodes[0]["status"]["capacity"]["cpu"] == "4"
    machines = list(azure.aks.machines.list(azure.group, CLUSTER, "taskworkers"))
    assert [machine.name for machine in machines] == [node["metadata"]["name"] for node in nodes]
    assert "/virtualMachineScaleSets/" in machines[0].properties.resource_id
    bigger = pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets, count=2, nodeLabels={"purpose": "tasks"})).result()
    assert bigger.count == 2
    azure.wait_for(lambda: kubectl(azure, tmp_path, "get", "nodes", "-l", "agentpool=taskworkers", "-o", "name").count("node/") == 2)
    pools.begin_delete(azure.group, CLUSTER, "taskworkers").result()
    with pytest.raises(ResourceNotFoundError):
        pools.get(azure.group, CLUSTER, "taskworkers")
    assert kubectl(azure, tmp_path, "get", "nodes", "-l", "agentpool=taskworkers", "-o", "name") == ""
    assert azure.call("DELETE", f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}/agentPools/taskworkers", version="2025-10-01").status_code == 204


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("Upper", {}, "InvalidParameter"),
        ("waytoolongname", {}, "InvalidParameter"),
        ("pool", {"minCount": 3, "maxCount": 2}, "InvalidParameter"),
        ("pool", {"count": 9}, "InvalidParameter"),
        ("pool", {"enableAutoScaling": False}, "InvalidParameter"),
        ("pool", {"vmSize": "Standard_Nope"}, "VMSizeNotSupported"),
        ("pool", {"vmSize": "Standard_B1s"}, "AgentPoolSkuTooLow"),
        ("pool", {"vmSize": "Standard_B1ms", "mode": "System"}, "SystemPoolSkuTooLow"),
        ("pool", {"orchestratorVersion": "1.36"}, "NodePoolMcVersionIncompatible"),
        ("pool", {"nodeTaints": ["nonsense"]}, "InvalidParameter"),
        ("pool", {"count": 5, "vmSize": "Standard_D32s_v5"}, "PreconditionFailed"),
    ],
)
def test_pools_that_are_refused(azure: Azure, cluster: t.Any, subnets: dict[str, str], name: str, changes: dict[str, t.Any], code: str) -> None:
    with refused(code):
        azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, name, workers(subnets, **changes))
    assert [each.name for each in azure.aks.agent_pools.list(azure.group, CLUSTER)] == ["system"]


def test_a_pool_without_subnet_goes_where_the_system_pool_is(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    body = workers(subnets, vnetSubnetID=None, orchestratorVersion="")  # as `az aks nodepool add` sends it
    made = azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, "extra", body).result()
    assert (made.vnet_subnet_id, made.orchestrator_version) == (subnets["k8s"], "1.35")
    azure.aks.agent_pools.begin_delete(azure.group, CLUSTER, "extra").result()


def test_quota_is_told_as_compute_words_it(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    path = f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}/agentPools/pool"
    azure.emulator.run("settings", "quotas.standardDSv5Family=4")
    try:
        answer = azure.call("PUT", path, workers(subnets), "2025-10-01")
        assert answer.status_code == 400
        assert set(answer.json()) == {"code", "details", "message", "subcode"}, "AKS refuses without the wrapper 'error'"
        inner = json.loads(answer.json()["message"].partition("Error: ")[2])
        assert inner["details"][0]["code"] == "QuotaExceeded"
        assert "exceeding approved standardDSv5Family Cores quota" in inner["details"][0]["message"]
        assert "Current Limit: 4, Current Usage: 2, Additional Required: 4, (Minimum) New Limit Required: 6" in inner["details"][0]["message"]
        azure.emulator.run("settings", "quotas.standardDSv5Family=", "quotas.cores=4")
        with refused("ErrCode_InsufficientVCPUQuota", "left regional vcpu quota 2, requested quota 4"):
            azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, "pool", workers(subnets))
    finally:
        azure.emulator.run("settings", "quotas.standardDSv5Family=", "quotas.cores=")


def test_a_failed_pool_stays_until_it_is_deleted_or_put_again(azure: Azure, cluster: t.Any, subnets: dict[str, str], faults: Client) -> None:
    error = {"code": "ReconcileVMSSAgentPoolFailed", "message": ALLOCATION}
    faults.run("faults", "set", "-", text=yaml.safe_dump([{"path": "*/agentPools/taskworkers", "method": "PUT", "operation_error": error}]))
    pools = azure.aks.agent_pools
    with refused("ReconcileVMSSAgentPoolFailed", "AllocationFailed"):
        pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets)).result()
    failed = pools.get(azure.group, CLUSTER, "taskworkers")
    assert failed.provisioning_state == "Failed"
    assert failed.status.provisioning_error.code == "ReconcileVMSSAgentPoolFailed"
    assert list(azure.aks.machines.list(azure.group, CLUSTER, "taskworkers")) == []
    assert azure.aks.managed_clusters.get(azure.group, CLUSTER).provisioning_state == "Succeeded"
    azure.aks.managed_clusters.begin_update_tags(azure.group, CLUSTER, {"tags": {"metaflow-stack": "default"}}).result()
    assert pools.get(azure.group, CLUSTER, "taskworkers").provisioning_state == "Failed", "a change of the cluster's tags repairs no pool"
    with refused("PropertyChangeNotAllowed", "Changing property 'properties.vmSize' is not allowed."):
        pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets, vmSize="Standard_D4s_v3"))
    repaired = pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets)).result()
    assert repaired.provisioning_state == "Succeeded"
    assert repaired.status is None
    pools.begin_delete(azure.group, CLUSTER, "taskworkers").result()
    other = pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets, vmSize="Standard_D4s_v3")).result()
    assert other.vm_size == "Standard_D4s_v3"
    pools.begin_delete(azure.group, CLUSTER, "taskworkers").result()


def test_the_last_system_pool_stays(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    with refused("OperationNotAllowed", "There has to be at least one system agent pool."):
        azure.aks.agent_pools.begin_delete(azure.group, CLUSTER, "system").result()
    body = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5", "mode": "User", "vnetSubnetID": subnets["k8s"]}}
    with refused("OperationNotAllowed"):
        azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, "system", body)


def test_one_operation_at_a_time_and_abort(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    path = f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}/agentPools"
    azure.emulator.run("settings", "durations.agentPools=60")
    try:
        assert azure.call("PUT", f"{path}/slow", workers(subnets), "2025-10-01").status_code == 201
        second = azure.call("PUT", f"{path}/second", workers(subnets), "2025-10-01")
        assert second.status_code == 409
        assert second.json()["code"] == "OperationNotAllowed"
        assert "in progress" in second.json()["message"]
        azure.emulator.run("settings", "durations.agentPools=")
        azure.aks.agent_pools.begin_abort_latest_operation(azure.group, CLUSTER, "slow").result()
        assert azure.aks.agent_pools.get(azure.group, CLUSTER, "slow").provisioning_state == "Canceled"
        assert azure.call("POST", f"{path}/slow/abort", version="2025-10-01").status_code == 204
    finally:
        azure.emulator.run("settings", "durations.agentPools=")
    azure.aks.agent_pools.begin_delete(azure.group, CLUSTER, "slow").result()


def test_what_never_changes(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    for changes in ({"dnsPrefix": "other"}, {"nodeResourceGroup": "rg-other"}):
        with refused("PropertyChangeNotAllowed"):
            azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, wanted(subnets, **changes))
    with refused("PropertyChangeNotAllowed", "networkProfile.serviceCidr"):
        network = {"serviceCidr": "10.101.0.0/16", "dnsServiceIP": "10.101.0.10"}
        azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, wanted(subnets, network=network))
    with refused("OIDCIssuerFeatureCannotBeDisabled"):
        body = wanted(subnets, oidcIssuerProfile={"enabled": False}, securityProfile={})
        azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, body)
    with refused("OperationNotAllowed", "Upgrading Kubernetes version"):
        azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, wanted(subnets, kubernetesVersion="1.37"))


def test_putting_the_same_again_and_upgrading(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    body = wanted(subnets)
    del body["identity"]
    again = azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, body).result()
    assert again.identity.principal_id == cluster.identity.principal_id
    assert (again.fqdn, again.oidc_issuer_profile.issuer_url) == (cluster.fqdn, cluster.oidc_issuer_profile.issuer_url)
    profile = azure.aks.managed_clusters.get_upgrade_profile(azure.group, CLUSTER)
    assert "1.36.2" in [upgrade.kubernetes_version for upgrade in profile.control_plane_profile.upgrades]
    body = copy.deepcopy(wanted(subnets, kubernetesVersion="1.36"))
    upgraded = azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, body).result()
    assert upgraded.current_kubernetes_version == "1.36.2"
    assert upgraded.agent_pool_profiles[0].orchestrator_version == "1.35", "pools keep their version until they are upgraded"
    available = azure.aks.agent_pools.get_available_agent_pool_versions(azure.group, CLUSTER)
    assert "1.36.2" in [version.kubernetes_version for version in available.agent_pool_versions]


def test_pools_left_out_of_a_clusters_body_are_deleted(azure: Azure, cluster: t.Any, subnets: dict[str, str], tmp_path: pathlib.Path) -> None:
    azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, "extra", workers(subnets)).result()
    azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, wanted(subnets, kubernetesVersion=None)).result()
    assert [each.name for each in azure.aks.agent_pools.list(azure.group, CLUSTER)] == ["system"]
    assert kubectl(azure, tmp_path, "get", "nodes", "-l", "agentpool=extra", "-o", "name") == ""


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": {"serviceCidr": "10.2.0.0/16", "dnsServiceIP": "10.2.0.10"}}, "ServiceCidrOverlapExistingSubnetsCidr"),
        ({"network": {"podCidr": "10.2.0.0/16"}}, "PodCidrOverlapExistingSubnetsCidr"),
        ({"network": {"podCidr": "10.100.0.0/16"}}, "PodCidrOverlapServiceCidr"),
        ({"network": {"dnsServiceIP": "10.101.0.10"}}, "InvalidDNSServiceIP"),
        ({"network": {"networkPlugin": "kubenet", "networkPluginMode": None, "networkPolicy": "azure"}}, "NetworkPolicyNotSupported"),
        ({"network": {"networkPolicy": "cilium"}}, "InvalidParameter"),
        ({"pool": {"mode": "User"}}, "OperationNotAllowed"),
        ({"pool": {"vnetSubnetID": "db"}}, "SubnetIsDelegated"),
        ({"pool": {"vnetSubnetID": "small", "count": 12}}, "InsufficientSubnetSize"),
        ({"pool": {"vmSize": "Standard_Nope"}}, "VMSizeNotSupported"),
        ({"pool": {"vmSize": "Standard_D96s_v5", "count": 2}}, "ErrCode_InsufficientVCPUQuota"),
        ({"kubernetesVersion": "1.20"}, "K8sVersionNotSupported"),
        ({"dnsPrefix": None}, "InvalidParameter"),
        ({"dnsPrefix": "-no-"}, "InvalidParameter"),
        ({"agentPoolProfiles": []}, "InvalidParameter"),
        ({"disableLocalAccounts": True}, "InvalidParameter"),
    ],
)
def test_clusters_that_are_refused(azure: Azure, subnets: dict[str, str], changes: dict[str, t.Any], code: str) -> None:
    changes = copy.deepcopy(changes)
    if "vnetSubnetID" in changes.get("pool", {}):
        changes["pool"]["vnetSubnetID"] = subnets[changes["pool"]["vnetSubnetID"]]
    with refused(code):
        azure.aks.managed_clusters.begin_create_or_update(azure.group, "aks-refused", wanted(subnets, **changes))
    assert azure.call("GET", f"{azure.group_id}/providers/{CLUSTERS}/aks-refused", version="2025-10-01").status_code == 404


def test_a_cluster_that_fails_stays(azure: Azure, subnets: dict[str, str], faults: Client) -> None:
    rule = "- {path: '*/managedClusters/aks-fails', method: PUT, operation_error: {code: AksCapacityHeavyUsage, message: The region is full.}}"
    faults.run("faults", "set", "-", text=rule)
    with refused("AksCapacityHeavyUsage", "The region is full."):
        empty = {"networkPolicy": "", "networkMode": ""}  # az and terraform ask for defaults with empty texts
        body = wanted(subnets, network=empty, pool={"orchestratorVersion": "", "kubeletDiskType": ""}, kubernetesVersion="", nodeResourceGroup="")
        azure.aks.managed_clusters.begin_create_or_update(azure.group, "aks-fails", body).result()
    failed = azure.aks.managed_clusters.get(azure.group, "aks-fails")
    assert (failed.kubernetes_version, failed.agent_pool_profiles[0].orchestrator_version) == ("1.35", "1.35")
    assert (failed.node_resource_group, failed.network_profile.network_policy) == (f"MC_{azure.group}_aks-fails_{REGION}", "none")
    assert failed.provisioning_state == "Failed"
    assert failed.status.provisioning_error.code == "AksCapacityHeavyUsage"
    with refused("OperationNotAllowed"):
        azure.aks.agent_pools.begin_create_or_update(azure.group, "aks-fails", "taskworkers", workers(subnets))
    with pytest.raises(HttpResponseError):
        azure.aks.managed_clusters.list_cluster_user_credentials(azure.group, "aks-fails")
    azure.aks.managed_clusters.begin_delete(azure.group, "aks-fails").result()
    assert azure.call("GET", f"{azure.group_id}/providers/{CLUSTERS}/aks-fails", version="2025-10-01").status_code == 404


def test_versions(azure: Azure) -> None:
    found = {version.version: version for version in azure.aks.managed_clusters.list_kubernetes_versions(REGION).values_property}
    assert [name for name, version in found.items() if version.is_default] == ["1.35"]
    assert "KubernetesOfficial" not in found["1.33"].capabilities.support_plan
    path = f"/subscriptions/{azure.emulator.subscription_id}/providers/Microsoft.ContainerService/locations/{REGION}/orchestrators"
    legacy = azure.call("GET", f"{path}?resource-type=managedClusters", version="2019-04-01").json()["properties"]["orchestrators"]
    assert {"orchestratorType", "orchestratorVersion", "upgrades"} <= set(legacy[0])
    assert sum(each.get("default", False) for each in legacy) == 1


def test_maintenance_configurations(azure: Azure, cluster: t.Any) -> None:
    schedule = {"schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": "Sunday"}}, "durationHours": 4, "startTime": "00:00"}
    body = {"properties": {"maintenanceWindow": schedule}}
    configurations = azure.aks.maintenance_configurations
    assert (
        azure.call("GET", f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}/maintenanceConfigurations/default", version="2025-10-01").status_code
        == 404
    )
    made = configurations.create_or_update(azure.group, CLUSTER, "aksManagedAutoUpgradeSchedule", body)
    assert made.maintenance_window.duration_hours == 4
    configurations.delete(azure.group, CLUSTER, "aksManagedAutoUpgradeSchedule")
    assert list(configurations.list_by_managed_cluster(azure.group, CLUSTER)) == []


def test_its_subnet_is_in_use(azure: Azure, cluster: t.Any) -> None:
    with refused("InUseSubnetCannotBeDeleted"):
        azure.network.subnets.begin_delete(azure.group, "vnet", "k8s").result()


def test_entra_and_local_accounts(azure: Azure, cluster: t.Any, subnets: dict[str, str]) -> None:
    entra = {"managed": True, "enableAzureRBAC": True}
    body = wanted(subnets, kubernetesVersion=None, aadProfile=entra, disableLocalAccounts=True)
    changed = azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, body).result()
    assert changed.aad_profile.tenant_id == azure.emulator.tenant_id
    with refused("BadRequest", "Getting static credential is not allowed because this cluster is set to disable local accounts."):
        azure.aks.managed_clusters.list_cluster_admin_credentials(azure.group, CLUSTER)
    user = yaml.safe_load(bytes(azure.aks.managed_clusters.list_cluster_user_credentials(azure.group, CLUSTER).kubeconfigs[0].value))["users"][0][
        "user"
    ]
    assert user["exec"]["command"] == "kubelogin"
    assert "get-token" in user["exec"]["args"]
    body = wanted(subnets, kubernetesVersion=None, disableLocalAccounts=False)
    azure.aks.managed_clusters.begin_create_or_update(azure.group, CLUSTER, body).result()


def test_stop_start_and_delete(azure: Azure, cluster: t.Any, subnets: dict[str, str], tmp_path: pathlib.Path) -> None:
    clusters = azure.aks.managed_clusters
    clusters.begin_stop(azure.group, CLUSTER).result()
    assert clusters.get(azure.group, CLUSTER).power_state.code == "Stopped"
    with refused("OperationNotAllowed", "stopped"):
        azure.aks.agent_pools.begin_create_or_update(azure.group, CLUSTER, "taskworkers", workers(subnets))
    clusters.begin_start(azure.group, CLUSTER).result()
    assert clusters.get(azure.group, CLUSTER).power_state.code == "Running"
    assert kubectl(azure, tmp_path, "get", "configmap", "one", "-o", "jsonpath={.data.a}", admin=True) == "b"
    clusters.begin_delete(azure.group, CLUSTER).result()
    with pytest.raises(ResourceNotFoundError):
        clusters.get(azure.group, CLUSTER)
    assert azure.call("DELETE", f"{azure.group_id}/providers/{CLUSTERS}/{CLUSTER}", version="2025-10-01").status_code == 204
    with pytest.raises(ResourceNotFoundError):
        azure.resources.resource_groups.get(cluster.node_resource_group)
    azure.network.subnets.begin_delete(azure.group, "vnet", "k8s").result()
