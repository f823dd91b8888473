"""Microsoft.Resources: resource groups, the resources in them, and the registration of providers."""

from __future__ import annotations

import asyncio
import re
import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..clock import timestamp
from .arm import access, regions, schema, styles
from .arm.errors import ArmError, resource_group_not_found
from .arm.manager import ResourceManager
from .arm.resource import Body, Call, Principal, Provider, Record, ResourceType, Response, Route, Work
from .providers import ROUTES as PROVIDER_ROUTES
from .subscriptions import ROUTES as SUBSCRIPTION_ROUTES
from .tags import ROUTES as TAG_ROUTES

GROUP = "Microsoft.Resources/resourceGroups"
ACTION = "Microsoft.Resources/subscriptions/resourceGroups"
#: times (a second apart) that a group's deletion tries again what still refuses to go; the setting limits.groupDeletionTries
TRIES = 5


class ResourceGroups(ResourceType):
    """A group; its deletion takes everything in it along."""

    type = GROUP
    model = "azure.mgmt.resource.resources.models.ResourceGroup"
    styles = styles.RESOURCE_GROUP

    async def delete(self, work: Work) -> None:
        """Delete what is in the group, what others depend on last; ends in an error that names what can't be deleted."""
        tries = int(work.emulator.settings.get("limits.groupDeletionTries", TRIES))
        while True:
            blocked: dict[str, ArmError] = {}
            progress = await _delete_round(work, blocked)
            if not blocked:
                return
            if not progress:
                tries -= 1
                if tries <= 0:
                    raise _deletion_blocked(work, blocked)
                await work.emulator.clock.sleep(1)

    def failed(self, work: Work, error: ArmError) -> None:
        """A group that couldn't be deleted goes back to what it was."""
        work.record.state = "Succeeded"
        work.save()


async def _delete_round(work: Work, blocked: dict[str, ArmError]) -> bool:
    """Delete everything that can go now, at once; ``blocked`` gets the rest. True where something went."""
    manager, scope = work.manager, work.record.id
    present = manager.under(scope)
    keys = {record.key for record in present}
    goes = [record for record in present if _goes_by_itself(manager, record, keys)]

    async def remove(record: Record) -> bool:
        kind = manager.type_of(record)
        call = detached(manager, record, work.operation.principal)
        try:
            holder = manager.operations.get(record.operation) if record.operation else None
            if holder is not None and holder.status == "InProgress":
                raise ArmError(409, "Conflict", f"Another operation is in progress on '{record.id}'.")
            await kind.check_delete(call, record)
            record.state = "Deleting"
            manager.put(record)
            await kind.delete(Work(manager, record, work.operation, {}))
        except ArmError as error:
            blocked[record.id] = error
            return False
        manager.forget(record.id)
        return True

    done = await asyncio.gather(*(remove(record) for record in goes))
    return any(done)


def _goes_by_itself(manager: ResourceManager, record: Record, present: set[str]) -> bool:
    """Children go with their parent, save where the parent refuses to go before them."""
    parent = manager.parse(record.id).parent
    if record.type.lower() not in manager.types or manager.type_of(record).type != record.type:
        return False
    return parent is None or str(parent).lower() not in present or manager.type_of(record).blocks_parent


def _deletion_blocked(work: Work, blocked: dict[str, ArmError]) -> ArmError:
    names = ", ".join(f"'{identity.partition('/providers/')[2]}'" for identity in blocked)
    message = (
        f"Deletion of resource group '{work.record.name}' failed as resources with identifiers {names} could not be deleted. The provisioning state "
        f"of the resource group will be rolled back. The tracking Id is '{work.operation.id}'. Please check audit logs for more details."
    )
    details = [{"code": error.code, "target": identity, "message": error.message} for identity, error in blocked.items()]
    return ArmError(409, "ResourceGroupDeletionBlocked", message, details=details)


def detached(manager: ResourceManager, record: Record, principal: str) -> Call:
    """A call that no client made, for hooks that a group's deletion asks."""
    scope = {"type": "http", "method": "DELETE", "path": record.id, "query_string": b"", "headers": []}
    return Call(manager, Request(scope), Principal(principal, ""), "2024-11-01", {}, id=manager.parse(record.id))


