"""Security groups with their rules, and route tables with their routes: parts that are written inline or one by one."""

from __future__ import annotations

import copy
import typing as t

from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Record
from .network_base import NetworkType
from .network_others import Referenced

SECURITY_GROUP, ROUTE_TABLE = "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/routeTables"
_DEFAULT_RULES = (
    ("AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Inbound"),
    ("AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer", "AzureLoadBalancer", "*", "Allow", 65001, "Inbound"),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    ("AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Outbound"),
    ("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "*", "Internet", "Allow", 65001, "Outbound"),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
)


class _WithParts(Referenced):
    """A resource whose parts are resources too, shown and accepted inline."""

    part: t.ClassVar[str]

    def exclusive(self, record_id: ResourceId) -> str | None:
        """It and its parts are written one at a time."""
        return str(record_id)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Inline parts become resources; a PUT has them all, so that those it leaves out go."""
        super().complete(call, record, before)
        wanted = record.properties.pop(self.part, None)
        if call.request.method != "PUT":
            return
        kind = f"{self.type}/{self.part}"
        for old in call.manager.children(record.id, kind):
            call.manager.forget(old.id)
        for part in wanted or []:
            identity = f"{record.id}/{self.part}/{part['name']}"
            base = {"id": identity, "name": part["name"], "type": kind}
            call.manager.put(Record(identity, kind, {**base, "properties": copy.deepcopy(part.get("properties") or {})}))

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With its parts."""
        body = super().render(manager, record)
        kind = manager.types[f"{self.type}/{self.part}".lower()]
        body["properties"][self.part] = [kind.render(manager, part) for part in manager.children(record.id, kind.type)]
        return body


class _Part(NetworkType):
    """One part, written by itself; the whole is locked meanwhile."""

    tracked = False
    location = "none"
    methods = frozenset({"GET", "PUT", "DELETE"})

    def exclusive(self, record_id: ResourceId) -> str | None:
        """The whole's lock."""
        return str(record_id.parent)


class NetworkSecurityGroups(_WithParts):
    """Security groups, with the rules that each has by default."""

    type = SECURITY_GROUP
    model = "azure.mgmt.network.models.NetworkSecurityGroup"
    part = "securityRules"
    reference, label, in_use = "networkSecurityGroup", "Network security group", "InUseNetworkSecurityGroupCannotBeDeleted"

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Rules against each other."""
        _check_rules([(str(rule.get("name")), rule.get("properties") or {}) for rule in (body.get("properties") or {}).get(self.part) or []])

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """With the default rules."""
        body = super().render(manager, record)
        body["properties"]["defaultSecurityRules"] = [_default_rule(record, *rule) for rule in _DEFAULT_RULES]
        return body


class SecurityRules(_Part):
    """One rule of a security group."""

    type = f"{SECURITY_GROUP}/securityRules"
    model = "azure.mgmt.network.models.SecurityRule"

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Against its group's other rules."""
        others = call.manager.children(str(call.resource_id.parent), self.type)
        rules = [(rule.name, rule.properties) for rule in others if rule.key != call.resource_id.key]
        _check_rules([*rules, (call.resource_id.name, body.get("properties") or {})])


class RouteTables(_WithParts):
    """Route tables."""

    type = ROUTE_TABLE
    model = "azure.mgmt.network.models.RouteTable"
    part = "routes"
    reference, label, in_use = "routeTable", "Route table", "InUseRouteTableCannotBeDeleted"

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Azure's default."""
        super().complete(call, record, before)
        record.properties.setdefault("disableBgpRoutePropagation", False)


class Routes(_Part):
    """One route of a route table."""

    type = f"{ROUTE_TABLE}/routes"
    model = "azure.mgmt.network.models.Route"


def _check_rules(rules: list[tuple[str, Body]]) -> None:
    """Priorities: 100 to 4096, each once a direction."""
    seen: dict[tuple[str, int], str] = {}
    for name, properties in rules:
        priority = int(properties.get("priority") or 0)
        if not 100 <= priority <= 4096:
            message = f"Security rule {name} has invalid priority {priority}. Allowed values are between 100 and 4096."
            raise ArmError(400, "SecurityRuleInvalidPriority", message, details=[])
        place = (str(properties.get("direction")).lower(), priority)
        if place in seen:
            message = (
                f"Security rule {name} conflicts with rule {seen[place]}. Rules cannot have the same Priority and Direction. "
                "To learn more, see aka.ms/nsgrules."
            )
            raise ArmError(400, "SecurityRuleConflict", message, details=[])
        seen[place] = name


def _default_rule(record: Record, name: str, description: str, source: str, target: str, access: str, priority: int, direction: str) -> Body:
    return {
        "id": f"{record.id}/defaultSecurityRules/{name}",
        "name": name,
        "type": f"{SECURITY_GROUP}/defaultSecurityRules",
        "properties": {
            "provisioningState": "Succeeded",
            "description": description,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": target,
            "access": access,
            "priority": priority,
            "direction": direction,
        },
    }
