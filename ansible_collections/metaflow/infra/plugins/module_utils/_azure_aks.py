# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An AKS cluster as data: the body that the options declare, and what AKS can't change. Pure.

Facts: the version is given as ``major.minor`` and AKS keeps that spelling (``kubernetesVersion``) beside the patch it runs
(``currentKubernetesVersion``). A PUT replaces the cluster, so an update sends the live cluster with the declared values set and
every live pool in it. A cluster that failed keeps existing; the same PUT again makes AKS reconcile it.
"""

from __future__ import annotations

import typing as t

from ._azure_compute import Wish
from ._azure_kubernetes_version import fault as version_fault
from ._azure_kubernetes_version import upgrade
from ._compare import Rules

Json = dict[str, t.Any]

API_VERSION: t.Final = "2025-10-01"
TYPE: t.Final = "Microsoft.ContainerService/managedClusters"
SETTLED: t.Final = frozenset({"Succeeded", "Failed", "Canceled"})  # every other provisioningState is an operation in progress


def same_or_none(wanted: t.Any, live: t.Any) -> bool:
    """``none`` is also what AKS calls a setting that it doesn't return."""
    return str(wanted or "none").lower() == str(live or "none").lower()


def same_set(wanted: t.Any, live: t.Any) -> bool:
    """An empty list is also what AKS doesn't return."""
    return sorted(map(str, wanted or ())) == sorted(map(str, live or ()))


def same_flag(wanted: t.Any, live: t.Any) -> bool:
    """Off is also what AKS doesn't return."""
    return bool(wanted) == bool(live)


FLAGS: t.Final = (
    "properties.apiServerAccessProfile.enablePrivateCluster",
    "properties.disableLocalAccounts",
    "properties.oidcIssuerProfile.enabled",
    "properties.securityProfile.workloadIdentity.enabled",
    "properties.aadProfile.enableAzureRBAC",
)
POOL_READ_ONLY: t.Final = ("eTag", "currentOrchestratorVersion", "nodeImageVersion", "provisioningState", "status", "localDNSProfile.state")
RULES: t.Final = Rules(
    read_only=(
        *("id", "name", "type", "eTag", "systemData", "identity.principalId", "identity.tenantId"),
        *("identity.userAssignedIdentities.*.principalId", "identity.userAssignedIdentities.*.clientId"),
        *(f"properties.agentPoolProfiles[].{name}" for name in POOL_READ_ONLY),
        *("properties.provisioningState", "properties.powerState", "properties.maxAgentPools", "properties.currentKubernetesVersion"),
        *("properties.fqdn", "properties.privateFQDN", "properties.azurePortalFQDN", "properties.resourceUID", "properties.status"),
        *("properties.oidcIssuerProfile.issuerURL", "properties.addonProfiles.*.identity", "properties.ingressProfile.webAppRouting.identity"),
        "properties.networkProfile.loadBalancerProfile.effectiveOutboundIPs",
        "properties.networkProfile.natGatewayProfile.effectiveOutboundIPs",
        "properties.privateLinkResources[].privateLinkServiceID",
    ),
    immutable=(
        *(
            "location",
            "properties.dnsPrefix",
            "properties.agentPoolProfiles[].vnetSubnetID",
            "properties.apiServerAccessProfile.enablePrivateCluster",
        ),
        *(f"properties.networkProfile.{name}" for name in ("podCidr", "serviceCidr", "dnsServiceIP")),
    ),
    create_only=(
        *("identity", "sku.name", "properties.networkProfile.loadBalancerSku"),
        *(f"properties.agentPoolProfiles[].{name}" for name in ("vmSize", "osType", "type", "mode")),
    ),
    ignore_case=("sku.tier", "properties.networkProfile.*"),
    equal={
        **dict.fromkeys(FLAGS, same_flag),
        "properties.autoUpgradeProfile.upgradeChannel": same_or_none,
        "properties.networkProfile.networkPolicy": same_or_none,
        "properties.apiServerAccessProfile.authorizedIPRanges": same_set,
        "properties.aadProfile.adminGroupObjectIDs": same_set,
    },
)

# Option (dots go into dictionaries) -> where it stands in the body.
PATHS: t.Final = {
    "location": "location",
    "tags": "tags",
    "sku_tier": "sku.tier",
    "kubernetes_version": "properties.kubernetesVersion",
    "dns_prefix": "properties.dnsPrefix",
    "network.plugin": "properties.networkProfile.networkPlugin",
    "network.plugin_mode": "properties.networkProfile.networkPluginMode",
    "network.policy": "properties.networkProfile.networkPolicy",
    "network.dataplane": "properties.networkProfile.networkDataplane",
    "network.pod_cidr": "properties.networkProfile.podCidr",
    "network.service_cidr": "properties.networkProfile.serviceCidr",
    "network.dns_service_ip": "properties.networkProfile.dnsServiceIP",
    "network.outbound_type": "properties.networkProfile.outboundType",
    "entra.azure_rbac": "properties.aadProfile.enableAzureRBAC",
    "entra.admin_group_object_ids": "properties.aadProfile.adminGroupObjectIDs",
    "oidc_issuer": "properties.oidcIssuerProfile.enabled",
    "workload_identity": "properties.securityProfile.workloadIdentity.enabled",
    "auto_upgrade_channel": "properties.autoUpgradeProfile.upgradeChannel",
    "authorized_ip_ranges": "properties.apiServerAccessProfile.authorizedIPRanges",
    "private_cluster": "properties.apiServerAccessProfile.enablePrivateCluster",
}


