"""Microsoft.ContainerService: managed clusters, their pools, versions and maintenance windows."""

from __future__ import annotations

import typing as t

from . import container_service_versions as versions
from .arm.errors import resource_not_found
from .arm.resource import Body, Call, Naming, Provider, Record, ResourceType, Route
from .container_service_cluster import ManagedClusters
from .container_service_pool_rules import CLUSTER, POOL
from .container_service_pools import AgentPools

SCHEDULES = ("default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")


class MaintenanceConfigurations(ResourceType):
    """When the service may work on a cluster; kept as data, as nothing here is upgraded by itself."""

    type = f"{CLUSTER}/maintenanceConfigurations"
    model = "azure.mgmt.containerservice.models.MaintenanceConfiguration"
    tracked = False
    location = "none"
    provisioning_state = False
    methods = frozenset({"GET", "PUT", "DELETE"})
    naming = Naming(
        "|".join(SCHEDULES),
        "InvalidParameter",
        f"The maintenance configuration name '{{name}}' is invalid; it must be one of {', '.join(SCHEDULES)}.",
    )


async def kubernetes_versions(call: Call) -> Body:
    """Minor versions that a region offers."""
    return versions.kubernetes_versions()


async def orchestrators(call: Call) -> Body:
    """The older list of versions."""
    return versions.orchestrators(call.parameters["subscription"], call.parameters["location"])


def _found(call: Call) -> tuple[Record, Record | None]:
    """The cluster, and the pool where the path names one."""
    names = call.parameters
    cluster_id = f"/subscriptions/{names['subscription']}/resourceGroups/{names['group']}/providers/{CLUSTER}/{names['cluster']}"
    cluster = call.manager.get(cluster_id)
    if cluster is None:
        raise resource_not_found(CLUSTER, names["cluster"], names["group"])
    pool = call.manager.get(f"{cluster_id}/agentPools/{names['pool']}") if "pool" in names else None
    if "pool" in names and pool is None:
        raise resource_not_found(POOL, f"{names['cluster']}/{names['pool']}", names["group"])
    return cluster, pool


def _upgrades(current: str) -> list[Body]:
    return [{"kubernetesVersion": version} for version in versions.upgrades(current)]


async def upgrade_profile(call: Call) -> Body:
    """Versions that a cluster can be upgraded to."""
    cluster, _ = _found(call)
    current = cluster.properties["currentKubernetesVersion"]
    pools = [
        {
            "kubernetesVersion": pool.properties["currentOrchestratorVersion"],
            "name": pool.name,
            "osType": pool.properties["osType"],
            "upgrades": _upgrades(pool.properties["currentOrchestratorVersion"]),
        }
        for pool in call.manager.children(cluster.id, POOL)
    ]
    control_plane = {"kubernetesVersion": current, "osType": "Linux", "upgrades": _upgrades(current)}
    return {
        "id": f"{cluster.id.replace('/resourceGroups/', '/resourcegroups/')}/upgradeprofiles/default",
        "name": "default",
        "type": f"{CLUSTER}/upgradeprofiles",
        "properties": {"controlPlaneProfile": control_plane, "agentPoolProfiles": pools},
    }


async def pool_upgrade_profile(call: Call) -> Body:
    """Versions that a pool can be upgraded to: none newer than the control plane's."""
    cluster, pool = _found(call)
    assert pool is not None
    current, newest = pool.properties["currentOrchestratorVersion"], versions.order(cluster.properties["currentKubernetesVersion"])
    return {
        "id": f"{pool.id.replace('/resourceGroups/', '/resourcegroups/')}/upgradeProfiles/default",
        "name": "default",
        "type": f"{POOL}/upgradeProfiles",
        "properties": {
            "kubernetesVersion": current,
            "osType": pool.properties["osType"],
            "upgrades": [entry for entry in _upgrades(current) if versions.order(entry["kubernetesVersion"]) <= newest],
            "latestNodeImageVersion": pool.properties["nodeImageVersion"],
        },
    }


async def available_versions(call: Call) -> Body:
    """Versions that a new pool of a cluster can have."""
    cluster, _ = _found(call)
    current = versions.order(cluster.properties["currentKubernetesVersion"])
    fitting = [patch for minor in versions.MINORS for patch in minor.patches if versions.order(patch) <= current]
    default = cluster.properties["currentKubernetesVersion"]
    return {
        "id": f"{cluster.id.replace('/resourceGroups/', '/resourcegroups/')}/availableAgentPoolVersions",
        "name": "default",
        "type": f"{CLUSTER}/availableAgentPoolVersions",
        "properties": {
            "agentPoolVersions": [{"kubernetesVersion": patch, **({"default": True} if patch == default else {})} for patch in fitting],
        },
    }


async def machines(call: Call) -> Body:
    """The machines of a pool: what its nodes run on. A pool that failed for want of machines has none."""
    cluster, pool = _found(call)
    assert pool is not None
    nodes: list[Body] = []
    if cluster.properties["powerState"]["code"] == "Running" and "ca" in cluster.private:
        found = await call.emulator.kubernetes.api(cluster.key).request("GET", f"/api/v1/nodes?labelSelector=agentpool={pool.name}")
        nodes = found["items"]
    return {"value": [_machine(pool, node) for node in nodes]}


def _machine(pool: Record, node: Body) -> Body:
    name, addresses = node["metadata"]["name"], node["status"]["addresses"]
    return {
        "id": f"{pool.id.replace('/resourceGroups/', '/resourcegroups/')}/machines/{name}",
        "name": name,
        "type": f"{POOL}/machines",
        "properties": {
            "network": {"ipAddresses": [{"family": "IPv4", "ip": one["address"]} for one in addresses if one["type"] == "InternalIP"]},
            "resourceId": node["spec"]["providerID"].removeprefix("azure://"),
        },
    }


_REGION = "/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}"
_CLUSTER = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{cluster}"
_TYPES: t.Sequence[ResourceType] = (ManagedClusters(), AgentPools(), MaintenanceConfigurations())
PROVIDER = Provider(
    "Microsoft.ContainerService",
    types=_TYPES,
    routes=[
        Route("GET", f"{_REGION}/kubernetesVersions", kubernetes_versions, "Microsoft.ContainerService/locations/kubernetesVersions/read"),
        Route("GET", f"{_REGION}/orchestrators", orchestrators, "Microsoft.ContainerService/locations/orchestrators/read"),
        Route("GET", f"{_CLUSTER}/upgradeProfiles/default", upgrade_profile, f"{CLUSTER}/upgradeProfiles/read"),
        Route("GET", f"{_CLUSTER}/availableAgentPoolVersions", available_versions, f"{CLUSTER}/availableAgentPoolVersions/read"),
        Route("GET", f"{_CLUSTER}/agentPools/{{pool}}/upgradeProfiles/default", pool_upgrade_profile, f"{POOL}/upgradeProfiles/read"),
        Route("GET", f"{_CLUSTER}/agentPools/{{pool}}/machines", machines, f"{POOL}/machines/read"),
    ],
)
