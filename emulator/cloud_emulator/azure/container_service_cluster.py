"""Managed clusters: a real control plane behind each one."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import re
import typing as t
import uuid

from ..backends.kubernetes import Network
from ..clock import timestamp
from . import container_service_kubeconfig as kubeconfigs
from . import container_service_network as network
from . import container_service_pools as pools
from . import container_service_sizes as sizes
from . import container_service_versions as versions
from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Naming, Record, ResourceType, Response, Work
from .container_service_network import refusal
from .container_service_pools import CLUSTER, POOL

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager
    from .arm.operations import Operation

GROUP = "Microsoft.Resources/resourceGroups"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
DNS_PREFIX = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,52}[a-zA-Z0-9])?"
#: newest minor version whose clusters have no OIDC issuer unless it is asked for
LAST_WITHOUT_ISSUER = (1, 33)
DEFAULTS: Body = {
    "enableRBAC": True,
    "supportPlan": "KubernetesOfficial",
    "maxAgentPools": pools.MAX_POOLS,
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


class ManagedClusters(ResourceType):
    """A cluster; its pools are resources of their own, which `agentPoolProfiles` shows again."""

    type = CLUSTER
    model = "azure.mgmt.containerservice.models.ManagedCluster"
    patch_model = "azure.mgmt.containerservice.models.TagsObject"
    styles = styles.CONTAINER_SERVICE
    naming = Naming(
        r"[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?",
        "InvalidParameter",
        "The value of parameter resourceName is invalid: '{name}' must have 1 to 63 letters, digits, underscores and hyphens, "
        "and start and end with a letter or digit.",
    )
    immutable = (
        *("properties.dnsPrefix", "properties.fqdnSubdomain", "properties.nodeResourceGroup", "properties.enableRBAC", "properties.linuxProfile"),
        *(f"properties.networkProfile.{name}" for name in ("networkPlugin", "serviceCidr", "dnsServiceIP", "podCidr", "loadBalancerSku")),
        "properties.apiServerAccessProfile.enablePrivateCluster",
    )
    actions: t.ClassVar[t.Mapping[str, str]] = {
        "listClusterUserCredential": "user_credential",
        "listClusterMonitoringUserCredential": "user_credential",
        "listClusterAdminCredential": "admin_credential",
        "start": "begin_start",
        "stop": "begin_stop",
        "abort": "begin_abort",
    }

    def exclusive(self, record_id: ResourceId) -> str | None:
        return str(record_id)

    def busy(self, call: Call, operation: Operation) -> ArmError:
        return pools.busy(operation)

    def immutable_error(self, path: str, old: t.Any, new: t.Any) -> ArmError:
        return refusal("PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.", path)

    # --- what is wanted ----------------------------------------------------------------------------------------------------------------

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        properties = body.get("properties") or {}
        if before is not None and before.properties["powerState"]["code"] != "Running":
            raise refusal("OperationNotAllowed", "Operation is not allowed because the cluster is stopped; start it first.", status=409)
        if before is None:
            self._check_new(call, body)
        _check_version(properties.get("kubernetesVersion"), before)
        profile = network.with_defaults(properties.get("networkProfile") or {}, before.properties["networkProfile"] if before else None)
        network.check_profile(profile)
        self._check_access(properties, before)
        self._check_pools(call, body, before, profile)

    def _check_new(self, call: Call, body: Body) -> None:
        properties = body.get("properties") or {}
        prefix = properties.get("dnsPrefix") or properties.get("fqdnSubdomain")
        if not prefix:
            raise refusal("InvalidParameter", "Required parameter dnsPrefix is missing (null).", "dnsPrefix")
        if not re.fullmatch(DNS_PREFIX, prefix):
            message = (
                f"The value of parameter dnsPrefix is invalid: '{prefix}' must have 1 to 54 letters, digits and hyphens, hyphens not at the ends."
            )
            raise refusal("InvalidParameter", message, "dnsPrefix")
        if not properties.get("agentPoolProfiles"):
            raise refusal("InvalidParameter", "Required parameter agentPoolProfiles is missing (null).", "agentPoolProfiles")
        if not body.get("identity") and not (properties.get("servicePrincipalProfile") or {}).get("clientId"):
            message = "Required parameter servicePrincipalProfile is missing (null): a cluster needs a managed identity or a service principal."
            raise refusal("InvalidParameter", message, "servicePrincipalProfile")
        group = call.manager.get(f"/subscriptions/{call.resource_id.subscription}/resourceGroups/{_node_group(call.resource_id, body)}")
        if group is not None:
            message = f"The node resource group '{group.name}' already exists; choose another nodeResourceGroup."
            raise refusal("NodeResourceGroupAlreadyExists", message, "nodeResourceGroup", 409)

    @staticmethod
    def _check_access(properties: Body, before: Record | None) -> None:
        earlier = before.properties if before else {}
        entra = properties.get("aadProfile") or earlier.get("aadProfile")
        if properties.get("disableLocalAccounts") and not entra:
            raise refusal(
                "InvalidParameter",
                "disableLocalAccounts is only allowed for clusters with managed Microsoft Entra integration.",
                "disableLocalAccounts",
            )
        if entra and not entra.get("managed"):
            raise refusal(
                "LegacyAADNotSupported", "Only managed Microsoft Entra integration is supported; set aadProfile.managed.", "aadProfile.managed"
            )
        issuer = properties.get("oidcIssuerProfile") or {}
        if issuer.get("enabled") is False and (earlier.get("oidcIssuerProfile") or {}).get("enabled"):
            message = "The OIDC issuer feature can't be disabled once it is enabled."
            raise refusal("OIDCIssuerFeatureCannotBeDisabled", message, "oidcIssuerProfile.enabled")
        workload = ((properties.get("securityProfile") or {}).get("workloadIdentity") or {}).get("enabled")
        if workload and issuer.get("enabled") is False:
            message = "Workload identity needs the OIDC issuer; set oidcIssuerProfile.enabled."
            raise refusal("WorkloadIdentityRequiresOIDCIssuer", message, "securityProfile.workloadIdentity")

    def _check_pools(self, call: Call, body: Body, before: Record | None, profile: Body) -> None:
        wanted = _wanted_pools(call, body, before, profile)
        location = before.location if before else str(body["location"]).replace(" ", "").lower()
        names = [name for name, _, _ in wanted]
        if len(set(names)) < len(names):
            raise refusal("InvalidParameter", "The names of agent pools must be unique.", "agentPoolProfile.name")
        version = _version(body, before)
        for name, pool, earlier in wanted:
            pools.check(call.manager, name, pool, earlier.properties if earlier else None, location=location, cluster_version=version)
            pools.check_subnet_access(call, pool, f"{CLUSTER}/write", str(call.resource_id))
        everything = [pool for _, pool, _ in wanted] or [record.properties for record in _pools_of(call.manager, before)]
        pools.require_system_pool(everything)
        network.check_subnets(call.manager, profile, everything, location)
        sizes.check_cluster_quota(call.manager, [(pool, earlier) for _, pool, earlier in wanted], location)

    # --- what it becomes ---------------------------------------------------------------------------------------------------------------

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        body, asked, earlier = record.body, copy.deepcopy(record.body), before.properties if before else None
        profile = network.with_defaults(record.properties.get("networkProfile") or {}, earlier["networkProfile"] if earlier else None)
        wanted = _wanted_pools(call, asked, before, profile)
        asked_properties = {name: value for name, value in record.properties.items() if value is not None and name != "agentPoolProfiles"}
        properties = {**(earlier or copy.deepcopy(DEFAULTS)), **asked_properties, "networkProfile": profile}
        properties.pop("status", None)
        body["properties"] = properties
        properties["kubernetesVersion"] = _version(asked, before)
        properties["currentKubernetesVersion"] = versions.resolve(properties["kubernetesVersion"])
        body["sku"] = {"name": "Base", "tier": "Free", **((before.body.get("sku") if before else None) or {}), **(body.get("sku") or {})}
        body.setdefault("kind", "Base")
        self._complete_identity(call, record)
        self._complete_addresses(call, record)
        self._complete_access(call, record)
        properties["autoUpgradeProfile"] = {**DEFAULTS["autoUpgradeProfile"], **(properties.get("autoUpgradeProfile") or {})}
        if before is not None:
            body["tags"] = body.get("tags", before.body.get("tags"))
        self._keep_pools(call, record, wanted, before)

    @staticmethod
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

    @staticmethod
    def _complete_addresses(call: Call, record: Record) -> None:
        properties, location = record.properties, record.location
        properties.setdefault("nodeResourceGroup", _node_group(call.resource_id, record.body))
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

    @staticmethod
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

    @staticmethod
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
        for gone in _pools_of(call.manager, before):
            if gone.name.lower() not in names:
                gone.state = "Deleting"
                call.manager.put(gone)

    # --- the real part -----------------------------------------------------------------------------------------------------------------

    async def create(self, work: Work) -> None:
        cluster, backend, manager = work.record, work.emulator.kubernetes, work.manager
        properties = cluster.properties
        _make_node_group(manager, cluster)
        profile = properties["networkProfile"]
        service = ipaddress.IPv4Network(profile["serviceCidr"])
        made = await backend.create(
            cluster.key,
            fqdn=_host(properties),
            version=properties["currentKubernetesVersion"],
            issuer_url=cluster.private["issuer"],
            node_resource_group=properties["nodeResourceGroup"],
            network=Network(str(service), profile.get("podCidr", "10.244.0.0/16"), str(service[1])),
        )
        cluster.private["ca"] = made.ca_pem
        for pool in _pools_of(manager, cluster):
            if pool.state == "Deleting":
                await backend.remove_pool(cluster.key, pool.name)
                manager.forget(pool.id)
                continue
            await backend.set_pool(cluster.key, pools.as_nodes(pool, cluster.location))
            pool.state = "Succeeded"
            pool.properties.pop("status", None)
            manager.put(pool)
        _make_kubelet_identity(manager, cluster)

    update = create  # everything in it may be done again: a cluster that failed is put again to repair it

    async def delete(self, work: Work) -> None:
        manager, cluster = work.manager, work.record
        await work.emulator.kubernetes.delete(cluster.key)
        group = f"/subscriptions/{manager.parse(cluster.id).subscription}/resourceGroups/{cluster.properties['nodeResourceGroup']}"
        for resource_id in (cluster.id, _kubelet_identity_id(cluster)):
            principal = work.emulator.directory.by_resource_id(resource_id)
            if principal is not None:
                work.emulator.directory.remove(principal.object_id)
        manager.forget(group)

    def failed(self, work: Work, error: ArmError) -> None:
        """A cluster that failed stays, and so do its new pools."""
        work.record.properties["status"] = pools.error_status(error)
        for pool in _pools_of(work.manager, work.record):
            if pool.state in ("Creating", "Updating"):
                pool.state = "Failed"
                work.manager.put(pool)
        super().failed(work, error)

    def render(self, manager: ResourceManager, record: Record) -> Body:
        body = copy.deepcopy(record.body)
        body["id"] = record.id.replace("/resourceGroups/", "/resourcegroups/")
        body["type"] = "Microsoft.ContainerService/ManagedClusters"
        secret = body["properties"].get("servicePrincipalProfile", {})
        secret.pop("secret", None)
        return {
            **body,
            "properties": {**body["properties"], "provisioningState": record.state, "agentPoolProfiles": pools.profiles(manager, record)},
        }

    # --- credentials -------------------------------------------------------------------------------------------------------------------

    async def user_credential(self, call: Call, record: Record) -> Body:
        """The kubeconfig of ordinary users: with Entra they log in with kubelogin, without it they have a certificate."""
        if record.properties.get("aadProfile"):
            user = kubeconfigs.entra_user(call.emulator.tenant_id, call.query.get("format", "exec"))
        else:
            user = await self._certificate(call, record)
        return self._credential(call, record, "clusterUser", record.name, user)

    async def admin_credential(self, call: Call, record: Record) -> Body:
        """The kubeconfig of the local administrator."""
        if record.properties["disableLocalAccounts"]:
            message = "Getting static credential is not allowed because this cluster is set to disable local accounts."
            raise refusal("BadRequest", message)
        user = await self._certificate(call, record)
        return self._credential(call, record, "clusterAdmin", f"{record.name}-admin", user)

    @staticmethod
    async def _certificate(call: Call, record: Record) -> Body:
        try:
            return kubeconfigs.certificate_user(*await call.emulator.kubernetes.client_certificate(record.key, "masterclient", ["system:masters"]))
        except KeyError as error:
            raise _not_ready(record) from error

    @staticmethod
    def _credential(call: Call, record: Record, role: str, context: str, user: Body) -> Body:
        if "ca" not in record.private:
            raise _not_ready(record)
        name = f"{role}_{call.resource_id.resource_group}_{record.name}"
        config = kubeconfigs.kubeconfig(
            cluster=record.name, context=context, fqdn=_host(record.properties), ca_pem=record.private["ca"], user_name=name, user=user
        )
        return kubeconfigs.encoded(config, role)

    # --- power -------------------------------------------------------------------------------------------------------------------------

    async def begin_start(self, call: Call, record: Record) -> Response:
        return await self._power(call, record, "start", "Starting", "Stopped")

    async def begin_stop(self, call: Call, record: Record) -> Response:
        return await self._power(call, record, "stop", "Stopping", "Running")

    @staticmethod
    async def _power(call: Call, record: Record, verb: str, state: str, needed: str) -> Response:
        holder = call.manager.operations.holder(record.key)
        if holder is not None:
            raise pools.busy(holder)
        if record.properties["powerState"]["code"] != needed:
            raise refusal("OperationNotAllowed", f"The cluster is not in the power state {needed} that {verb} needs.", status=409)
        record.state = state
        return await call.manager.begin(call, record, verb)

    async def start(self, work: Work) -> None:
        await work.emulator.kubernetes.start_cluster(work.record.key)
        _set_power(work, "Running")

    async def stop(self, work: Work) -> None:
        await work.emulator.kubernetes.stop_cluster(work.record.key)
        _set_power(work, "Stopped")

    async def begin_abort(self, call: Call, record: Record) -> Response:
        """End the operation in progress; 204 where there is none."""
        if not await call.manager.operations.cancel(record):
            return Response(b"", 204)
        return await call.manager.begin(call, call.manager.get(record.key) or record, "abort")

    async def abort(self, work: Work) -> None:
        """Nothing is left to do: the operation is over, the cluster stays Canceled."""


def _set_power(work: Work, code: str) -> None:
    work.record.properties["powerState"] = {"code": code}
    work.record.state = "Succeeded"
    for pool in _pools_of(work.manager, work.record):
        pool.properties["powerState"] = {"code": code}
        work.manager.put(pool)


def _not_ready(record: Record) -> ArmError:
    return refusal("ResourceNotReady", f"The control plane of cluster '{record.name}' is not there yet.", status=409)


def _check_version(wanted: str | None, before: Record | None) -> None:
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


def _version(body: Body, before: Record | None) -> str:
    wanted = (body.get("properties") or {}).get("kubernetesVersion")
    kept = before.properties["kubernetesVersion"] if before else versions.default_version()
    return str(wanted or kept)


def _node_group(resource_id: ResourceId, body: Body) -> str:
    location = str(body.get("location", "")).replace(" ", "").lower()
    default = f"MC_{resource_id.resource_group}_{resource_id.name}_{location}"[:80]
    return str((body.get("properties") or {}).get("nodeResourceGroup") or default)


def _host(properties: Body) -> str:
    return str(properties.get("privateFQDN") or properties["fqdn"])


def _pools_of(manager: ResourceManager, cluster: Record | None) -> list[Record]:
    return manager.children(cluster.id, POOL) if cluster else []


def _wanted_pools(call: Call, body: Body, before: Record | None, profile: Body) -> list[tuple[str, Body, Record | None]]:
    """The pools that a cluster's body lists: name, whole profile, the record of one that is there."""
    found = {record.name.lower(): record for record in _pools_of(call.manager, before)}
    listed = [dict(pool) for pool in (body.get("properties") or {}).get("agentPoolProfiles") or []]
    if before is None and listed and not any(pool.get("mode") for pool in listed):
        listed[0]["mode"] = "System"
    cluster = {"kubernetesVersion": _version(body, before), "networkProfile": profile}
    wanted = []
    for pool in listed:
        name = str(pool.pop("name", ""))
        earlier = found.get(name.lower())
        wanted.append((name, pools.complete(pool, earlier.properties if earlier else None, cluster=cluster), earlier))
    return wanted