def dig(value: t.Any, path: str) -> t.Any:
    """The value at a dotted path, None where there is none."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def place(body: Json, path: str, value: t.Any) -> None:
    """Set the value at a dotted path."""
    *keys, last = path.split(".")
    for key in keys:
        body = body.setdefault(key, {})
    body[last] = value


def strings(values: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Tags or labels as Azure wants them: texts, YAML's true as ``true``."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}


def scaling(pool: t.Mapping[str, t.Any]) -> Json:
    """How many nodes a pool's options ask for, as its body says it. Under the autoscaler the count is only where it starts."""
    least, most, count = pool.get("min_count"), pool.get("max_count"), pool.get("count")
    autoscale = pool.get("autoscale")
    if autoscale is None and (least is not None or most is not None):
        autoscale = True
    body: Json = {} if autoscale is None else {"enableAutoScaling": autoscale}
    if autoscale:
        body |= {key: value for key, value in (("minCount", least), ("maxCount", most)) if value is not None}
        body["count"] = max(count or 0, least or 0)
    elif count is not None:
        body["count"] = count
    return body


def first_nodes(pool: t.Mapping[str, t.Any]) -> int:
    """Nodes that a new pool starts with, at least one: what quota is asked for."""
    return max(scaling(pool).get("count") or 0, 1)


def system_wish(params: t.Mapping[str, t.Any]) -> Wish:
    """The machines that the system pool wants. AKS refuses sizes of less than 2 vCPUs in a system pool."""
    pool = params["system_pool"]
    return Wish(tuple(pool["vm_sizes"]), first_nodes(pool))


def desired(params: t.Mapping[str, t.Any]) -> Json:
    """The body that the options declare; the size of the system pool's machines is chosen later."""
    body: Json = {}
    for option, path in PATHS.items():
        if (value := dig(params, option)) not in (None, ""):
            place(body, path, strings(value) if option == "tags" else value)
    if params.get("local_accounts") is not None:
        place(body, "properties.disableLocalAccounts", not params["local_accounts"])
    if dig(params, "entra.enabled"):
        place(body, "properties.aadProfile.managed", True)
    elif "aadProfile" in body.get("properties", {}):
        del body["properties"]["aadProfile"]
    if pool := params.get("system_pool"):
        profile = {"name": pool["name"], "mode": "System", "osType": "Linux", "type": "VirtualMachineScaleSets", **scaling(pool)}
        if params.get("subnet_id"):
            profile["vnetSubnetID"] = params["subnet_id"]
        place(body, "properties.agentPoolProfiles", [profile])
    body.setdefault("sku", {})["name"] = "Base"
    body["identity"] = {"type": "SystemAssigned"}
    place(body, "properties.networkProfile.loadBalancerSku", "standard")
    return body


