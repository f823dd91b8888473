"""Resource ids: taken apart, compared without case, spelled as Azure spells them."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class ResourceId:
    """The id of one resource (or, with one name fewer than types, of a collection or an action).

    ``scope`` is what stands before the last ``/providers/``: a resource group, a subscription, or another resource for extension resources.
    """

    scope: str
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        segments = [segment for pair in zip(self.types, (*self.names, ""), strict=False) for segment in pair if segment]
        return "/".join([f"{self.scope}/providers/{self.namespace}", *segments])

    @property
    def key(self) -> str:
        """What the store and every comparison use: the id in lower case."""
        return str(self).lower()

    @property
    def type(self) -> str:
        """Full type, such as ``Microsoft.Network/virtualNetworks/subnets``."""
        return "/".join([self.namespace, *self.types])

    @property
    def name(self) -> str:
        """Last name."""
        return self.names[-1]

    @property
    def subscription(self) -> str:
        """Subscription's GUID, or '' outside of a subscription."""
        match = re.match(r"/subscriptions/([^/]+)", self.scope, re.IGNORECASE)
        return match[1] if match else ""

    @property
    def resource_group(self) -> str:
        """Resource group's name, or '' outside of one."""
        match = re.match(r"/subscriptions/[^/]+/resourceGroups/([^/]+)", self.scope, re.IGNORECASE)
        return match[1] if match else ""

    @property
    def group_id(self) -> str:
        """Id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    @property
    def parent(self) -> ResourceId | None:
        """The resource that this one is a child of (a subnet's network), or None at top level."""
        kept = len(self.types) - 1  # a collection or an action has a name fewer
        return dataclasses.replace(self, types=self.types[:kept], names=self.names[:kept]) if kept else None

    def child(self, kind: str, name: str) -> ResourceId:
        """Id of a child resource."""
        return dataclasses.replace(self, types=(*self.types, kind), names=(*self.names, name))

    def spelled(self, resource_type: str) -> ResourceId:
        """The same id with namespace and types in the spelling of ``resource_type``, names as they are."""
        namespace, *types = resource_type.split("/")
        return dataclasses.replace(self, scope=canonical_scope(self.scope), namespace=namespace, types=tuple(types))


def canonical_scope(scope: str) -> str:
    """``resourcegroups`` spelled ``resourceGroups``; everything else as the client wrote it."""
    return re.sub(r"(?i)^/subscriptions/([^/]+)/resourcegroups/", r"/subscriptions/\1/resourceGroups/", scope)


def parse(path: str) -> ResourceId | None:
    """Take an id (or a path of a collection or action) apart; None where it has no ``/providers/`` part with a type."""
    match = re.match(r"(?i)^(.*)/providers/([^/]+)/(.+?)/?$", path)
    if match is None:
        return None
    segments = match[3].split("/")
    return ResourceId(match[1], match[2], tuple(segments[::2]), tuple(segments[1::2]))
