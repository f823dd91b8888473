"""Microsoft.Network: virtual networks and their subnets."""

from __future__ import annotations

import copy
import typing as t
import uuid

from . import network_addresses as addresses
from . import network_links as links
from .arm import regions
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Provider, Record, ResourceType
from .network_base import NetworkType
from .network_others import NatGateways, PublicIPAddresses
from .network_rules import NetworkSecurityGroups, Routes, RouteTables, SecurityRules

NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = f"{NETWORK}/subnets"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
#: actions that a delegation gives its service on the subnet
ACTIONS = {
    "microsoft.containerservice/managedclusters": [JOIN],
    "microsoft.web/serverfarms": ["Microsoft.Network/virtualNetworks/subnets/action"],
    "microsoft.netapp/volumes": ["Microsoft.Network/networkinterfaces/*", JOIN],
}


class VirtualNetworks(NetworkType):
    """A network; its subnets are resources of their own, shown and accepted inline too."""

    type = NETWORK
    model = "azure.mgmt.network.models.VirtualNetwork"
    patch_model = "azure.mgmt.network.models.TagsObject"

    def exclusive(self, record_id: ResourceId) -> str | None:
        """A network and its subnets are written one at a time."""
        return str(record_id)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Address space, and every inline subnet against it and the others."""
        properties = body.get("properties") or {}
        identity = str(call.resource_id)
        space = addresses.check_space((properties.get("addressSpace") or {}).get("addressPrefixes") or [], identity)
        kept = _kept_subnets(call.manager, identity, properties)
        for name, subnet in kept.items():
            others = {other: _networks(inner) for other, inner in kept.items() if other != name}
            fresh = call.manager.get(f"{identity}/subnets/{name}") is None or properties.get("subnets") is not None
            if fresh:
                addresses.check_subnet(name, f"{identity}/subnets/{name}", call.resource_id.name, subnet, space, others)
            elif not all(addresses.inside(each, space) for each in _networks(subnet)):
                gone = ", ".join(addresses.prefixes_of(subnet))
                message = f"IpPrefix {gone} on virtual network {call.resource_id.name} has active allocations and cannot be deleted."
                raise ArmError(400, "InUsePrefixCannotBeDeleted", message)
        for record in call.manager.children(identity, SUBNET):
            if record.name.lower() not in {name.lower() for name in kept}:
                links.require_unused(call.manager, record.id)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Inline subnets become resources; the rest gets Azure's defaults."""
        properties = record.properties
        wanted = properties.pop("subnets", None)
        properties.setdefault("virtualNetworkPeerings", [])
        properties.setdefault("enableDdosProtection", False)
        properties["resourceGuid"] = (before.properties.get("resourceGuid") if before else None) or str(uuid.uuid4())
        if wanted is None:
            return
        names = {subnet["name"].lower() for subnet in wanted}
        for old in call.manager.children(record.id, SUBNET):
            if old.name.lower() not in names:
                call.manager.forget(old.id)
        for subnet in wanted:
            identity = f"{record.id}/subnets/{subnet['name']}"
            earlier = call.manager.get(identity)
            identity = earlier.id if earlier else identity
            base = {"id": identity, "name": identity.rsplit("/", 1)[-1], "type": SUBNET}
            child = Record(identity, SUBNET, {**base, "properties": copy.deepcopy(subnet.get("properties") or {})})
            complete_subnet(child, record.location, call.api_version, is_new=earlier is None)
            call.manager.put(child)

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With its subnets."""
        body = super().render(manager, record)
        kind = manager.types[SUBNET.lower()]
        body["properties"]["subnets"] = [kind.render(manager, subnet) for subnet in manager.children(record.id, SUBNET)]
        return body

    async def check_delete(self, call: Call, record: Record) -> None:
        """Every subnet must be empty, and no private DNS zone may be linked to the network."""
        for subnet in call.manager.children(record.id, SUBNET):
            links.require_unused(call.manager, subnet.id)
        for link in call.manager.find("Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
            if str((link.properties.get("virtualNetwork") or {}).get("id", "")).lower() == record.key:
                message = f"Virtual network {record.name} is in use by {link.id} and cannot be deleted."
                raise ArmError(400, "InUseVirtualNetworkCannotBeDeleted", message, details=[])


class Subnets(NetworkType):
    """A subnet, with delegations and service endpoints as the service completes them."""

    type = SUBNET
    model = "azure.mgmt.network.models.Subnet"
    tracked = False
    location = "none"
    methods = frozenset({"GET", "PUT", "DELETE"})
    actions: t.ClassVar[t.Mapping[str, str]] = {"serviceAssociationLinks": "list_links", "resourceNavigationLinks": "list_navigation"}

    def exclusive(self, record_id: ResourceId) -> str | None:
        """The network's lock."""
        return str(record_id.parent)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Addresses, the network's space, and what a server in the subnet needs."""
        network = call.manager.get(str(call.resource_id.parent))
        assert network is not None
        properties = body.get("properties") or {}
        siblings = call.manager.children(network.id, SUBNET)
        others = {record.name: _networks(record.properties) for record in siblings if record.key != call.resource_id.key}
        prefixes = (network.properties.get("addressSpace") or {}).get("addressPrefixes") or []
        space = [addresses.parse(prefix, network.id) for prefix in prefixes]
        addresses.check_subnet(call.resource_id.name, str(call.resource_id), network.name, properties, space, others)
        if before is not None and links.users(call.manager, before.id):
            _check_in_use(call, properties, before)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Azure's defaults."""
        network = call.manager.get(record.id.rpartition("/subnets/")[0])
        complete_subnet(record, network.location if network else "", call.api_version, is_new=before is None)

    async def check_delete(self, call: Call, record: Record) -> None:
        """Nothing may be in it."""
        links.require_unused(call.manager, record.id)

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With what holds it."""
        body = super().render(manager, record)
        held = links.association_links(manager, record.id)
        if held:
            body["properties"]["serviceAssociationLinks"] = held
        parts = (part for name in ("delegations", "serviceEndpoints") for part in body["properties"].get(name, []))
        for part in parts:
            part.get("properties", part)["provisioningState"] = "Succeeded"
        for delegation in body["properties"].get("delegations", []):
            delegation["etag"] = record.etag
        return body

    async def list_links(self, call: Call, record: Record) -> Body:
        """Service association links: who holds the subnet."""
        return {"value": links.association_links(call.manager, record.id)}

    async def list_navigation(self, call: Call, record: Record) -> Body:
        """Resource navigation links: there is no service here that makes any."""
        return {"value": []}


def complete_subnet(record: Record, location: str, api_version: str, *, is_new: bool) -> None:
    """Fill in what the service adds to a subnet."""
    properties = record.properties
    properties.setdefault("privateEndpointNetworkPolicies", "Disabled")
    properties.setdefault("privateLinkServiceNetworkPolicies", "Enabled")
    if is_new and api_version >= "2025-07-01":  # since then new subnets have no way out by default
        properties.setdefault("defaultOutboundAccess", False)
    if properties.get("sharingScope") == "":
        del properties["sharingScope"]
    properties["delegations"] = [_delegation(record, each) for each in properties.get("delegations") or []]
    for endpoint in properties.get("serviceEndpoints") or []:
        pair = regions.BY_NAME[location].paired if location in regions.BY_NAME else ""
        endpoint["locations"] = [location, pair] if endpoint.get("service") == "Microsoft.Storage" and pair else ["*"]


def _delegation(record: Record, wanted: Body) -> Body:
    name = wanted.get("name") or "delegation"
    service = (wanted.get("properties") or {}).get("serviceName", "")
    return {
        "name": name,
        "id": f"{record.id}/delegations/{name}",
        "type": f"{SUBNET}/delegations",
        "properties": {"serviceName": service, "actions": ACTIONS.get(service.lower(), [JOIN])},
    }


def _check_in_use(call: Call, properties: Body, before: Record) -> None:
    old, new = (sorted(map(str, _networks(each))) for each in (before.properties, properties))
    if old != new:
        message = f"Subnet {before.name} is in use and cannot be updated: its address prefix can't change while resources are in it."
        raise ArmError(400, "InUseSubnetCannotBeUpdated", message, details=[])
    kept = {str((each.get("properties") or {}).get("serviceName", "")).lower() for each in properties.get("delegations") or []}
    for link in links.association_links(call.manager, before.id):
        service = link["properties"]["linkedResourceType"]
        if service.lower() not in kept:
            message = (
                f"Subnet {before.id} requires any of the following delegation(s) [{service}] to reference service association link {link['id']}."
            )
            raise ArmError(400, "SubnetMissingRequiredDelegation", message, details=[])


def _networks(properties: Body) -> list[addresses.Network]:
    return [addresses.parse(prefix, "") for prefix in addresses.prefixes_of(properties)]


def _kept_subnets(manager: ResourceManager, network_id: str, properties: Body) -> dict[str, Body]:
    """Subnets that a network has after a PUT: the inline ones where there are any (or an empty list), else those that it has."""
    if properties.get("subnets") is not None:
        return {str(subnet.get("name")): subnet.get("properties") or {} for subnet in properties["subnets"]}
    return {record.name: record.properties for record in manager.children(network_id, SUBNET)}


TYPES: t.Sequence[ResourceType] = (
    VirtualNetworks(),
    Subnets(),
    NetworkSecurityGroups(),
    SecurityRules(),
    RouteTables(),
    Routes(),
    PublicIPAddresses(),
    NatGateways(),
)
PROVIDER = Provider("Microsoft.Network", types=TYPES)
