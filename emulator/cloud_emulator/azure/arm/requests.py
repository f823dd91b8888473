"""What happens to a request on a resource, a collection or an action: the checks in Azure's order, then the write, read or list."""

from __future__ import annotations

import copy
import typing as t

from starlette.responses import JSONResponse, Response

from ...clock import timestamp
from . import access, regions, schema
from .errors import ArmError, parent_not_found, resource_group_not_found, resource_not_found
from .ids import ResourceId
from .resource import Body, Call, Record, ResourceType

ENVELOPE = ("id", "name", "type", "etag", "systemData")


async def answer(call: Call, resource_id: ResourceId) -> Response:
    """Answer a request whose path is below ``/providers/{namespace}/``; the id is spelled as its type is."""
    call.id = resource_id
    if len(resource_id.types) == len(resource_id.names):
        resource_type = call.manager.types[resource_id.type.lower()]
        method = "GET" if call.request.method == "HEAD" else call.request.method
        handler = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}.get(method)
        if handler is None or method not in resource_type.methods:
            raise _not_allowed(call)
        await resource_type.refresh(call, resource_id)
        return await handler(call, resource_type)
    if resource_id.type.lower() in call.manager.types and call.request.method in ("GET", "HEAD"):
        await call.manager.types[resource_id.type.lower()].refresh(call, resource_id)
        return _list(call, call.manager.types[resource_id.type.lower()])
    return await _act(call)


# --- reads -----------------------------------------------------------------------------------------------------------------------------


async def _get(call: Call, resource_type: ResourceType) -> Response:
    resource_id = call.resource_id
    access.require(call.emulator, call.principal, f"{resource_type.type}/read", str(resource_id))
    record = resource_type.read(call, resource_id)
    if record is None:
        raise _absent(call)
    return _rendered(call, resource_type, record)


def _list(call: Call, resource_type: ResourceType) -> Response:
    resource_id = call.resource_id
    owner = resource_id.parent
    scope = str(owner) if owner else resource_id.scope
    if owner is not None and resource_type.needs_parent:
        parent = call.manager.types.get(owner.type.lower())
        if parent is not None and parent.read(call, owner) is None:
            raise _absent(call, owner)
    elif resource_id.resource_group and call.manager.get(resource_id.group_id) is None:
        raise resource_group_not_found(resource_id.resource_group)
    access.require(call.emulator, call.principal, f"{resource_type.type}/read", scope)
    records = resource_type.listed(call, scope.lower())
    return JSONResponse({"value": [resource_type.render(call.manager, record) for record in records]})


async def _act(call: Call) -> Response:
    resource_id = call.resource_id
    owner = resource_id.parent
    resource_type = call.manager.types.get(owner.type.lower()) if owner else None
    if owner is None or resource_type is None:
        raise _not_allowed(call)
    actions = {name.lower(): (name, method) for name, method in resource_type.actions.items()}
    found = actions.get(resource_id.types[-1].lower())
    if found is None or call.request.method not in ("POST", "GET"):
        raise _unknown_child(call)
    name, method = found
    access.require(call.emulator, call.principal, f"{resource_type.type}/{name}/action", str(owner))
    call.manager.require_registration(resource_type.namespace)
    call.id = owner
    record = resource_type.read(call, owner)
    if record is None:
        raise _absent(call, owner)
    result = await getattr(resource_type, method)(call, record)
    return result if isinstance(result, Response) else JSONResponse(result)


# --- writes ----------------------------------------------------------------------------------------------------------------------------


async def _put(call: Call, resource_type: ResourceType) -> Response:
    resource_id, before = call.resource_id, _before_write(call, resource_type, "write")
    body = _object(call)
    schema.check(call, resource_type, body)
    body = schema.without_read_only(resource_type, body)
    if before is None:
        _check_location(call, resource_type, body)
        if resource_type.naming is not None:
            resource_type.naming.check(resource_id.name, resource_type.type)
        return await _write(call, resource_type, body, None, "create")
    return await _write(call, resource_type, body, before, "update")


async def _patch(call: Call, resource_type: ResourceType) -> Response:
    before = _before_write(call, resource_type, "write")
    if before is None:
        raise _absent(call)
    patch = _object(call)
    schema.check(call, resource_type, patch, patch=True)
    patch = schema.without_read_only(resource_type, patch)
    body = resource_type.merged({key: value for key, value in before.body.items() if key not in ENVELOPE}, patch)
    verb = "patch" if "patch" in resource_type.styles else "update"
    return await _write(call, resource_type, body, before, verb)


async def _write(call: Call, resource_type: ResourceType, body: Body, before: Record | None, verb: str) -> Response:
    if before is not None:
        _check_unchanged(resource_type, body, before)
    await resource_type.check(call, body, before)
    record = _record(call, resource_type, body, before)
    resource_type.complete(call, record, before)
    record.state = resource_type.updating if before else resource_type.creating
    arguments = {"before": before.body} if before else {}
    return await call.manager.begin(call, record, verb, arguments)


async def _delete(call: Call, resource_type: ResourceType) -> Response:
    record = _before_write(call, resource_type, "delete")
    if record is None:
        return Response(b"", 204)
    await resource_type.check_delete(call, record)
    record.state = "Deleting"
    return await call.manager.begin(call, record, "delete")


