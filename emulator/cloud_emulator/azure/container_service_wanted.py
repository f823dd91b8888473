"""What a cluster's body asks for: refused where AKS refuses it, filled in as AKS fills it in."""

from __future__ import annotations

import copy
import hashlib
import re
import uuid

from . import container_service_network as network
from . import container_service_pool_rules as pool_rules
from . import container_service_sizes as sizes
from . import container_service_versions as versions
from .arm import regions
from .arm.ids import ResourceId
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Record
from .container_service_network import refusal
from .container_service_pool_rules import CLUSTER, POOL

DNS_PREFIX = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,52}[a-zA-Z0-9])?"
#: newest minor version whose clusters have no OIDC issuer unless it is asked for
LAST_WITHOUT_ISSUER = (1, 33)
DEFAULTS: Body = {
    "enableRBAC": True,
    "supportPlan": "KubernetesOfficial",
    "maxAgentPools": pool_rules.MAX_POOLS,
    "disableLocalAccounts": False,
    "securityProfile": {},
    "storageProfile": {"diskCSIDriver": {"enabled": True}, "fileCSIDriver": {"enabled": True}, "snapshotController": {"enabled": True}},
    "workloadAutoScalerProfile": {},
    "metricsProfile": {"costAnalysis": {"enabled": False}},
    "nodeProvisioningProfile": {"mode": "Manual", "defaultNodePools": "Auto"},
    "bootstrapProfile": {"artifactSource": "Direct"},
    "autoUpgradeProfile": {"nodeOSUpgradeChannel": "NodeImage"},
    "servicePrincipalProfile": {"clientId": "msi"},
}


def check_new(call: Call, body: Body) -> None:
    """Raise ArmError for what only a new cluster is refused for."""
    properties = body.get("properties") or {}
    prefix = properties.get("dnsPrefix") or properties.get("fqdnSubdomain")
    if not prefix:
        raise refusal("InvalidParameter", "Required parameter dnsPrefix is missing (null).", "dnsPrefix")
    if not re.fullmatch(DNS_PREFIX, prefix):
        message = f"The value of parameter dnsPrefix is invalid: '{prefix}' must have 1 to 54 letters, digits and hyphens, hyphens not at the ends."
        raise refusal("InvalidParameter", message, "dnsPrefix")
    if not properties.get("agentPoolProfiles"):
        raise refusal("InvalidParameter", "Required parameter agentPoolProfiles is missing (null).", "agentPoolProfiles")
    if not body.get("identity") and not (properties.get("servicePrincipalProfile") or {}).get("clientId"):
        message = "Required parameter servicePrincipalProfile is missing (null): a cluster needs a managed identity or a service principal."
        raise refusal("InvalidParameter", message, "servicePrincipalProfile")
    group = call.manager.get(f"/subscriptions/{call.resource_id.subscription}/resourceGroups/{node_group(call.resource_id, body)}")
    if group is not None:
        message = f"The node resource group '{group.name}' already exists; choose another nodeResourceGroup."
        raise refusal("NodeResourceGroupAlreadyExists", message, "nodeResourceGroup", 409)


def check_access(properties: Body, before: Record | None) -> None:
    """Raise ArmError for settings of accounts, issuer and identities that don't fit each other or can't be taken back."""
    earlier = before.properties if before else {}
    entra = properties.get("aadProfile") or earlier.get("aadProfile")
    if properties.get("disableLocalAccounts") and not entra:
        raise refusal(
            "InvalidParameter",
            "disableLocalAccounts is only allowed for clusters with managed Microsoft Entra integration.",
            "disableLocalAccounts",
        )
    if entra and not entra.get("managed"):
        raise refusal("LegacyAADNotSupported", "Only managed Microsoft Entra integration is supported; set aadProfile.managed.", "aadProfile.managed")
    issuer = properties.get("oidcIssuerProfile") or {}
    if issuer.get("enabled") is False and (earlier.get("oidcIssuerProfile") or {}).get("enabled"):
        message = "The OIDC issuer feature can't be disabled once it is enabled."
        raise refusal("OIDCIssuerFeatureCannotBeDisabled", message, "oidcIssuerProfile.enabled")
    workload = ((properties.get("securityProfile") or {}).get("workloadIdentity") or {}).get("enabled")
    if workload and issuer.get("enabled") is False:
        message = "Workload identity needs the OIDC issuer; set oidcIssuerProfile.enabled."
        raise refusal("WorkloadIdentityRequiresOIDCIssuer", message, "securityProfile.workloadIdentity")


