"""What a resource type is, and how a provider is added.

A provider is a module of ``cloud_emulator.azure`` with one value, ``PROVIDER = Provider("Microsoft.Example", types=[...], routes=[...])``, named in
``management.PROVIDERS``. A resource type is a class over `ResourceType`: facts as class attributes, behaviour in a few hooks. Nothing else is
needed for it: routing by id, the api-version, access control, registration of the provider, locks, parents, body checks against the SDK's model,
naming rules, immutable properties, ETags, merging of PATCH, tags, lists, the long-running answer, persistence and deletion of children are the
framework's.

    class Things(ResourceType):
        type = "Microsoft.Example/things"                       # canonical spelling; children are "Microsoft.Example/things/parts"
        model = "azure.mgmt.example.models.Thing"               # body of PUT; the class that describes it in the SDK
        styles = styles.NETWORK                                 # how writes are answered: a table of styles.py
        naming = Naming(r"[a-z0-9-]{3,63}", "InvalidThingName", "Thing name '{name}' is invalid.")
        immutable = ("properties.size",)

        async def check(self, call, body, before):              # refuse what Azure refuses at once: raise ArmError
        def complete(self, call, record, before):               # defaults and computed properties, into record.body; secrets into record.private
        async def create(self, work): / update / delete         # the real work (a backend), in the background; may change work.record
        def render(self, manager, record):                      # what a GET shows, where that is more than what is stored
        actions = {"listKeys": "list_keys"}                     # POST {id}/listKeys -> async def list_keys(self, call, record) -> dict | Response

An action that takes time ends in ``return await call.manager.begin(call, record, "restart")``: the verb is a method
``async def restart(self, work)`` of the type with a style of that name. A function that belongs to no resource (name checks, capabilities) is a
`Route`: a handler ``async def (call) -> JSON`` whose path parameters are in ``call.parameters``. An error raised in work ends the operation Failed:
`ArmError` with its code and message, anything else as InternalServerError; what is then left of the resource is decided in ``failed``.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import typing as t

from starlette.responses import Response

from . import styles as style_tables
from .errors import ArmError
from .ids import ResourceId
from .records import Body, Call, Naming, Principal, Record, Work, merge

if t.TYPE_CHECKING:
    from .manager import ResourceManager
    from .operations import Operation
    from .schema import Fault


class ResourceType:
    """A type of resource; see the module's own text."""

    type: t.ClassVar[str]
    #: dotted name of the class that describes a PUT body, None: bodies aren't checked
    model: t.ClassVar[str | None] = None
    #: dotted name of the class of a PATCH body; None: as PUT, with nothing required
    patch_model: t.ClassVar[str | None] = None
    #: dotted name of the class that a GET answers with, where that is another one: what only it knows is ignored in a PUT
    read_model: t.ClassVar[str | None] = None
    #: names of enumerations whose unknown values Azure takes
    open_enums: t.ClassVar[frozenset[str]] = frozenset()
    #: what other api-versions know and the newest model doesn't: dotted paths such as ``properties.sharingScope``
    accepted: t.ClassVar[tuple[str, ...]] = ()
    #: an empty text says as little as a missing property, as with services written in Go
    empty_is_missing: t.ClassVar[bool] = False
    #: top-level resource with location and tags, shown in a group's resource list
    tracked: t.ClassVar[bool] = True
    #: region: of the subscription's; global: the literal; none: has no location
    location: t.ClassVar[t.Literal["region", "global", "none"]] = "region"
    styles: t.ClassVar[style_tables.Styles] = style_tables.SYNCHRONOUS
    naming: t.ClassVar[Naming | None] = None
    #: dotted paths that a later write may not change
    immutable: t.ClassVar[tuple[str, ...]] = ()
    #: HTTP methods that a single resource knows
    methods: t.ClassVar[frozenset[str]] = frozenset({"GET", "PUT", "PATCH", "DELETE"})
    #: POST {id}/{action}: method that answers it
    actions: t.ClassVar[t.Mapping[str, str]] = {}
    #: If-Match and If-None-Match are honoured, and ``etag`` is shown
    etags: t.ClassVar[bool] = False
    #: whether properties.provisioningState is shown
    provisioning_state: t.ClassVar[bool] = True
    creating: t.ClassVar[str] = "Creating"
    updating: t.ClassVar[str] = "Updating"
    #: the parent can't be deleted before these children (a zone and its links): a group's deletion takes them first
    blocks_parent: t.ClassVar[bool] = False
    #: a parent must exist before a child is written
    needs_parent: t.ClassVar[bool] = True

    @property
    def namespace(self) -> str:
        """Provider's namespace."""
        return self.type.partition("/")[0]

    @property
    def kind(self) -> str:
        """Last part of the type: the key of its durations."""
        return self.type.rsplit("/", 1)[-1]

    def style(self, verb: str) -> style_tables.Style:
        """Style of a verb."""
        return self.styles["update"] if verb == "patch" and "patch" not in self.styles else self.styles[verb]

    # --- what a type changes -----------------------------------------------------------------------------------------------------------

    async def refresh(self, call: Call, resource_id: ResourceId) -> None:
        """Take over, before a request on a resource or its collection, what was changed behind Resource Manager's back (through a data plane)."""

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Refuse a write at once; ``body`` is the whole wanted body (a PATCH is merged already)."""

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Fill in defaults and computed values; ``record.body`` holds what was asked for."""

    async def check_delete(self, call: Call, record: Record) -> None:
        """Refuse a deletion at once."""

    async def create(self, work: Work) -> None:
        """Make the real thing."""

    async def update(self, work: Work) -> None:
        """Change the real thing; ``work.arguments["before"]`` is the earlier body."""

    async def delete(self, work: Work) -> None:
        """Remove the real thing (children's records are forgotten by the framework afterwards)."""

    def failed(self, work: Work, error: ArmError) -> None:
        """What is left after failed work: by default the resource, in state Failed."""
        work.record.state = "Failed"
        work.save()

    def render(self, manager: ResourceManager, record: Record) -> Body:
        """The body that a GET shows."""
        body = copy.deepcopy(record.body)
        if self.provisioning_state:
            body["properties"] = {**body.get("properties", {}), "provisioningState": record.state}
        if self.etags:
            body["etag"] = record.etag
        return body

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        """The record of an id: overridden where things exist that nobody made (defaults, singletons)."""
        return call.manager.get(record_id.key)

    def listed(self, call: Call, scope: str) -> list[Record]:
        """Records of a collection; ``scope`` is the id of the parent, resource group or subscription, in lower case."""
        return call.manager.children(scope, self.type)

    def exclusive(self, record_id: ResourceId) -> str | None:
        """Key of a lock that a write holds until its operation ends (a network's id for its subnets), None: no lock."""
        return None

    def busy(self, call: Call, operation: Operation) -> ArmError:
        """Refusal of a write while ``operation`` holds the lock."""
        message = "Another operation is in progress on this resource. Please try again later."
        return ArmError(409, "OperationNotAllowed", message)

    def immutable_error(self, path: str, old: t.Any, new: t.Any) -> ArmError:
        """Refusal of a change to a property that never changes."""
        return ArmError(400, "PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.", target=path)

    def invalid(self, fault: Fault) -> ArmError:
        """Refusal of a body that the type's description doesn't fit, in the provider's words."""
        return ArmError(400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{fault}'.")

    def merged(self, before: Body, patch: Body) -> Body:
        """The whole body that a PATCH asks for: objects are merged, null removes, tags and lists are replaced."""
        result = merge(before, {key: value for key, value in patch.items() if key != "tags"})
        return {**result, "tags": patch["tags"]} if "tags" in patch else result


Handler = t.Callable[[Call], t.Awaitable[t.Any]]


@dataclasses.dataclass(frozen=True)
class Route:
    """A function outside of resources: ``path`` holds ``{parameters}`` and is matched without case."""

    method: str
    path: str
    handler: Handler
    #: action that the caller must be allowed at the subscription, None: any caller with a token
    action: str | None = None
    #: whether a missing api-version is refused, and whether a token is needed (metadata is public)
    public: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Path parameters, None where the request is another one."""
        if method != self.method:
            return None
        pattern = "/".join(
            f"(?P<{part[1:-1].rstrip('*')}>{'.*' if part.endswith('*}') else '[^/]+'})" if part.startswith("{") else re.escape(part)
            for part in self.path.split("/")
        )
        found = re.fullmatch(pattern, path, re.IGNORECASE)
        return found.groupdict() if found else None


@dataclasses.dataclass(frozen=True)
class Provider:
    """A resource provider: what ``GET …/providers`` lists and the app routes to."""

    namespace: str
    types: t.Sequence[ResourceType] = ()
    routes: t.Sequence[Route] = ()
    #: registered in every subscription from the start
    always_registered: bool = False


__all__ = [
    "ArmError",
    "Body",
    "Call",
    "Naming",
    "Principal",
    "Provider",
    "Record",
    "ResourceId",
    "ResourceType",
    "Response",
    "Route",
    "Work",
    "merge",
]
