"""Private access of Flexible Server: the delegated subnet, the private DNS zone and the server's record in it."""

from __future__ import annotations

import hashlib
import ipaddress
import typing as t

from .arm.errors import ArmError
from .arm.resource import Body, Record

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager

DELEGATION = "Microsoft.DBforPostgreSQL/flexibleServers"
SUFFIX = ".postgres.database.azure.com"
#: what the caller must be allowed at what the network mentions
JOINS = {
    "delegatedSubnetResourceId": "Microsoft.Network/virtualNetworks/subnets/join/action",
    "privateDnsZoneArmResourceId": "Microsoft.Network/privateDnsZones/join/action",
}
#: collection of subnets that a deleted server still holds: key is the subnet's id in lower case, value {"server", "until"}
LINGERING = "lingering_delegations"
RESERVED_ADDRESSES = 4  # Azure keeps the first four addresses of a subnet


def check_network(manager: ResourceManager, network: Body, *, location: str) -> None:
    """Raise ArmError for a network that the service refuses at once; the zone's name is judged later, by `check_zone`."""
    subnet_id, zone_id = network.get("delegatedSubnetResourceId"), network.get("privateDnsZoneArmResourceId")
    if not subnet_id and not zone_id:
        return
    if network.get("publicNetworkAccess") == "Enabled" or not subnet_id:
        message = (
            "Conflicting configuration is detected between Public Network Access and Virtual Network arguments. "
            "Public Network Access is not supported along with Virtual Network feature."
        )
        raise ArmError(400, "ConflictingPublicNetworkAccessAndVirtualNetworkConfiguration", message)
    if not zone_id:
        raise ArmError(
            400, "EmptyPrivateDnsZoneArmResourceId", "The 'privateDnsZoneArmResourceId' is required to create a server in a virtual network."
        )
    subnet = manager.get(subnet_id)
    if subnet is None:
        raise ArmError(400, "SubnetNotFound", f"The subnet '{subnet_id}' was not found.")
    if manager.location_of(subnet) != location:
        raise ArmError(400, "VnetRegionMismatch", f"The virtual network of subnet '{subnet_id}' is not in the server's region '{location}'.")
    _check_delegation(subnet)
    if manager.get(zone_id) is None:
        raise ArmError(400, "PrivateDnsZoneNotFound", f"The private DNS zone '{zone_id}' was not found.")


def _check_delegation(subnet: Record) -> None:
    delegations = [each["properties"]["serviceName"] for each in subnet.properties.get("delegations") or []]
    if DELEGATION.lower() not in (name.lower() for name in delegations):
        message = (
            f"Subnet {subnet.id} requires any of the following delegation(s) [{DELEGATION}] to reference service association link "
            f"{subnet.id}/serviceAssociationLinks/{subnet.name}-service-association-link."
        )
        raise ArmError(400, "SubnetMissingRequiredDelegation", message)
    prefix = _prefix(subnet)
    if prefix.prefixlen > 28:
        raise ArmError(400, "SubnetTooSmall", f"The subnet '{subnet.id}' with prefix {prefix} is too small; a prefix length of at most 28 is needed.")


def check_zone(zone_id: str, server: str) -> None:
    """Raise ArmError for a zone whose name the service refuses: it must end in the service's suffix and not be a server's own name."""
    name = zone_id.rsplit("/", 1)[-1].lower()
    labels = name.removesuffix(SUFFIX).split(".")
    if not name.endswith(SUFFIX) or len(labels) > 2 or not all(labels) or (labels[0] == server.lower() and len(labels) == 1):
        message = (
            f"The private DNS zone name '{name}' is not valid: it must end with '{SUFFIX.lstrip('.')}' "
            "and must not be the same as the fully qualified domain name of a server."
        )
        raise ArmError(400, "PrivateDnsZoneNameNotValid", message)


def record_id(server: Record) -> str | None:
    """Id of the address record that the service keeps for a server in its zone, None with public access; its name is a hash."""
    zone = server.properties.get("network", {}).get("privateDnsZoneArmResourceId")
    return f"{zone}/A/{hashlib.sha256(server.key.encode()).hexdigest()[:12]}" if zone else None


def attach(manager: ResourceManager, server: Record) -> None:
    """Put the server's address, the first free one of its subnet, in its zone."""
    wanted, subnet = record_id(server), manager.get(server.properties["network"].get("delegatedSubnetResourceId", ""))
    zone = manager.get(server.properties["network"].get("privateDnsZoneArmResourceId", ""))
    if wanted is None or subnet is None or zone is None:
        return
    taken = [other.private.get("address") for other in manager.find(server.type) if other.key != server.key]
    addresses = (str(address) for address in list(_prefix(subnet).hosts())[RESERVED_ADDRESSES - 1 :])
    server.private["address"] = next(address for address in addresses if address not in taken)
    name = wanted.rsplit("/", 1)[-1]
    body: Body = {
        "id": wanted,
        "name": name,
        "type": "Microsoft.Network/privateDnsZones/A",
        "properties": {
            "fqdn": f"{name}.{zone.name}.",
            "ttl": 30,
            "isAutoRegistered": False,
            "aRecords": [{"ipv4Address": server.private["address"]}],
            "provisioningState": "Succeeded",
        },
    }
    manager.put(Record(id=wanted, type=body["type"], body=body))


def detach(manager: ResourceManager, server: Record) -> None:
    """Take the server's record out of its zone; its subnet stays in use for as long as the settings say."""
    wanted = record_id(server)
    if wanted is None:
        return
    manager.forget(wanted)
    lingers = manager.emulator.settings.delegation_lingers
    subnet = server.properties["network"].get("delegatedSubnetResourceId")
    if subnet and lingers > 0:
        until = manager.emulator.clock.now().timestamp() + lingers
        manager.emulator.store.put(LINGERING, subnet.lower(), {"server": server.id, "until": until})


def _prefix(subnet: Record) -> ipaddress.IPv4Network:
    prefixes = [subnet.properties.get("addressPrefix"), *(subnet.properties.get("addressPrefixes") or [])]
    return next(ipaddress.IPv4Network(prefix) for prefix in prefixes if prefix and ":" not in prefix)