def check_pools(call: Call, body: Body, before: Record | None, profile: Body) -> None:
    """Raise ArmError for pools that AKS refuses, each by itself and all together."""
    wanted = wanted_pools(call, body, before, profile)
    location = before.location if before else regions.normal(body["location"])
    names = [name for name, _, _ in wanted]
    if len(set(names)) < len(names):
        raise refusal("InvalidParameter", "The names of agent pools must be unique.", "agentPoolProfile.name")
    version = version_of(body, before)
    for name, pool, earlier in wanted:
        pool_rules.check(call.manager, name, pool, earlier.properties if earlier else None, location=location, cluster_version=version)
        pool_rules.check_subnet_access(call, pool, f"{CLUSTER}/write", str(call.resource_id))
    everything = [pool for _, pool, _ in wanted] or [record.properties for record in pools_of(call.manager, before)]
    pool_rules.require_system_pool(everything)
    network.check_subnets(call.manager, profile, everything, location)
    sizes.check_cluster_quota(call.manager, [(pool, earlier) for _, pool, earlier in wanted], location)


def check_version(wanted: str | None, before: Record | None) -> None:
    """Raise ArmError for a version that isn't offered or that the cluster can't be upgraded to."""
    if wanted is None:
        return
    resolved = versions.resolve(wanted)
    current = before.properties["currentKubernetesVersion"] if before else None
    if resolved is None and wanted != current:
        minors = ", ".join(minor.name for minor in versions.MINORS)
        message = f"Managed cluster version {wanted} is not supported in this region; the supported versions are {minors}."
        raise refusal("K8sVersionNotSupported", message, "kubernetesVersion")
    if current is not None and resolved is not None and resolved != current and resolved not in versions.upgrades(current):
        message = f"Upgrading Kubernetes version {current} to {resolved} is not allowed. Available upgrades: {versions.upgrades(current)}."
        raise refusal("OperationNotAllowed", message, "kubernetesVersion")


def complete(call: Call, record: Record, before: Record | None) -> None:
    """Fill in the whole cluster, and put its pools' records beside it."""
    body, asked, earlier = record.body, copy.deepcopy(record.body), before.properties if before else None
    profile = network.with_defaults(record.properties.get("networkProfile") or {}, earlier["networkProfile"] if earlier else None)
    wanted = wanted_pools(call, asked, before, profile)
    asked_properties = {name: value for name, value in record.properties.items() if value is not None and name != "agentPoolProfiles"}
    properties = {**(earlier or copy.deepcopy(DEFAULTS)), **asked_properties, "networkProfile": profile}
    properties.pop("status", None)
    body["properties"] = properties
    properties["kubernetesVersion"] = version_of(asked, before)
    properties["currentKubernetesVersion"] = versions.resolve(properties["kubernetesVersion"])
    body["sku"] = {"name": "Base", "tier": "Free", **((before.body.get("sku") if before else None) or {}), **(body.get("sku") or {})}
    body.setdefault("kind", "Base")
    for profile_name, secret in (("servicePrincipalProfile", "secret"), ("windowsProfile", "adminPassword")):
        if properties.get(profile_name):
            properties[profile_name] = {name: value for name, value in properties[profile_name].items() if name != secret}
    if before is not None and "identity" in before.body:
        body.setdefault("identity", copy.deepcopy(before.body["identity"]))
    _complete_identity(call, record)
    _complete_addresses(call, record)
    _complete_access(call, record)
    properties["autoUpgradeProfile"] = {**DEFAULTS["autoUpgradeProfile"], **(properties.get("autoUpgradeProfile") or {})}
    if before is not None:
        body["tags"] = body.get("tags", before.body.get("tags"))
    _keep_pools(call, record, wanted, before)


def _complete_identity(call: Call, record: Record) -> None:
    identity = record.body.get("identity")
    if not identity or identity.get("type") == "None":
        return
    if identity["type"] == "SystemAssigned":
        principal = call.emulator.directory.add_managed_identity(record.name, record.id)
        identity.update(principalId=principal.object_id, tenantId=call.emulator.tenant_id)
        return
    for name in identity.get("userAssignedIdentities") or {}:
        found = call.emulator.directory.by_resource_id(name)
        if found is None:
            raise refusal("ManagedIdentityNotFound", f"The identity '{name}' was not found.", "identity.userAssignedIdentities")
        identity["userAssignedIdentities"][name] = {"principalId": found.object_id, "clientId": found.app_id}


