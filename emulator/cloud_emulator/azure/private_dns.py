"""Microsoft.Network private DNS: zones, links to virtual networks and record sets."""

from __future__ import annotations

import typing as t
import uuid

from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Naming, Provider, Record, ResourceType
from .arm.styles import Style

ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"
#: record types: property that carries the data, and whether it is a list
RECORDS = {
    "A": "aRecords",
    "AAAA": "aaaaRecords",
    "CNAME": "cnameRecord",
    "MX": "mxRecords",
    "PTR": "ptrRecords",
    "SRV": "srvRecords",
    "TXT": "txtRecords",
    "SOA": "soaRecord",
}


class PrivateDnsZones(ResourceType):
    """Zones: global, async with ``202 {}``, deletable only without links."""

    type = ZONE
    model = "azure.mgmt.privatedns.models.PrivateZone"
    location = "global"
    styles = styles.PRIVATE_DNS
    etags = True
    naming = Naming(
        r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
        "InvalidZoneName",
        "The name '{name}' is not a valid private DNS zone name: it needs two labels or more of at most 63 letters, digits, '-' or '_'.",
    )

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With Azure's limits and the numbers of what is in the zone."""
        body = super().render(manager, record)
        links = manager.children(record.id, LINK)
        sets = [each for each in manager.under(record.id) if each.type != LINK]
        body["properties"] |= {
            "maxNumberOfRecordSets": 25000,
            "maxNumberOfVirtualNetworkLinks": 1000,
            "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
            "numberOfRecordSets": len(sets) + 1,  # and the SOA
            "numberOfVirtualNetworkLinks": len(links),
            "numberOfVirtualNetworkLinksWithRegistration": len([link for link in links if link.properties.get("registrationEnabled")]),
        }
        return body

    async def check_delete(self, call: Call, record: Record) -> None:
        """Links go first."""
        if call.manager.children(record.id, LINK):
            message = (
                f"Cannot delete resource while nested resources exist. Some existing nested resource IDs include: '{_first_link(call, record)}'."
            )
            raise ArmError(409, "CannotDeleteResource", message)


def _first_link(call: Call, record: Record) -> str:
    return call.manager.children(record.id, LINK)[0].id


class VirtualNetworkLinks(ResourceType):
    """Links of a zone to networks: a network once a zone, and registered in one zone only."""

    type = LINK
    model = "azure.mgmt.privatedns.models.VirtualNetworkLink"
    tracked = False
    location = "global"
    styles = styles.PRIVATE_DNS
    etags = True
    blocks_parent = True
    accepted = ("properties.virtualNetwork.properties",)  # clients may send the whole network, of which the id counts
    immutable = ("properties.virtualNetwork.id",)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """The network must be there, and not linked to this zone already."""
        properties = body.get("properties") or {}
        network = str((properties.get("virtualNetwork") or {}).get("id", ""))
        if not network:
            raise ArmError(400, "BadRequest", "The virtual network of the link is missing: 'properties.virtualNetwork.id' is required.")
        if call.manager.get(network) is None:
            raise ArmError(400, "VirtualNetworkNotFound", f"The virtual network '{network}' was not found.")
        zone = str(call.resource_id.parent)
        for link in call.manager.find(LINK):
            if link.key == call.resource_id.key or _network_of(link) != network.lower():
                continue
            if link.key.startswith(f"{zone.lower()}/"):
                message = f"A virtual network link to the virtual network '{network}' exists already in the zone: '{link.name}'."
                raise ArmError(409, "Conflict", message)
            if properties.get("registrationEnabled") and link.properties.get("registrationEnabled"):
                message = f"The virtual network '{network}' is a registration virtual network of another zone already: '{link.id}'."
                raise ArmError(409, "Conflict", message)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Defaults of a link; of the network only the id is kept."""
        record.properties.setdefault("registrationEnabled", False)
        record.properties["virtualNetwork"] = {"id": record.properties["virtualNetwork"]["id"]}

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With the state of the link itself."""
        body = super().render(manager, record)
        body["properties"]["virtualNetworkLinkState"] = "Completed" if record.state == "Succeeded" else "InProgress"
        return body


