"""Microsoft.Authorization/roleDefinitions: Azure's built-in roles, and the tenant's own."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse

from ..clock import timestamp
from .arm import access, roles
from .arm.errors import ArmError
from .arm.manager import ASSIGNMENTS, DEFINITIONS
from .arm.resource import Body, Call, Response, Route

ACTION = "Microsoft.Authorization/roleDefinitions"


def _built_in(call: Call, role: roles.Role) -> Body:
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [access.permission_of(role)],
            "createdOn": "2015-02-02T21:55:09.8806423Z",
            "updatedOn": "2024-08-13T15:24:17.9211370Z",
        },
        "id": f"/subscriptions/{call.emulator.subscription_id}/providers/{ACTION}/{role.id}",
        "type": ACTION,
        "name": role.id,
    }


def find(call: Call, identity: str) -> Body | None:
    """A role definition by its id or GUID, None: there is none."""
    name = identity.rstrip("/").rsplit("/", 1)[-1].lower()
    role = roles.BY_ID.get(name)
    return _built_in(call, role) if role else call.emulator.store.get(DEFINITIONS, name)


async def list_definitions(call: Call) -> Body:
    """Roles that can be assigned at a scope, filtered by name or type."""
    access.require(call.emulator, call.principal, f"{ACTION}/read", call.parameters["scope"])
    own = [value for _, value in call.emulator.store.items(DEFINITIONS)]
    own = [value for value in own if any(access.covers(scope, call.parameters["scope"]) for scope in value["properties"]["assignableScopes"])]
    found = [*(_built_in(call, role) for role in roles.BUILT_IN), *own]
    clauses = call.query.get("$filter", "")
    for field, key in (("roleName", "roleName"), ("type", "type")):
        wanted = re.search(rf"(?i)\b{field} eq '((?:[^']|'')*)'", clauses)
        if wanted:
            value = wanted[1].replace("''", "'").lower()
            found = [role for role in found if role["properties"][key].lower() == value]
    return {"value": found}


async def get(call: Call) -> Body:
    """One role definition."""
    access.require(call.emulator, call.principal, f"{ACTION}/read", call.parameters["scope"])
    found = find(call, call.parameters["name"])
    if found is None:
        raise ArmError(404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{call.parameters['name']}' does not exist.")
    return found


async def put(call: Call) -> Response:
    """Make or change a role of the tenant's own."""
    scope, name = call.parameters["scope"], call.parameters["name"].lower()
    access.require(call.emulator, call.principal, f"{ACTION}/write", scope)
    body = call.body if isinstance(call.body, dict) else {}
    properties = body.get("properties") or {}
    if name in roles.BY_ID:
        raise ArmError(400, "RoleDefinitionUpdateNotPermitted", "Built-in role definitions cannot be changed.")
    if not properties.get("roleName") or not properties.get("assignableScopes"):
        raise ArmError(400, "InvalidRoleDefinition", "A role definition needs a roleName and at least one assignable scope.")
    taken = [role for role in (await list_definitions(call))["value"] if role["properties"]["roleName"].lower() == properties["roleName"].lower()]
    if any(role["name"] != name for role in taken):
        message = f"A custom role with the same name already exists in this directory. Use a different name ('{properties['roleName']}')."
        raise ArmError(409, "RoleDefinitionWithSameNameExists", message)
    now = timestamp(call.emulator.clock.now())
    before = call.emulator.store.get(DEFINITIONS, name)
    empty: Body = {"actions": [], "notActions": [], "dataActions": [], "notDataActions": []}
    definition: Body = {
        "properties": {
            "roleName": properties["roleName"],
            "type": "CustomRole",
            "description": properties.get("description") or "",
            "assignableScopes": properties["assignableScopes"],
            "permissions": [{**empty, **permission} for permission in properties.get("permissions") or []],
            "createdOn": before["properties"]["createdOn"] if before else now,
            "updatedOn": now,
            "createdBy": call.principal.id,
            "updatedBy": call.principal.id,
        },
        "id": f"{scope}/providers/{ACTION}/{name}",
        "type": ACTION,
        "name": name,
    }
    call.emulator.store.put(DEFINITIONS, name, definition)
    return JSONResponse(definition, 201)


async def delete(call: Call) -> Response:
    """Remove a role that nobody holds; 204 where there is none."""
    access.require(call.emulator, call.principal, f"{ACTION}/delete", call.parameters["scope"])
    found = call.emulator.store.get(DEFINITIONS, call.parameters["name"].lower())
    if found is None:
        return Response(b"", 204)
    held = [value for _, value in call.emulator.store.items(ASSIGNMENTS) if value["properties"]["roleDefinitionId"].lower().endswith(found["name"])]
    if held:
        message = "There are existing role assignments referencing role (code: RoleDefinitionHasAssignments)."
        raise ArmError(400, "RoleDefinitionHasAssignments", message)
    call.emulator.store.delete(DEFINITIONS, found["name"])
    return JSONResponse(found)


_COLLECTION = "{scope*}/providers/Microsoft.Authorization/roleDefinitions"
_ONE = f"{_COLLECTION}/{{name}}"
ROUTES = (
    Route("GET", _COLLECTION, list_definitions),
    Route("GET", _ONE, get),
    Route("PUT", _ONE, put),
    Route("DELETE", _ONE, delete),
)