def _complete_addresses(call: Call, record: Record) -> None:
    properties, location = record.properties, record.location
    properties.setdefault("nodeResourceGroup", node_group(call.resource_id, record.body))
    properties.setdefault("powerState", {"code": "Running"})
    properties.setdefault("resourceUID", uuid.uuid4().hex[:24])
    if "fqdn" not in properties:
        random = hashlib.sha256(f"{record.key}{properties['resourceUID']}".encode()).hexdigest()[:8]
        name = f"{properties['dnsPrefix']}-{random}" if properties.get("dnsPrefix") else properties["fqdnSubdomain"]
        properties["fqdn"] = f"{name.lower()}.hcp.{location}.azmk8s.io"
        properties["azurePortalFQDN"] = f"{name.lower()}.portal.hcp.{location}.azmk8s.io"
    if (properties.get("apiServerAccessProfile") or {}).get("enablePrivateCluster"):
        host = properties["fqdn"].partition(".")[0]
        properties.setdefault("privateFQDN", f"{host}.{uuid.uuid4()}.privatelink.{location}.azmk8s.io")


def _complete_access(call: Call, record: Record) -> None:
    properties = record.properties
    workload = ((properties.get("securityProfile") or {}).get("workloadIdentity") or {}).get("enabled")
    modern = versions.order(properties["kubernetesVersion"])[:2] > LAST_WITHOUT_ISSUER
    issuer = properties.setdefault("oidcIssuerProfile", {"enabled": bool(workload) or modern})
    url = record.private.setdefault("issuer", f"https://{record.location}.oic.prod-aks.azure.com/{call.emulator.tenant_id}/{uuid.uuid4()}/")
    if issuer.get("enabled"):
        issuer["issuerURL"] = url
    if properties.get("aadProfile"):
        properties["aadProfile"].setdefault("tenantID", call.emulator.tenant_id)
        properties["aadProfile"].setdefault("enableAzureRBAC", False)


def _keep_pools(call: Call, record: Record, wanted: list[tuple[str, Body, Record | None]], before: Record | None) -> None:
    """Make the pools' records what the body asks for; those that it leaves out are deleted, as the service does."""
    if not wanted:
        return
    for name, pool, earlier in wanted:
        resource_id = f"{record.id}/agentPools/{name}"
        kept = earlier or Record(resource_id, POOL, {"id": resource_id, "name": name, "type": POOL}, created=record.created)
        kept.state = "Updating" if earlier else "Creating"
        kept.body["properties"] = pool
        call.manager.put(kept)
    names = {name.lower() for name, _, _ in wanted}
    for gone in pools_of(call.manager, before):
        if gone.name.lower() not in names:
            gone.state = "Deleting"
            call.manager.put(gone)


def version_of(body: Body, before: Record | None) -> str:
    """`kubernetesVersion` as asked for, as it was, or the default."""
    wanted = (body.get("properties") or {}).get("kubernetesVersion")
    kept = before.properties["kubernetesVersion"] if before else versions.default_version()
    return str(wanted or kept)


def node_group(resource_id: ResourceId, body: Body) -> str:
    """Name of the group that the service makes for the machines."""
    location = regions.normal(body.get("location", ""))
    default = f"MC_{resource_id.resource_group}_{resource_id.name}_{location}"[:80]
    return str((body.get("properties") or {}).get("nodeResourceGroup") or default)


def host(properties: Body) -> str:
    """Host name that the API server is reached by."""
    return str(properties.get("privateFQDN") or properties["fqdn"])


def pools_of(manager: ResourceManager, cluster: Record | None) -> list[Record]:
    """Records of a cluster's pools."""
    return manager.children(cluster.id, POOL) if cluster else []


def wanted_pools(call: Call, body: Body, before: Record | None, profile: Body) -> list[tuple[str, Body, Record | None]]:
    """The pools that a cluster's body lists: name, whole profile, the record of one that is there."""
    found = {record.name.lower(): record for record in pools_of(call.manager, before)}
    listed = [dict(pool) for pool in (body.get("properties") or {}).get("agentPoolProfiles") or []]
    if before is None and listed and not any(pool.get("mode") for pool in listed):
        listed[0]["mode"] = "System"
    cluster = {"kubernetesVersion": version_of(body, before), "networkProfile": profile}
    wanted = []
    for pool in listed:
        name = str(pool.pop("name", ""))
        earlier = found.get(name.lower())
        wanted.append((name, pool_rules.complete(pool, earlier.properties if earlier else None, cluster=cluster), earlier))
    return wanted
