"""What an agent pool may be: its defaults, and what AKS refuses."""

from __future__ import annotations

import re

from . import container_service_network as network
from . import container_service_sizes as sizes
from . import container_service_versions as versions
from .arm import access, regions
from .arm.errors import ArmError
from .arm.manager import ResourceManager
from .arm.resource import Body, Call
from .container_service_network import refusal

CLUSTER = "Microsoft.ContainerService/managedClusters"
POOL = f"{CLUSTER}/agentPools"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
DEFAULT_SIZE = "Standard_D4s_v5"  # what the service chooses, and then shows in lower case
NODE_IMAGES = {"Ubuntu": "AKSUbuntu-2204gen2containerd", "AzureLinux": "AzureLinux-V3gen2", "Windows2022": "AKSWindows-2022-containerd-gen2"}
NODE_IMAGE_DATE = "202610.26.0"
MAX_POOLS, MAX_NODES = 100, 1000
MINIMUM = {"System": sizes.Minimum(2, 4), "User": sizes.Minimum(2, 2), "Gateway": sizes.Minimum(2, 2)}
IMMUTABLE = (
    *("vmSize", "osType", "osSKU", "type", "vnetSubnetID", "podSubnetID", "maxPods", "osDiskType", "osDiskSizeGB", "kubeletDiskType"),
    *(
        "scaleSetPriority",
        "scaleSetEvictionPolicy",
        "availabilityZones",
        "enableFIPS",
        "enableEncryptionAtHost",
        "enableUltraSSD",
        "gpuInstanceProfile",
    ),
)


def complete(properties: Body, before: Body | None, *, cluster: Body) -> Body:
    """The whole profile of a pool, in the order that Azure shows it; `cluster` is the cluster's properties with its network profile."""
    wanted = {name: value for name, value in properties.items() if value is not None}
    if before is not None:
        kept = {
            name: value
            for name, value in before.items()
            if name not in ("status", "availabilityZones", "minCount", "maxCount", "nodeTaints", "nodeLabels")
        }
        merged = {**kept, **wanted}
    else:
        os = wanted.get("osType", "Linux")
        merged = {**_defaults(os, cluster), **wanted}
    merged["vmSize"] = merged.get("vmSize") or DEFAULT_SIZE.lower()
    version = merged["orchestratorVersion"]
    merged["currentOrchestratorVersion"] = versions.resolve(version) or version
    merged["upgradeSettings"] = {"maxSurge": "10%", "maxUnavailable": "0", **(merged.get("upgradeSettings") or {})}
    image = NODE_IMAGES.get(merged["osSKU"], f"AKS{merged['osSKU']}containerd")
    merged.setdefault("nodeImageVersion", f"{image}-{NODE_IMAGE_DATE}")
    return merged


def _defaults(os: str, cluster: Body) -> Body:
    return {
        "count": 1,
        "osDiskSizeGB": 128,
        "osDiskType": "Managed",
        "kubeletDiskType": "OS",
        "maxPods": network.max_pods(cluster["networkProfile"]),
        "type": "VirtualMachineScaleSets",
        "enableAutoScaling": False,
        "scaleDownMode": "Delete",
        "powerState": {"code": "Running"},
        "orchestratorVersion": cluster["kubernetesVersion"],
        "enableNodePublicIP": False,
        "mode": "User",
        "osType": os,
        "osSKU": "Ubuntu" if os == "Linux" else "Windows2022",
        "enableFIPS": False,
        "securityProfile": {"enableVTPM": False, "enableSecureBoot": False},
    }


