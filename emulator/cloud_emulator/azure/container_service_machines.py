"""What AKS makes beside a cluster: the resource group of its machines, and the identity that these have."""

from __future__ import annotations

from ..clock import timestamp
from .arm.manager import ResourceManager
from .arm.resource import Body, Record

GROUP = "Microsoft.Resources/resourceGroups"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def make_node_group(manager: ResourceManager, cluster: Record) -> None:
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


def kubelet_identity_id(cluster: Record) -> str:
    subscription = cluster.id.split("/")[2]
    group = f"/subscriptions/{subscription}/resourceGroups/{cluster.properties['nodeResourceGroup']}"
    return f"{group}/providers/{IDENTITY}/{cluster.name}-agentpool"


def make_kubelet_identity(manager: ResourceManager, cluster: Record) -> None:
    """The identity that the machines pull images with: a user-assigned one in their group."""
    if not cluster.body.get("identity") or "identityProfile" in cluster.properties:
        return
    resource_id, name = kubelet_identity_id(cluster), f"{cluster.name}-agentpool"
    principal = manager.emulator.directory.add_managed_identity(name, resource_id)
    properties = {"tenantId": manager.emulator.tenant_id, "principalId": principal.object_id, "clientId": principal.app_id}
    body: Body = {"id": resource_id, "name": name, "type": IDENTITY, "location": cluster.location, "tags": {}, "properties": properties}
    manager.put(Record(resource_id, IDENTITY, body, created=timestamp(manager.emulator.clock.now())))
    kubelet = {"resourceId": resource_id, "clientId": principal.app_id, "objectId": principal.object_id}
    cluster.properties["identityProfile"] = {"kubeletidentity": kubelet}
