"""Managed clusters: a real control plane behind each one."""

from __future__ import annotations

import copy
import ipaddress
import typing as t

from ..backends.kubernetes import Network
from . import container_service_kubeconfig as kubeconfigs
from . import container_service_machines as machines
from . import container_service_network as network
from . import container_service_pools as pools
from . import container_service_wanted as wanted
from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Naming, Record, ResourceType, Response, Work
from .container_service_network import refusal
from .container_service_pool_rules import CLUSTER

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager
    from .arm.operations import Operation


class ManagedClusters(ResourceType):
    """A cluster; its pools are resources of their own, which `agentPoolProfiles` shows again."""

    type = CLUSTER
    model = "azure.mgmt.containerservice.models.ManagedCluster"
    patch_model = "azure.mgmt.containerservice.models.TagsObject"
    empty_is_missing = True  # az and terraform send empty texts for what the service is to choose
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
            wanted.check_new(call, body)
        wanted.check_version(properties.get("kubernetesVersion"), before)
        profile = network.with_defaults(properties.get("networkProfile") or {}, before.properties["networkProfile"] if before else None)
        network.check_profile(profile)
        wanted.check_access(properties, before)
        wanted.check_pools(call, body, before, profile)

    # --- what it becomes ---------------------------------------------------------------------------------------------------------------

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        wanted.complete(call, record, before)

    # --- the real part -----------------------------------------------------------------------------------------------------------------

    async def create(self, work: Work) -> None:
        cluster, backend, manager = work.record, work.emulator.kubernetes, work.manager
        properties = cluster.properties
        machines.make_node_group(manager, cluster)
        profile = properties["networkProfile"]
        service = ipaddress.IPv4Network(profile["serviceCidr"])
        made = await backend.create(
            cluster.key,
            fqdn=wanted.host(properties),
            version=properties["currentKubernetesVersion"],
            issuer_url=cluster.private["issuer"],
            node_resource_group=properties["nodeResourceGroup"],
            network=Network(str(service), profile.get("podCidr", "10.244.0.0/16"), str(service[1])),
        )
        cluster.private["ca"] = made.ca_pem
        for pool in wanted.pools_of(manager, cluster):
            if pool.state == "Deleting":
                await backend.remove_pool(cluster.key, pool.name)
                manager.forget(pool.id)
            if pool.state not in ("Creating", "Updating"):
                continue  # not in this request: a pool that failed stays so
            await backend.set_pool(cluster.key, pools.as_nodes(pool, cluster.location))
            pool.state = "Succeeded"
            pool.properties.pop("status", None)
            manager.put(pool)
        machines.make_kubelet_identity(manager, cluster)

    update = create  # everything in it may be done again: a cluster that failed is put again to repair it

    async def delete(self, work: Work) -> None:
        manager, cluster = work.manager, work.record
        await work.emulator.kubernetes.delete(cluster.key)
        group = f"/subscriptions/{manager.parse(cluster.id).subscription}/resourceGroups/{cluster.properties['nodeResourceGroup']}"
        for resource_id in (cluster.id, machines.kubelet_identity_id(cluster)):
            principal = work.emulator.directory.by_resource_id(resource_id)
            if principal is not None:
                work.emulator.directory.remove(principal.object_id)
        manager.forget(group)

    def failed(self, work: Work, error: ArmError) -> None:
        """A cluster that failed stays, and so do its new pools."""
        work.record.properties["status"] = pools.error_status(error)
        for pool in wanted.pools_of(work.manager, work.record):
            if pool.state in ("Creating", "Updating"):
                pool.state = "Failed"
                work.manager.put(pool)
        super().failed(work, error)

    def render(self, manager: ResourceManager, record: Record) -> Body:
        body = copy.deepcopy(record.body)
        body["id"] = record.id.replace("/resourceGroups/", "/resourcegroups/")
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
            cluster=record.name, context=context, fqdn=wanted.host(record.properties), ca_pem=record.private["ca"], user_name=name, user=user
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
    for pool in wanted.pools_of(work.manager, work.record):
        pool.properties["powerState"] = {"code": code}
        work.manager.put(pool)


def _not_ready(record: Record) -> ArmError:
    return refusal("ResourceNotReady", f"The control plane of cluster '{record.name}' is not there yet.", status=409)
