"""What Resource Manager knows: providers and their types, resources, resource groups' contents, registrations, locks."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as t
import uuid

from starlette.responses import Response

from . import schema
from .errors import ArmError
from .ids import ResourceId, parse
from .operations import Operations
from .resource import Call, Provider, Record, ResourceType

if t.TYPE_CHECKING:
    from ...emulator import Emulator

RESOURCES, REGISTRATIONS, LOCKS = "resources", "registrations", "locks"
ASSIGNMENTS, DEFINITIONS = "role_assignments", "role_definitions"


class ResourceManager:
    """Records and providers of one emulator; ``operations`` runs what takes time."""

    def __init__(self, emulator: Emulator, providers: t.Sequence[Provider]) -> None:
        self.emulator = emulator
        self.providers = {provider.namespace.lower(): provider for provider in merged(providers)}
        self.types = {kind.type.lower(): kind for provider in self.providers.values() for kind in provider.types}
        self.operations = Operations(self)

    async def start(self) -> None:
        """Make the descriptions of bodies ready, and carry on with operations that were in progress when the emulator was stopped."""
        await asyncio.to_thread(schema.prepare, self.types.values())
        self.operations.start_resumed()

    async def stop(self) -> None:
        """Stop the background work; what isn't finished is carried on by the next `start`."""
        await self.operations.stop()

    # --- resources ---------------------------------------------------------------------------------------------------------------------

    def get(self, resource_id: str) -> Record | None:
        """Record of an id in any case, None: there is no such resource."""
        value = self.emulator.store.get(RESOURCES, resource_id.lower())
        return Record(**value) if value else None

    def put(self, record: Record) -> None:
        """Keep a record, with a new ETag."""
        record.etag = f'W/"{uuid.uuid4()}"'
        self.emulator.store.put(RESOURCES, record.key, dataclasses.asdict(record))

    def forget(self, resource_id: str) -> None:
        """Drop a resource with its children, and the role assignments and locks at and below it."""
        key = resource_id.lower()
        for collection in (RESOURCES, ASSIGNMENTS, LOCKS):
            for found, _ in self.emulator.store.items(collection, key):
                if found == key or found.startswith(f"{key}/"):
                    self.emulator.store.delete(collection, found)

    def under(self, scope: str) -> list[Record]:
        """Every record below an id (a group, a subscription, a resource)."""
        return [Record(**value) for _, value in self.emulator.store.items(RESOURCES, f"{scope.lower()}/")]

    def children(self, scope: str, resource_type: str) -> list[Record]:
        """Records of one type below an id, by name."""
        return [record for record in self.under(scope) if record.type.lower() == resource_type.lower()]

    def find(self, resource_type: str) -> list[Record]:
        """Every record of a type: for names that are unique in all of Azure."""
        return self.children("", resource_type)

    def find_namespace(self, namespace: str) -> list[Record]:
        """Every record of a provider's types."""
        return [record for record in self.under("") if record.type.lower().startswith(f"{namespace.lower()}/")]

    def type_of(self, record: Record) -> ResourceType:
        """The type of a record."""
        return self.types[record.type.lower()]

    def location_of(self, record: Record) -> str:
        """Region of a record, of the resource that it is a child of, or of its resource group."""
        found: Record | None = record
        resource_id = parse(record.id)
        while found is not None or resource_id is not None:
            if found is not None and found.location:
                return found.location
            resource_id = resource_id.parent if resource_id else None
            found = self.get(str(resource_id)) if resource_id else None
        group = parse(record.id)
        return (self.get(group.group_id) or record).location if group else ""

    @staticmethod
    def parse(resource_id: str) -> ResourceId:
        """A stored id, taken apart; that of a group or subscription counts as its own scope."""
        return parse(resource_id) or ResourceId(resource_id, "Microsoft.Resources", ("resourceGroups",), (resource_id.rsplit("/", 1)[-1],))

    async def begin(self, call: Call, record: Record, verb: str, arguments: dict[str, t.Any] | None = None) -> Response:
        """Start the work of ``verb`` on a record and give the first answer."""
        return await self.operations.begin(call, record, verb, arguments)

    # --- registration of providers -----------------------------------------------------------------------------------------------------

    def registration(self, namespace: str) -> str:
        """NotRegistered, Registering, Registered, Unregistering or Unregistered."""
        provider = self.providers.get(namespace.lower())
        if provider is not None and provider.always_registered:
            return "Registered"
        value = self.emulator.store.get(REGISTRATIONS, namespace.lower())
        if value is None:
            return "NotRegistered"
        over = self.emulator.clock.now().timestamp() >= float(value["until"])
        return {"Registering": "Registered", "Unregistering": "Unregistered"}[value["state"]] if over else str(value["state"])

    def register(self, namespace: str, state: str) -> None:
        """Start registering or unregistering; it ends after the duration ``providers``."""
        until = self.emulator.clock.now().timestamp() + self.emulator.settings.durations.get("providers", 0)
        self.emulator.store.put(REGISTRATIONS, namespace.lower(), {"state": state, "until": until})

    def require_registration(self, namespace: str) -> None:
        """Refuse a call to a provider that the subscription isn't registered for."""
        if self.registration(namespace) != "Registered":
            message = (
                f"The subscription is not registered to use namespace '{namespace}'. "
                "See https://aka.ms/rps-not-found for how to register subscriptions."
            )
            details = [{"code": "MissingSubscriptionRegistration", "target": namespace, "message": message}]
            raise ArmError(409, "MissingSubscriptionRegistration", message, details=details)

    # --- locks -------------------------------------------------------------------------------------------------------------------------

    def locks(self, scope: str) -> list[dict[str, t.Any]]:
        """Management locks at a scope and below it."""
        key = scope.lower()
        return [value for found, value in self.emulator.store.items(LOCKS, key) if found.startswith(f"{key}/")]

    def require_unlocked(self, scope: str, verb: str, *, below: bool = False) -> None:
        """Refuse a write or delete where a lock at the scope or above it (``below``: or under it) forbids it."""
        key, levels = scope.lower(), {"write": {"ReadOnly"}, "delete": {"ReadOnly", "CanNotDelete"}}[verb]
        locked = []
        for _, lock in self.emulator.store.items(LOCKS):
            place = str(lock["id"]).rpartition("/providers/Microsoft.Authorization/locks/")[0]
            reaches = f"{key}/".startswith(f"{place.lower()}/") or (below and place.lower().startswith(f"{key}/"))
            if reaches and lock["properties"]["level"] in levels:
                locked.append(place)
        if locked:
            scopes = ",".join(f"'{place}'" for place in locked)
            message = (
                f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: {scopes}. "
                "Please remove the lock and try again."
            )
            raise ArmError(409, "ScopeLocked", message)


def merged(providers: t.Sequence[Provider]) -> list[Provider]:
    """Providers with one entry for each namespace, as several modules may look after parts of one (network, private DNS)."""
    found: dict[str, Provider] = {}
    for provider in providers:
        before = found.get(provider.namespace.lower())
        if before is not None:
            provider = Provider(before.namespace, [*before.types, *provider.types], [*before.routes, *provider.routes], before.always_registered)
        found[provider.namespace.lower()] = provider
    return list(found.values())