# --- groups ----------------------------------------------------------------------------------------------------------------------------


def _group(call: Call) -> Record:
    name = call.parameters["group"]
    record = call.manager.get(_group_id(call))
    if record is None:
        raise resource_group_not_found(name)
    return record


def _group_id(call: Call) -> str:
    return f"/subscriptions/{call.parameters['subscription']}/resourceGroups/{call.parameters['group']}"


def _shown(call: Call, record: Record) -> Body:
    return {**call.manager.type_of(record).render(call.manager, record), "type": GROUP}


async def get_group(call: Call) -> Body:
    """One group."""
    return _shown(call, _group(call))


async def head_group(call: Call) -> Response:
    """204 where the group exists, else 404 without a body."""
    return Response(b"", 204 if call.manager.get(_group_id(call)) else 404)


async def list_groups(call: Call) -> Body:
    """Groups that the caller may read, with Azure's filter on one tag."""
    found = [Record(**value) for _, value in call.emulator.store.items("resources") if value["type"] == GROUP]
    records = [record for record in found if access.allowed(call.emulator, call.principal.id, f"{ACTION}/read", record.id)]
    tagged = re.fullmatch(r"tagName eq '([^']*)'(?: and tagValue eq '([^']*)')?", call.query.get("$filter", ""))
    if tagged:
        records = [record for record in records if _has_tag(record, tagged[1], tagged[2])]
    return {"value": [_shown(call, record) for record in records]}


async def put_group(call: Call) -> Response:
    """Make a group or set its tags; its location never changes."""
    kind, identity, name = ResourceGroups(), _group_id(call), call.parameters["group"]
    body: Body = call.body if isinstance(call.body, dict) else {}
    schema.check(call, kind, body)
    if not re.fullmatch(r"[-\w.()]{1,90}", name) or name.endswith("."):
        message = (
            f"The provided resource group name '{name}' is invalid. The name can only be a letter, digit, '-', '.', '(', ')' or '_', "
            "at most 90 characters, and can't end with '.'."
        )
        raise ArmError(400, "InvalidResourceGroup", message)
    before = call.manager.get(identity)
    location = regions.normal(body.get("location") or "")
    if not location:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if location not in regions.BY_NAME:
        known = ",".join(regions.BY_NAME)
        message = f"The provided location '{body['location']}' is not available for resource group. List of available regions is '{known}'."
        raise ArmError(400, "LocationNotAvailableForResourceGroup", message)
    if before is not None:
        _check_writable(call, before)
        if location != before.location:
            message = f"Invalid resource group location '{location}'. The Resource group already exists in location '{before.location}'."
            raise ArmError(409, "InvalidResourceGroupLocation", message)
    shown = {key: body[key] for key in ("tags", "managedBy") if body.get(key)}
    record = Record(before.id if before else identity, GROUP, {"id": before.id if before else identity, "name": name, "type": GROUP})
    record.body.update({"location": location, **shown, "properties": {}})
    record.created = before.created if before else timestamp(call.emulator.clock.now())
    call.manager.put(record)
    return JSONResponse(_shown(call, record), 200 if before else 201)


async def patch_group(call: Call) -> Body:
    """Change a group's tags."""
    record = _group(call)
    _check_writable(call, record)
    body: Body = call.body if isinstance(call.body, dict) else {}
    record.body.update({key: body[key] for key in ("tags", "managedBy") if key in body})
    call.manager.put(record)
    return _shown(call, record)


async def delete_group(call: Call) -> Response:
    """Start deleting a group and everything in it."""
    record = _group(call)
    call.manager.require_unlocked(record.id, "delete", below=True)
    running = call.manager.operations.get(record.operation) if record.state == "Deleting" else None
    if running is not None:
        return call.manager.operations.first_answer(call, record, running)
    record.state = "Deleting"
    return await call.manager.begin(call, record, "delete")