def _before_write(call: Call, resource_type: ResourceType, verb: t.Literal["write", "delete"]) -> Record | None:
    """Everything that Azure checks before it looks at the body; gives the resource as it is now."""
    resource_id, manager = call.resource_id, call.manager
    group = manager.get(resource_id.group_id) if resource_id.resource_group else None
    if resource_id.resource_group and group is None:
        raise resource_group_not_found(resource_id.resource_group)
    access.require(call.emulator, call.principal, f"{resource_type.type}/{verb}", str(resource_id))
    if verb == "write" and group is not None and group.state == "Deleting":
        message = f"The resource group '{group.name}' is in deprovisioning state and cannot perform this operation."
        raise ArmError(409, "ResourceGroupBeingDeleted", message)
    manager.require_registration(resource_type.namespace)
    manager.require_unlocked(str(resource_id), verb)
    before = resource_type.read(call, resource_id)
    parent = resource_id.parent
    if before is None and verb == "write" and parent is not None and resource_type.needs_parent:
        parent_type = manager.types.get(parent.type.lower())
        if parent_type is not None and parent_type.read(call, parent) is None:
            raise parent_not_found(resource_type.type, str(parent))
    if resource_type.etags:
        _check_etag(call, before)
    lock = resource_type.exclusive(resource_id)
    holder = manager.operations.holder(lock) if lock else None
    if holder is not None and not (verb == "delete" and before is None):
        raise resource_type.busy(call, holder)
    return before


def _record(call: Call, resource_type: ResourceType, body: Body, before: Record | None) -> Record:
    resource_id = call.resource_id
    identity = before.id if before else str(resource_id)
    wanted = {key: copy.deepcopy(value) for key, value in body.items() if key not in ENVELOPE}
    if resource_type.location != "none":
        wanted["location"] = before.body["location"] if before else regions.normal(wanted["location"])
    base = {"id": identity, "name": identity.rsplit("/", 1)[-1], "type": resource_type.type}
    record = Record(identity, resource_type.type, {**base, **wanted})
    record.created = before.created if before else timestamp(call.emulator.clock.now())
    if before is not None:
        record.private = copy.deepcopy(before.private)
    return record


# --- checks ----------------------------------------------------------------------------------------------------------------------------


def _check_location(call: Call, resource_type: ResourceType, body: Body) -> None:
    wanted = body.get("location")
    if resource_type.location == "none":
        return
    if not wanted:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    known = ["global"] if resource_type.location == "global" else list(regions.BY_NAME)
    if regions.normal(wanted) not in known:
        message = (
            f"The provided location '{wanted}' is not available for resource type '{resource_type.type}'. "
            f"List of available regions for the resource type is '{','.join(known)}'."
        )
        raise ArmError(400, "LocationNotAvailableForResourceType", message)


def _check_unchanged(resource_type: ResourceType, body: Body, before: Record) -> None:
    wanted = body.get("location")
    if wanted and resource_type.location == "region" and regions.normal(wanted) != before.location:
        message = (
            f"The resource '{before.name}' already exists in location '{before.location}' in resource group "
            f"'{before.id.split('/')[4]}'. A resource with the same name cannot be created in location '{wanted}'. "
            "Please select a new resource name."
        )
        raise ArmError(409, "InvalidResourceLocation", message)
    for path in resource_type.immutable:
        old, new = _value(before.body, path), _value(body, path)
        if new is not None and old is not None and not _same(old, new):
            raise resource_type.immutable_error(path, old, new)


def _check_etag(call: Call, before: Record | None) -> None:
    match, none_match = call.request.headers.get("if-match"), call.request.headers.get("if-none-match")
    current = before.etag if before else ""
    if none_match == "*" and before is not None:
        message = f"The condition '*' in the If-None-Match header was not satisfied. The current was '{current}'."
        raise ArmError(412, "PreconditionFailed", message)
    if match and (before is None or match not in ("*", current)):
        message = f"The condition '{match}' in the If-Match header was not satisfied. The current was '{current}'."
        raise ArmError(412, "PreconditionFailed", message)


def _value(body: t.Any, path: str) -> t.Any:
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def _same(old: t.Any, new: t.Any) -> bool:
    """Equal as Azure compares: texts without case, objects by what the new one says."""
    if isinstance(old, str) and isinstance(new, str):
        return old.lower() == new.lower()
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_same(old.get(key), value) for key, value in new.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_same(*pair) for pair in zip(old, new, strict=True))
    return bool(old == new)


def _object(call: Call) -> Body:
    if not isinstance(call.body, dict):
        message = "The request content was invalid and could not be deserialized: 'Unexpected end of content: a JSON object is required'."
        raise ArmError(400, "InvalidRequestContent", message)
    return call.body


def _rendered(call: Call, resource_type: ResourceType, record: Record) -> Response:
    headers = {"ETag": record.etag} if resource_type.etags else {}
    return JSONResponse(resource_type.render(call.manager, record), headers=headers)


def _absent(call: Call, resource_id: ResourceId | None = None) -> ArmError:
    resource_id = resource_id or call.resource_id
    if resource_id.resource_group and call.manager.get(resource_id.group_id) is None:
        return resource_group_not_found(resource_id.resource_group)
    relative = str(resource_id).rpartition("/providers/")[2]
    namespace, _, rest = relative.partition("/")
    segments = rest.split("/")
    return resource_not_found("/".join([namespace, *segments[::2]]), "/".join(segments[1::2]), resource_id.resource_group)


def _not_allowed(call: Call) -> ArmError:
    message = f"The requested resource does not support http method '{call.request.method}'."
    return ArmError(405, "HttpMethodNotAllowed", message)


def _unknown_child(call: Call) -> ArmError:
    resource_id = call.resource_id
    message = (
        f"The resource type '{'/'.join(resource_id.types)}' could not be found in the namespace '{resource_id.namespace}' "
        f"for api version '{call.api_version}'."
    )
    return ArmError(404, "InvalidResourceType", message)
