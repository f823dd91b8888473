"""Microsoft.Authorization/locks: management locks at any scope."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse

from .arm import access
from .arm.errors import ArmError
from .arm.manager import LOCKS
from .arm.resource import Body, Call, Provider, Response, Route

ACTION = "Microsoft.Authorization/locks"
LEVELS = ("CanNotDelete", "ReadOnly")


def _id(call: Call) -> str:
    return f"{call.parameters['scope']}/providers/Microsoft.Authorization/locks/{call.parameters['name']}"


async def put(call: Call) -> Response:
    """Make or change a lock."""
    access.require(call.emulator, call.principal, f"{ACTION}/write", call.parameters["scope"])
    body = call.body if isinstance(call.body, dict) else {}
    properties = body.get("properties") or {}
    if properties.get("level") not in LEVELS:
        message = f"The lock level '{properties.get('level')}' is not valid; it is one of {', '.join(LEVELS)}."
        raise ArmError(400, "InvalidLockLevel", message)
    if not re.fullmatch(r"[^<>%&:\\?/]{1,260}", call.parameters["name"]):
        raise ArmError(400, "InvalidLockName", f"The lock name '{call.parameters['name']}' is not valid.")
    identity = _id(call)
    before = call.emulator.store.get(LOCKS, identity.lower())
    lock: Body = {
        "id": before["id"] if before else identity,
        "name": call.parameters["name"],
        "type": "Microsoft.Authorization/locks",
        "properties": {key: properties[key] for key in ("level", "notes", "owners") if properties.get(key) is not None},
    }
    call.emulator.store.put(LOCKS, identity.lower(), lock)
    return JSONResponse(lock, 200 if before else 201)


async def get(call: Call) -> Body:
    """One lock."""
    access.require(call.emulator, call.principal, f"{ACTION}/read", call.parameters["scope"])
    found = call.emulator.store.get(LOCKS, _id(call).lower())
    if found is None:
        raise ArmError(404, "LockNotFound", f"The lock '{call.parameters['name']}' could not be found.")
    return found


async def list_locks(call: Call) -> Body:
    """Locks at a scope and below it; with ``atScope()`` at it and above."""
    scope = call.parameters["scope"]
    access.require(call.emulator, call.principal, f"{ACTION}/read", scope)
    if "atscope()" in call.query.get("$filter", "").lower():
        places = [(str(lock["id"]).rpartition("/providers/Microsoft.Authorization/")[0], lock) for _, lock in call.emulator.store.items(LOCKS)]
        return {"value": [lock for place, lock in places if access.covers(place, scope)]}
    return {"value": call.manager.locks(scope)}


async def delete(call: Call) -> Response:
    """Remove a lock; 204 where there is none."""
    access.require(call.emulator, call.principal, f"{ACTION}/delete", call.parameters["scope"])
    return Response(b"", 200 if call.emulator.store.delete(LOCKS, _id(call).lower()) else 204)


_COLLECTION = "{scope*}/providers/Microsoft.Authorization/locks"
_ONE = f"{_COLLECTION}/{{name}}"
PROVIDER = Provider(
    "Microsoft.Authorization",
    routes=[
        Route("GET", _COLLECTION, list_locks),
        Route("GET", _ONE, get),
        Route("PUT", _ONE, put),
        Route("DELETE", _ONE, delete),
    ],
    always_registered=True,
)
