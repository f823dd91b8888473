"""Agent pools: a resource below the cluster and an entry of its `agentPoolProfiles`, which are the same."""

from __future__ import annotations

import typing as t

from ..backends.kubernetes import Pool
from . import container_service_network as network
from . import container_service_sizes as sizes
from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Record, ResourceType, Response, Work
from .container_service_network import refusal
from .container_service_pool_rules import MAX_POOLS, NODE_IMAGE_DATE, POOL, check, check_subnet_access, complete, require_system_pool

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager
    from .arm.operations import Operation

BUSY = (
    "Operation is not allowed: Another operation ({verb}) is in progress, please wait for it to finish before starting a new operation. "
    "See https://aka.ms/aks-pending-operation for more details"
)


def busy(operation: Operation) -> ArmError:
    """409 while another operation runs on the cluster or one of its pools."""
    verb = {"create": "Creating", "update": "Updating", "patch": "Updating", "delete": "Deleting"}.get(operation.verb, operation.verb.capitalize())
    return refusal("OperationNotAllowed", BUSY.format(verb=verb), status=409)


def profiles(manager: ResourceManager, cluster: Record) -> list[Body]:
    """The cluster's `agentPoolProfiles`: every pool, system pools first, with what the autoscaler made of the count."""
    found = [shown(manager, record) for record in manager.children(cluster.id, POOL)]
    entries = [{"name": record["name"], **record["properties"]} for record in found]
    return sorted(entries, key=lambda entry: entry["mode"] != "System")


def shown(manager: ResourceManager, record: Record) -> Body:
    """A pool as a GET of it shows it."""
    properties = {**record.properties, "provisioningState": record.state}
    cluster = record.id.rpartition("/agentPools/")[0]
    if properties.get("enableAutoScaling"):
        live = next((pool for pool in manager.emulator.kubernetes.pools(cluster.lower()) if pool.name == record.name), None)
        properties["count"] = live.count if live else properties["count"]
    resource_id = record.id.replace("/resourceGroups/", "/resourcegroups/")
    return {"id": resource_id, "name": record.name, "type": POOL, "properties": properties}


def whole(manager: ResourceManager, cluster: Record, properties: Body, before: Record | None) -> Body:
    """What a pool's PUT asks for, filled in; a new pool that names no subnet goes where the system pools are."""
    pool = complete(properties, before.properties if before else None, cluster=cluster.properties)
    subnets = [entry["vnetSubnetID"] for entry in profiles(manager, cluster) if entry.get("vnetSubnetID")]
    if before is None and not pool.get("vnetSubnetID") and subnets:
        pool["vnetSubnetID"] = subnets[0]
    return pool


def as_nodes(record: Record, location: str) -> Pool:
    """The pool as the nodes' backend knows it."""
    properties = record.properties
    size = sizes.find(properties["vmSize"])
    stopped = properties["powerState"]["code"] == "Stopped"
    return Pool(
        name=record.name,
        count=0 if stopped else properties["count"],
        labels=dict(properties.get("nodeLabels") or {}),
        taints=list(properties.get("nodeTaints") or []),
        vcpus=size.vcpus if size else 2,
        memory_gib=size.memory if size else 8,
        min=properties.get("minCount") or 0,
        max=properties.get("maxCount") or 0,
        autoscale=bool(properties["enableAutoScaling"]) and not stopped,
        mode=properties["mode"],
        vm_size=size.name if size else properties["vmSize"],
        region=location,
        zones=list(properties.get("availabilityZones") or []),
        os_sku=properties["osSKU"],
        max_pods=properties["maxPods"],
    )


def error_status(error: ArmError) -> Body:
    """`properties.status` of what failed."""
    return {"provisioningError": {"code": error.code, "message": error.message}}