def _make_node_group(manager: ResourceManager, cluster: Record) -> None:
    """The group that the service makes for the machines."""
    name = cluster.properties["nodeResourceGroup"]
    group = f"/subscriptions/{manager.parse(cluster.id).subscription}/resourceGroups/{name}"
    if manager.get(group) is None:
        body: Body = {
            "id": group,
            "name": name,
            "type": GROUP,
            "location": cluster.location,
            "managedBy": cluster.id.replace("/resourceGroups/", "/resourcegroups/"),
            "tags": {"aks-managed-cluster-name": cluster.name, "aks-managed-cluster-rg": manager.parse(cluster.id).resource_group},
            "properties": {},
        }
        manager.put(Record(group, GROUP, body, created=timestamp(manager.emulator.clock.now())))


def _kubelet_identity_id(cluster: Record) -> str:
    subscription = cluster.id.split("/")[2]
    group = f"/subscriptions/{subscription}/resourceGroups/{cluster.properties['nodeResourceGroup']}"
    return f"{group}/providers/{IDENTITY}/{cluster.name}-agentpool"


def _make_kubelet_identity(manager: ResourceManager, cluster: Record) -> None:
    """The identity that the machines pull images with: a user-assigned one in their group."""
    if not cluster.body.get("identity") or "identityProfile" in cluster.properties:
        return
    resource_id, name = _kubelet_identity_id(cluster), f"{cluster.name}-agentpool"
    principal = manager.emulator.directory.add_managed_identity(name, resource_id)
    properties = {"tenantId": manager.emulator.tenant_id, "principalId": principal.object_id, "clientId": principal.app_id}
    body: Body = {"id": resource_id, "name": name, "type": IDENTITY, "location": cluster.location, "tags": {}, "properties": properties}
    manager.put(Record(resource_id, IDENTITY, body, created=timestamp(manager.emulator.clock.now())))
    kubelet = {"resourceId": resource_id, "clientId": principal.app_id, "objectId": principal.object_id}
    cluster.properties["identityProfile"] = {"kubeletidentity": kubelet}