def pruned(value: t.Any) -> t.Any:
    """The body without empty lists and dictionaries: at a creation they say nothing."""
    if isinstance(value, dict):
        kept = {key: pruned(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in ([], {})}
    return [pruned(inner) for inner in value] if isinstance(value, list) else value


def sized(body: Json, vm_size: str) -> Json:
    """The declared body with the size of its system pool's machines."""
    first, *others = body["properties"]["agentPoolProfiles"]
    return {**body, "properties": {**body["properties"], "agentPoolProfiles": [{**first, "vmSize": vm_size}, *others]}}


def adapted(name: str, wanted: Json, live: Json, params: t.Mapping[str, t.Any]) -> tuple[Json, str | None]:
    """The declared body as it is to be held against this cluster, and the sentence for what this cluster can't become."""
    properties = dict(wanted["properties"])
    if (version := properties.pop("kubernetesVersion", None)) is not None:
        channel = params.get("auto_upgrade_channel") or dig(live, "properties.autoUpgradeProfile.upgradeChannel")
        needed, fault = upgrade(name, version, live, channel)
        if fault:
            return wanted, fault
        if needed:
            properties["kubernetesVersion"] = version
            properties["agentPoolProfiles"] = upgraded_pools(properties.get("agentPoolProfiles") or [], live, version)
    for path, what in (("oidcIssuerProfile.enabled", "oidc_issuer"), ("aadProfile.managed", "entra")):
        off = dig(properties, path) is False if what == "oidc_issuer" else dig(params, "entra.enabled") is False
        if off and dig(live, f"properties.{path}"):
            return wanted, f"The cluster {name} has {what} on, and AKS can't turn it off again. Nothing was changed."
    plugin, has = dig(properties, "networkProfile.networkPlugin"), dig(live, "properties.networkProfile.networkPlugin")
    if plugin and has and plugin.lower() != has.lower() and (has.lower(), plugin.lower()) != ("kubenet", "azure"):
        return wanted, f"The cluster {name} has the network plugin {has} and {plugin} is wanted: AKS can't change that. Nothing was changed."
    declared = properties.pop("agentPoolProfiles", None) or []
    if pools := [known(pool) for pool in declared if live_pool(live, pool["name"])]:
        properties["agentPoolProfiles"] = pools
    return {**wanted, "properties": properties}, None


def live_pool(live: Json, name: str) -> Json | None:
    """The cluster's pool of that name."""
    return next((pool for pool in dig(live, "properties.agentPoolProfiles") or () if pool["name"] == name), None)


def known(pool: Json) -> Json:
    """A declared pool as it is to be held against a live one: under the autoscaler, how many nodes there are is the autoscaler's own."""
    return {key: value for key, value in pool.items() if key != "count" or not pool.get("enableAutoScaling")}


def remarks(params: t.Mapping[str, t.Any], live: Json) -> list[str]:
    """What the user should know of the live system pool, which is left as it is."""
    if not (system := params.get("system_pool")):
        return []
    pool = live_pool(live, system["name"])
    if pool is None:
        return [f"The cluster {params['name']} has no pool {system['name']}; its pools are left as they are."]
    if system["vm_sizes"] and pool["vmSize"].lower() not in map(str.lower, system["vm_sizes"]):
        return [
            f"The pool {pool['name']} runs {pool['vmSize']}, which is not in vm_sizes. It is left as it is: a pool's machine size can't be changed."
        ]
    return []


def faults(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options by themselves, each as one sentence."""
    found = []
    if params.get("local_accounts") is False and not dig(params, "entra.enabled"):
        found.append("local_accounts can only be false where entra.enabled is true: else nobody could log in.")
    if params.get("workload_identity") and params.get("oidc_issuer") is False:
        found.append("workload_identity needs oidc_issuer.")
    if bool(dig(params, "network.service_cidr")) != bool(dig(params, "network.dns_service_ip")):
        found.append("network.service_cidr and network.dns_service_ip go together.")
    if (version := params.get("kubernetes_version")) and (sentence := version_fault(version)):
        found.append(sentence)
    return found + scaling_faults(params.get("system_pool") or {}, "system_pool.")


def scaling_faults(pool: t.Mapping[str, t.Any], prefix: str = "") -> list[str]:
    """What is wrong with a pool's numbers of nodes."""
    least, most, found = pool.get("min_count"), pool.get("max_count"), []
    if (least is None) != (most is None):
        found.append(f"{prefix}min_count and {prefix}max_count go together.")
    if least is not None and most is not None and least > most:
        found.append(f"{prefix}min_count is {least} and {prefix}max_count {most}: the first can't be the greater.")
    if least == 0 and (prefix or pool.get("mode") == "System"):
        found.append(f"A System pool needs at least one node: {prefix}min_count is 0.")
    return found


def upgraded_pools(declared: list[Json], live: Json, version: str) -> list[Json]:
    """Each live pool at the new version, as ``az aks upgrade`` does: a control plane alone would leave nodes behind."""
    by_name = {pool["name"]: pool for pool in declared}
    pools = dig(live, "properties.agentPoolProfiles") or []
    return [{**by_name.get(pool["name"], {"name": pool["name"]}), "orchestratorVersion": version} for pool in pools]


def settled(body: Json) -> Json:
    """The body of an update in which every autoscaled pool's count lies between its bounds, as AKS wants it."""
    for pool in dig(body, "properties.agentPoolProfiles") or []:
        if pool.get("enableAutoScaling") and pool.get("count") is not None:
            pool["count"] = min(max(pool["count"], pool.get("minCount") or 0), pool.get("maxCount") or pool["count"])
        elif not pool.get("enableAutoScaling"):
            pool.pop("minCount", None)
            pool.pop("maxCount", None)
    return body


def state_of(resource: Json | None) -> str:
    """``provisioningState`` of a cluster or pool in words."""
    return "absent" if resource is None else dig(resource, "properties.provisioningState") or "unknown"


def failure_of(resource: Json) -> tuple[str, str]:
    """Code and message that AKS keeps with a failed cluster or pool; empty where it doesn't."""
    error = dig(resource, "properties.status.provisioningError") or {}
    details = " ".join(f"{one.get('code')}: {one.get('message')}" for one in error.get("details") or ())
    return error.get("code") or "", " ".join(filter(None, [error.get("message"), details]))
