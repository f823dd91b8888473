"""Microsoft.Resources/tags: the tags of any resource, group or subscription, set without touching the rest."""

from __future__ import annotations

from .arm import access
from .arm.errors import ArmError, resource_not_found
from .arm.resource import Body, Call, Record, Response, Route

SUBSCRIPTION_TAGS = "subscription_tags"
OPERATIONS = {
    "merge": lambda old, new: {**old, **new},
    "replace": lambda old, new: dict(new),
    "delete": lambda old, new: {key: value for key, value in old.items() if key not in new or (new[key] not in ("", None, value))},
}


def _read(call: Call) -> tuple[Record | None, dict[str, str]]:
    scope = call.parameters["scope"]
    if scope.count("/") == 2:
        return None, dict(call.emulator.store.get(SUBSCRIPTION_TAGS, scope.lower()) or {})
    record = call.manager.get(scope)
    if record is None:
        parsed = call.manager.parse(scope)
        raise resource_not_found(parsed.type, parsed.name, parsed.resource_group)
    return record, dict(record.body.get("tags") or {})


def _write(call: Call, record: Record | None, tags: dict[str, str]) -> Body:
    scope = call.parameters["scope"]
    if record is None:
        call.emulator.store.put(SUBSCRIPTION_TAGS, scope.lower(), tags)
    else:
        call.manager.require_unlocked(record.id, "write")
        record.body["tags"] = tags
        call.manager.put(record)
    return _shown(scope, tags)


def _shown(scope: str, tags: dict[str, str]) -> Body:
    identity = f"{scope}/providers/Microsoft.Resources/tags/default"
    return {"id": identity, "name": "default", "type": "Microsoft.Resources/tags", "properties": {"tags": tags}}


def _wanted(call: Call) -> dict[str, str]:
    body = call.body if isinstance(call.body, dict) else {}
    tags = (body.get("properties") or {}).get("tags")
    if not isinstance(tags, dict):
        raise ArmError(400, "InvalidRequestContent", "The request content is not valid: the property 'properties.tags' is required.")
    return tags


async def get(call: Call) -> Body:
    """Tags of a scope."""
    access.require(call.emulator, call.principal, "Microsoft.Resources/tags/read", call.parameters["scope"])
    return _shown(call.parameters["scope"], _read(call)[1])


async def put(call: Call) -> Body:
    """Replace all tags."""
    access.require(call.emulator, call.principal, "Microsoft.Resources/tags/write", call.parameters["scope"])
    record, _ = _read(call)
    return _write(call, record, _wanted(call))


async def patch(call: Call) -> Body:
    """Merge, replace or delete tags."""
    access.require(call.emulator, call.principal, "Microsoft.Resources/tags/write", call.parameters["scope"])
    record, tags = _read(call)
    body = call.body if isinstance(call.body, dict) else {}
    operation = OPERATIONS.get(str(body.get("operation", "")).lower())
    if operation is None:
        message = f"The value '{body.get('operation')}' of 'operation' is not valid; it is one of Merge, Replace, Delete."
        raise ArmError(400, "InvalidRequestContent", message)
    return _write(call, record, operation(tags, _wanted(call)))


async def delete(call: Call) -> Response:
    """Remove all tags."""
    access.require(call.emulator, call.principal, "Microsoft.Resources/tags/delete", call.parameters["scope"])
    record, _ = _read(call)
    _write(call, record, {})
    return Response(b"", 200)


_PATH = "{scope*}/providers/Microsoft.Resources/tags/default"
ROUTES = (Route("GET", _PATH, get), Route("PUT", _PATH, put), Route("PATCH", _PATH, patch), Route("DELETE", _PATH, delete))
