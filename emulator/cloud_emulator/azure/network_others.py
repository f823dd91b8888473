"""Plain types of Microsoft.Network: what subnets refer to, public addresses and NAT gateways."""

from __future__ import annotations

import hashlib
import typing as t
import uuid

from .arm.errors import ArmError
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Record
from .network_base import NetworkType

NETWORK_SUBNETS = "Microsoft.Network/virtualNetworks/subnets"


class Referenced(NetworkType):
    """A resource that subnets mention, and that can't go while they do."""

    reference: t.ClassVar[str]
    label: t.ClassVar[str]
    in_use: t.ClassVar[str]
    patch_model = "azure.mgmt.network.models.TagsObject"

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """A GUID that stays."""
        record.properties["resourceGuid"] = (before.properties.get("resourceGuid") if before else None) or str(uuid.uuid4())

    def subnets(self, manager: ResourceManager, record: Record) -> list[str]:
        """Ids of subnets that mention the resource."""
        subnets = manager.find(NETWORK_SUBNETS)
        return [each.id for each in subnets if str((each.properties.get(self.reference) or {}).get("id", "")).lower() == record.key]

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With the subnets that mention it."""
        body = super().render(manager, record)
        found = self.subnets(manager, record)
        if found:
            body["properties"]["subnets"] = [{"id": identity} for identity in found]
        return body

    async def check_delete(self, call: Call, record: Record) -> None:
        """Not while a subnet mentions it."""
        used = self.subnets(call.manager, record)
        if used:
            message = f"{self.label} {record.id} cannot be deleted because it is in use by the following resources: {', '.join(used)}."
            raise ArmError(400, self.in_use, message, details=[])


class NatGateways(Referenced):
    """NAT gateways."""

    type = "Microsoft.Network/natGateways"
    model = "azure.mgmt.network.models.NatGateway"
    reference, label, in_use = "natGateway", "Nat gateway", "InUseNatGatewayCannotBeDeleted"

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Its public addresses must be there."""
        for address in (body.get("properties") or {}).get("publicIpAddresses") or []:
            if call.manager.get(str(address.get("id", ""))) is None:
                message = f"Resource {address.get('id')} referenced by resource {call.resource_id} was not found."
                raise ArmError(400, "InvalidResourceReference", message, details=[])

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Azure's idle timeout."""
        super().complete(call, record, before)
        record.properties.setdefault("idleTimeoutInMinutes", 4)


class PublicIPAddresses(NetworkType):
    """Public addresses; the number is from the documentation ranges, so that nobody is reached by it."""

    type = "Microsoft.Network/publicIPAddresses"
    model = "azure.mgmt.network.models.PublicIPAddress"
    patch_model = "azure.mgmt.network.models.TagsObject"

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """A Standard address is static."""
        sku, method = (body.get("sku") or {}).get("name", "Standard"), (body.get("properties") or {}).get("publicIPAllocationMethod", "Static")
        if sku == "Standard" and method == "Dynamic":
            message = f"Standard sku publicIp {call.resource_id} must have AllocationMethod set to Static."
            raise ArmError(400, "PublicIPAddressStandardSkuMustBeStatic", message, details=[])

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """The address and Azure's defaults."""
        properties = record.properties
        record.body["sku"] = {"name": "Standard", "tier": "Regional", **(record.body.get("sku") or {})}
        properties["resourceGuid"] = (before.properties.get("resourceGuid") if before else None) or str(uuid.uuid4())
        properties.setdefault("publicIPAddressVersion", "IPv4")
        properties.setdefault("publicIPAllocationMethod", "Static")
        properties.setdefault("idleTimeoutInMinutes", 4)
        properties.setdefault("ipTags", [])
        properties["ipAddress"] = f"203.0.113.{hashlib.sha256(record.key.encode()).digest()[0]}"

    async def check_delete(self, call: Call, record: Record) -> None:
        """Not while a NAT gateway uses it."""
        for gateway in call.manager.find("Microsoft.Network/natGateways"):
            used = [str(each.get("id", "")).lower() for each in gateway.properties.get("publicIpAddresses") or []]
            if record.key in used:
                message = f"Public IP address {record.id} can not be deleted since it is still allocated to resource {gateway.id}."
                raise ArmError(400, "PublicIPAddressCannotBeDeleted", message, details=[])