def _check_writable(call: Call, record: Record) -> None:
    call.manager.require_unlocked(record.id, "write")
    if record.state == "Deleting":
        message = f"The resource group '{record.name}' is in deprovisioning state and cannot perform this operation."
        raise ArmError(409, "ResourceGroupBeingDeleted", message)


# --- resources -------------------------------------------------------------------------------------------------------------------------


async def list_in_group(call: Call) -> Body:
    """Tracked resources of one group."""
    return _resources(call, _group(call).id)


async def list_all(call: Call) -> Body:
    """Tracked resources of the subscription that the caller may read."""
    return _resources(call, f"/subscriptions/{call.parameters['subscription']}")


def _resources(call: Call, scope: str) -> Body:
    records = [record for record in call.manager.under(scope) if record.type != GROUP and _is_tracked(call.manager, record)]
    records = [record for record in records if access.allowed(call.emulator, call.principal.id, f"{record.type}/read", record.id)]
    wanted = call.query.get("$filter", "")
    for clause in filter(None, re.split(r"\s+and\s+", wanted)):
        records = [record for record in records if _matches(call, record, clause, wanted)]
    expand = {part.strip().lower() for part in call.query.get("$expand", "").split(",")}
    top = int(call.query.get("$top", "1000000"))
    return {"value": [_generic(call, record, expand) for record in records[:top]]}


def _is_tracked(manager: ResourceManager, record: Record) -> bool:
    kind = manager.types.get(record.type.lower())
    return kind is not None and kind.tracked and len(manager.parse(record.id).types) == len(kind.type.split("/")) - 1


def _matches(call: Call, record: Record, clause: str, wanted: str) -> bool:
    found = re.fullmatch(r"(resourceType|name|location|resourceGroup|tagName|tagValue) eq '([^']*)'", clause.strip("() "))
    if found is None:
        raise ArmError(400, "InvalidFilterInQueryString", f"Invalid $filter '{wanted}' specified in the query string.")
    name, value = found[1], found[2].lower()
    tags = {key.lower(): str(text).lower() for key, text in (record.body.get("tags") or {}).items()}
    actual: dict[str, t.Any] = {
        "resourceType": record.type.lower() == value,
        "name": record.name.lower() == value,
        "location": record.location == regions.normal(value),
        "resourceGroup": call.manager.parse(record.id).resource_group.lower() == value,
        "tagName": value in tags,
        "tagValue": value in tags.values(),
    }
    return bool(actual[name])


def _generic(call: Call, record: Record, expand: set[str]) -> Body:
    shown: Body = {
        key: record.body[key] for key in ("id", "name", "type", "kind", "location", "managedBy", "sku", "identity", "tags") if key in record.body
    }
    if "provisioningstate" in expand:
        shown["provisioningState"] = record.state
    if "createdtime" in expand:
        shown["createdTime"] = record.created
    if "changedtime" in expand:
        shown["changedTime"] = record.created
    return shown


def _has_tag(record: Record, name: str, value: str | None) -> bool:
    tags = {key.lower(): text for key, text in (record.body.get("tags") or {}).items()}
    return name.lower() in tags and value in (None, tags[name.lower()])


_GROUP_PATH = "/subscriptions/{subscription}/resourceGroups/{group}"
PROVIDER = Provider(
    "Microsoft.Resources",
    types=[ResourceGroups()],
    routes=[
        *SUBSCRIPTION_ROUTES,
        Route("GET", "/subscriptions/{subscription}/resourceGroups", list_groups),
        Route("GET", _GROUP_PATH, get_group, f"{ACTION}/read"),
        Route("HEAD", _GROUP_PATH, head_group, f"{ACTION}/read"),
        Route("PUT", _GROUP_PATH, put_group, f"{ACTION}/write"),
        Route("PATCH", _GROUP_PATH, patch_group, f"{ACTION}/write"),
        Route("DELETE", _GROUP_PATH, delete_group, f"{ACTION}/delete"),
        Route("GET", f"{_GROUP_PATH}/resources", list_in_group, f"{ACTION}/read"),
        Route("GET", "/subscriptions/{subscription}/resources", list_all),
        *PROVIDER_ROUTES,
        *TAG_ROUTES,
    ],
    always_registered=True,
)