def check(manager: ResourceManager, name: str, pool: Body, before: Body | None, *, location: str, cluster_version: str) -> None:
    """Raise ArmError for a whole profile that AKS refuses whatever else the cluster has."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", name) or (pool["osType"] == "Windows" and len(name) > 6):
        limit = 6 if pool["osType"] == "Windows" else 12
        message = (
            f"The value of parameter agentPoolProfile.name is invalid. Error details: agent pool name '{name}' must start with a lower-case letter, "
            f"hold lower-case letters and digits only, and have at most {limit} characters."
        )
        raise refusal("InvalidParameter", message, "agentPoolProfile.name")
    for property_name in IMMUTABLE if before else ():
        old, new = (before or {}).get(property_name), pool.get(property_name)
        if old is not None and new is not None and str(old).lower() != str(new).lower():
            raise unchangeable(property_name)
    _check_counts(pool)
    if before is None or pool["mode"] != before["mode"]:
        sizes.check_size(manager, pool["vmSize"], location, pool["mode"], MINIMUM[pool["mode"]])
    if pool["mode"] == "System" and (pool["osType"] != "Linux" or pool.get("scaleSetPriority") == "Spot"):
        raise refusal("InvalidParameter", "A system agent pool must be a regular pool with Linux nodes.", "agentPoolProfile.mode")
    if pool.get("availabilityZones") and not regions.BY_NAME[location].zones:
        message = (
            f"Preflight validation check for resource(s) for container service failed. Message: availability zones are not supported in {location}."
        )
        raise refusal("AvailabilityZoneNotSupported", message, "agentPoolProfile.availabilityZones")
    for taint in pool.get("nodeTaints") or []:
        if not re.fullmatch(r"[\w./-]+(=[\w.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)", taint):
            raise refusal("InvalidParameter", f"Taint '{taint}' is invalid: it must be of the form key=value:effect.", "agentPoolProfile.nodeTaints")
    _check_version(pool["orchestratorVersion"], cluster_version)


def unchangeable(property_name: str) -> ArmError:
    """400 of a change to a property that never changes."""
    path = f"properties.{property_name}"
    return refusal("PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.", path)


def _check_counts(pool: Body) -> None:
    count, low, high = pool["count"], pool.get("minCount"), pool.get("maxCount")
    least = 1 if pool["mode"] == "System" else 0
    if not least <= count <= MAX_NODES:
        message = f"The value of parameter agentPoolProfile.count is invalid: {count} is not between {least} and {MAX_NODES}."
        raise refusal("InvalidParameter", message, "agentPoolProfile.count")
    if not pool["enableAutoScaling"]:
        if low is not None or high is not None:
            message = "The parameters minCount and maxCount are only valid when enableAutoScaling is true."
            raise refusal("InvalidParameter", message, "agentPoolProfile.enableAutoScaling")
        return
    if low is None or high is None:
        raise refusal(
            "InvalidParameter", "The parameters minCount and maxCount are required when enableAutoScaling is true.", "agentPoolProfile.minCount"
        )
    if not least <= low <= high <= MAX_NODES:
        message = f"The parameters minCount {low} and maxCount {high} are invalid: {least} <= minCount <= maxCount <= {MAX_NODES} is required."
        raise refusal("InvalidParameter", message, "agentPoolProfile.minCount")
    if not low <= count <= high:
        message = f"The value of parameter agentPoolProfile.count is invalid: {count} is not between minCount {low} and maxCount {high}."
        raise refusal("InvalidParameter", message, "agentPoolProfile.count")


def _check_version(version: str, cluster_version: str) -> None:
    resolved, newest = versions.resolve(version), versions.resolve(cluster_version)
    if resolved is None:
        raise refusal("K8sVersionNotSupported", f"Version {version} is not supported in this region.", "agentPoolProfile.orchestratorVersion")
    if newest is not None and versions.order(resolved) > versions.order(newest):
        message = f"Node pool version {version} can't be newer than the control plane's version {cluster_version}."
        raise refusal("NodePoolMcVersionIncompatible", message, "agentPoolProfile.orchestratorVersion")


def check_subnet_access(call: Call, pool: Body, action: str, scope: str) -> None:
    """Raise ArmError where the caller may not put machines into the pool's subnet."""
    if pool.get("vnetSubnetID"):
        access.require_linked(call.emulator, call.principal, action, scope, JOIN, pool["vnetSubnetID"])


def require_system_pool(pools: list[Body]) -> None:
    """Raise ArmError where no pool is left that the cluster's own pods can run on."""
    if not any(pool["mode"] == "System" for pool in pools):
        raise refusal("OperationNotAllowed", "There has to be at least one system agent pool.", "agentPoolProfile.mode")
