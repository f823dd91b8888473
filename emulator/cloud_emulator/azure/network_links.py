"""What holds a subnet: database servers (service association links), clusters' pools, and a deleted server's delegation that lingers."""

from __future__ import annotations

import typing as t

from .arm.errors import ArmError
from .arm.resource import Body

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager

SERVERS = "Microsoft.DBforPostgreSQL/flexibleServers"
CLUSTERS = "Microsoft.ContainerService/managedClusters"
#: key is the subnet's id in lower case, value {"server", "until"}; written when a server goes
LINGERING = "lingering_delegations"


def association_links(manager: ResourceManager, subnet_id: str) -> list[Body]:
    """Service association links of a subnet: one while a Flexible Server is in it, and for a while afterwards."""
    servers = [server for server in manager.find(SERVERS) if _subnet_of(server.properties.get("network") or {}) == subnet_id.lower()]
    lingering = manager.emulator.store.get(LINGERING, subnet_id.lower())
    holds = lingering is not None and float(lingering["until"]) > manager.emulator.clock.now().timestamp()
    if not servers and not holds:
        return []
    name = f"{subnet_id.rsplit('/', 1)[-1]}-service-association-link"
    link: Body = {
        "id": f"{subnet_id}/serviceAssociationLinks/{name}",
        "name": name,
        "type": "Microsoft.Network/virtualNetworks/subnets/serviceAssociationLinks",
        "properties": {
            "provisioningState": "Succeeded",
            "linkedResourceType": SERVERS,
            "allowDelete": False,
            "locations": [],
        },
    }
    return [link]


def users(manager: ResourceManager, subnet_id: str) -> list[str]:
    """Ids of everything that is in a subnet."""
    found = [str(link["id"]) for link in association_links(manager, subnet_id)]
    for cluster in manager.find(CLUSTERS):
        profiles: list[Body] = list(cluster.properties.get("agentPoolProfiles") or [])
        profiles += [pool.properties for pool in manager.children(cluster.id, f"{CLUSTERS}/agentPools")]
        if any(str(profile.get("vnetSubnetID", "")).lower() == subnet_id.lower() for profile in profiles):
            group = cluster.properties.get("nodeResourceGroup", "")
            found.append(
                f"/subscriptions/{manager.emulator.subscription_id}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodes"
            )
    return found


def require_unused(manager: ResourceManager, subnet_id: str) -> None:
    """Refuse to delete a subnet that something is in."""
    used = users(manager, subnet_id)
    if used:
        name = subnet_id.rsplit("/", 1)[-1]
        message = (
            f"Subnet {name} is in use by {used[0]} and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet. "
            "See aka.ms/deletesubnet."
        )
        raise ArmError(400, "InUseSubnetCannotBeDeleted", message, details=[])


def _subnet_of(network: Body) -> str:
    return str(network.get("delegatedSubnetResourceId") or "").lower()