class AgentPools(ResourceType):
    """A pool. A failed one stays, with the reason in `properties.status`, until it is deleted or put again."""

    type = POOL
    model = "azure.mgmt.containerservice.models.AgentPool"
    empty_is_missing = True
    styles = styles.CONTAINER_SERVICE
    tracked = False
    location = "none"
    methods = frozenset({"GET", "PUT", "DELETE"})
    actions: t.ClassVar[t.Mapping[str, str]] = {"abort": "begin_abort", "upgradeNodeImageVersion": "begin_upgrade_node_image"}

    def exclusive(self, record_id: ResourceId) -> str | None:
        return str(record_id.parent)

    def busy(self, call: Call, operation: Operation) -> ArmError:
        return busy(operation)

    @staticmethod
    def cluster(manager: ResourceManager, pool: ResourceId) -> Record:
        """The cluster that a pool's id lies in."""
        found = manager.get(str(pool.parent))
        assert found is not None  # the framework has refused a missing parent
        return found

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        cluster = self.cluster(call.manager, call.resource_id)
        if cluster.state not in ("Succeeded", "Canceled") and not (before and cluster.state == "Failed"):
            message = f"Operation is not allowed because the cluster is in provisioning state {cluster.state}; bring it to Succeeded first."
            raise refusal("OperationNotAllowed", message, status=409)
        if cluster.properties["powerState"]["code"] != "Running":
            raise refusal("OperationNotAllowed", "Operation is not allowed because the cluster is stopped; start it first.", status=409)
        pool = whole(call.manager, cluster, body.get("properties") or {}, before)
        name, location = call.resource_id.name, cluster.location
        earlier, version = before.properties if before else None, cluster.properties["kubernetesVersion"]
        check(call.manager, name, pool, earlier, location=location, cluster_version=version)
        others = [record for record in call.manager.children(cluster.id, POOL) if record.name.lower() != name.lower()]
        if len(others) >= MAX_POOLS:
            raise refusal("MaxAgentPoolCountReached", f"A cluster can have at most {MAX_POOLS} agent pools.")
        require_system_pool([pool, *(record.properties for record in others)])
        check_subnet_access(call, pool, f"{POOL}/write", str(call.resource_id))
        everything = [pool, *(record.properties for record in others)]
        network.check_subnets(call.manager, cluster.properties["networkProfile"], everything, location)
        sizes.check_pool_quota(call.manager, name, pool, before, location)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        cluster = self.cluster(call.manager, call.resource_id)
        record.body["properties"] = whole(call.manager, cluster, record.properties, before)

    async def create(self, work: Work) -> None:
        cluster = self.cluster(work.manager, work.manager.parse(work.record.id))
        await work.emulator.kubernetes.set_pool(cluster.key, as_nodes(work.record, cluster.location))
        work.record.properties.pop("status", None)

    update = create

    async def check_delete(self, call: Call, record: Record) -> None:
        cluster = self.cluster(call.manager, call.resource_id)
        others = [other.properties for other in call.manager.children(cluster.id, POOL) if other.key != record.key]
        require_system_pool(others)

    async def delete(self, work: Work) -> None:
        cluster = work.manager.parse(work.record.id).parent
        assert cluster is not None
        if work.emulator.kubernetes.pools(cluster.key):
            await work.emulator.kubernetes.remove_pool(cluster.key, work.record.name)

    def failed(self, work: Work, error: ArmError) -> None:
        work.record.properties["status"] = error_status(error)
        super().failed(work, error)

    def render(self, manager: ResourceManager, record: Record) -> Body:
        return shown(manager, record)

    async def begin_abort(self, call: Call, record: Record) -> Response:
        """End the operation in progress; 204 where there is none."""
        if not await call.manager.operations.cancel(record):
            return Response(b"", 204)
        current = call.manager.get(record.key) or record
        return await call.manager.begin(call, current, "abort")

    async def abort(self, work: Work) -> None:
        """Nothing is left to do: the operation is over, the pool stays Canceled."""

    async def begin_upgrade_node_image(self, call: Call, record: Record) -> Response:
        """Take the newest node image; here the nodes' image is only a name."""
        holder = call.manager.operations.holder(str(call.resource_id.parent))
        if holder is not None:
            raise busy(holder)
        record.state = "UpgradingNodeImageVersion"
        return await call.manager.begin(call, record, "upgrade_node_image")

    async def upgrade_node_image(self, work: Work) -> None:
        image = work.record.properties["nodeImageVersion"].rpartition("-")[0]
        work.record.properties["nodeImageVersion"] = f"{image}-{NODE_IMAGE_DATE}"
        work.record.state = "Succeeded"