def _network_of(link: Record) -> str:
    return str((link.properties.get("virtualNetwork") or {}).get("id", "")).lower()


class RecordSets(ResourceType):
    """Record sets of one kind; written at once."""

    model = "azure.mgmt.privatedns.models.RecordSet"
    tracked = False
    location = "none"
    styles: t.ClassVar[styles.Styles] = {"create": Style(201), "update": Style(200), "delete": Style(200, "empty")}
    etags = True
    provisioning_state = False
    naming = Naming(
        r"@|\*|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?",
        "BadRequest",
        "The domain name '{name}' is not a valid relative record set name.",
    )

    def __init__(self, kind: str) -> None:
        self.record_kind = kind

    @property
    def type(self) -> str:  # type: ignore[override]  # one class for all kinds
        """Type of this kind's record sets."""
        return f"{ZONE}/{self.record_kind}"

    @property
    def data(self) -> str:
        """Property that carries the records."""
        return RECORDS[self.record_kind]

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Only the data of its kind."""
        properties = body.get("properties") or {}
        wrong = [name for name in RECORDS.values() if properties.get(name) and name != self.data]
        if wrong:
            raise ArmError(400, "BadRequest", f"The record set of type '{self.record_kind}' can't have '{wrong[0]}'.")

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Time to live, and the whole name."""
        zone = record.id.split("/privateDnsZones/")[-1].split("/")[0]
        record.body["name"] = record.name
        record.properties.setdefault("ttl", 3600)
        record.properties["fqdn"] = f"{zone}." if record.name == "@" else f"{record.name}.{zone}."
        record.properties["isAutoRegistered"] = False

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        """The SOA is there from the start."""
        found = super().read(call, record_id)
        zone = record_id.parent
        if found is None and self.record_kind == "SOA" and record_id.name == "@" and zone is not None and call.manager.get(str(zone)) is not None:
            return _soa(record_id, zone.name)
        return found

    def listed(self, call: Call, scope: str) -> list[Record]:
        """With the SOA, where it is the kind that is asked for."""
        found = super().listed(call, scope)
        if self.record_kind == "SOA" and not found:
            assert call.resource_id.parent is not None
            return [_soa(call.resource_id.parent.child("SOA", "@"), call.resource_id.parent.name)]
        return found

    async def check_delete(self, call: Call, record: Record) -> None:
        """The SOA stays."""
        if self.record_kind == "SOA":
            raise ArmError(400, "BadRequest", "The resource record set of type 'SOA' cannot be deleted.")


def _soa(record_id: ResourceId, zone: str) -> Record:
    identity = str(record_id)
    properties = {
        "fqdn": f"{zone}.",
        "ttl": 3600,
        "isAutoRegistered": False,
        "soaRecord": {
            "email": "azureprivatedns-host.microsoft.com",
            "expireTime": 2419200,
            "host": "azureprivatedns.net",
            "minimumTtl": 10,
            "refreshTime": 3600,
            "retryTime": 300,
            "serialNumber": 1,
        },
    }
    body = {"id": identity, "name": "@", "type": f"{ZONE}/SOA", "properties": properties}
    etag = str(uuid.uuid5(uuid.NAMESPACE_URL, identity.lower()))
    return Record(identity, f"{ZONE}/SOA", body, etag=etag)


class AllRecordSets(ResourceType):
    """``GET …/ALL`` (and ``/recordsets``): record sets of every kind in one list."""

    type = f"{ZONE}/ALL"
    tracked = False
    location = "none"
    methods = frozenset[str]()
    provisioning_state = False

    def listed(self, call: Call, scope: str) -> list[Record]:
        """Every record set of the zone, the SOA first."""
        assert call.resource_id.parent is not None
        kinds = [call.manager.types[f"{ZONE}/{kind}".lower()] for kind in ("SOA", *[kind for kind in RECORDS if kind != "SOA"])]
        return [record for kind in kinds for record in kind.listed(call, scope)]

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """As its own kind shows it."""
        return manager.type_of(record).render(manager, record)


PROVIDER = Provider(
    "Microsoft.Network",
    types=[PrivateDnsZones(), VirtualNetworkLinks(), *[RecordSets(kind) for kind in RECORDS], AllRecordSets()],
)
