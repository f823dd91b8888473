"""Microsoft.Authorization: role assignments and role definitions, at any scope."""

from __future__ import annotations

import re
import typing as t
import uuid

from starlette.responses import JSONResponse

from ..clock import timestamp
from .arm import access
from .arm.errors import ArmError, resource_group_not_found, resource_not_found
from .arm.ids import canonical_scope, parse
from .arm.manager import ASSIGNMENTS
from .arm.resource import Body, Call, Provider, Response, Route
from .role_definitions import ROUTES as DEFINITION_ROUTES
from .role_definitions import find as find_definition

ACTION = "Microsoft.Authorization/roleAssignments"
TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
NAMESPACE_OF_A_CLUSTER = re.compile(r"(?i)(?<=/managedClusters/)([^/]+)/namespaces/[^/]+$")


def _key(call: Call) -> str:
    return f"{call.parameters['scope']}/providers/{ACTION}/{call.parameters['name']}".lower()


async def put(call: Call) -> Response:
    """Assign a role; the same again is a no-op, anything else under the same name is refused."""
    scope, name = canonical_scope(call.parameters["scope"]), call.parameters["name"]
    access.require(call.emulator, call.principal, f"{ACTION}/write", scope)
    wanted = _wanted(call)
    _check_scope(call, scope)
    if not _is_guid(name):
        raise ArmError(400, "InvalidRoleAssignmentId", f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.")
    definition = find_definition(call, wanted["roleDefinitionId"])
    if definition is None:
        identity = str(wanted["roleDefinitionId"]).rsplit("/", 1)[-1]
        raise ArmError(400, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{identity}' does not exist.")
    kind = _principal_type(call, wanted)
    before = call.emulator.store.get(ASSIGNMENTS, _key(call))
    properties = {**wanted, "roleDefinitionId": definition["id"], "principalType": kind, "scope": scope or "/"}
    if before is not None:
        if any(not _same(before["properties"].get(key), properties.get(key)) for key in ("roleDefinitionId", "principalId", "scope")):
            message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
            raise ArmError(409, "RoleAssignmentUpdateNotPermitted", message)
        return JSONResponse(_shown(before))
    for found in _all(call):
        if all(_same(found["properties"].get(key), properties[key]) for key in ("roleDefinitionId", "principalId", "scope")):
            message = f"The role assignment already exists. The ID of the existing role assignment is {found['name'].replace('-', '')}."
            raise ArmError(409, "RoleAssignmentExists", message)
    now = timestamp(call.emulator.clock.now())
    properties |= {"createdOn": now, "updatedOn": now, "createdBy": call.principal.id, "updatedBy": call.principal.id}
    identity = f"{scope}/providers/{ACTION}/{name}"
    assignment: Body = {"properties": properties, "id": identity, "type": ACTION, "name": name}
    call.emulator.store.put(ASSIGNMENTS, identity.lower(), assignment)
    return JSONResponse(_shown(assignment), 201)


async def get(call: Call) -> Body:
    """One assignment."""
    access.require(call.emulator, call.principal, f"{ACTION}/read", call.parameters["scope"])
    found = call.emulator.store.get(ASSIGNMENTS, _key(call))
    if found is None:
        raise ArmError(404, "RoleAssignmentNotFound", f"The role assignment '{call.parameters['name'].replace('-', '')}' is not found.")
    return _shown(found)


async def delete(call: Call) -> Response:
    """Remove an assignment; 204 where there is none."""
    access.require(call.emulator, call.principal, f"{ACTION}/delete", call.parameters["scope"])
    found = call.emulator.store.get(ASSIGNMENTS, _key(call))
    if found is None:
        return Response(b"", 204)
    call.manager.require_unlocked(call.parameters["scope"], "delete")
    call.emulator.store.delete(ASSIGNMENTS, _key(call))
    return JSONResponse(_shown(found))


async def list_assignments(call: Call) -> Body:
    """Assignments at a scope, above it and (save with ``atScope()``) below it, with Azure's filters."""
    scope = call.parameters["scope"]
    access.require(call.emulator, call.principal, f"{ACTION}/read", scope)
    clauses = call.query.get("$filter", "")
    principal = re.search(r"(?:principalId eq |assignedTo\()'([^']*)'", clauses, re.IGNORECASE)
    rest = re.sub(r"(?i)atScope\(\)|principalId eq '[^']*'|assignedTo\('[^']*'\)|\band\b|\s", "", clauses)
    if rest:
        raise ArmError(400, "InvalidFilter", f"The filter '{clauses}' is not supported.")
    below = "atscope()" not in clauses.lower()
    found = []
    for assignment in _all(call):
        place = assignment["properties"]["scope"]
        if not (access.covers(place, scope) or (below and access.covers(scope, place))):
            continue
        if principal is None or _same(assignment["properties"]["principalId"], principal[1]):
            found.append(_shown(assignment))
    return {"value": found}


async def permissions(call: Call) -> Body:
    """What the caller may do at a scope."""
    return {"value": access.granted(call.emulator, call.principal.id, call.parameters["scope"])}


# --- checks ----------------------------------------------------------------------------------------------------------------------------


def _wanted(call: Call) -> Body:
    body = call.body if isinstance(call.body, dict) else {}
    properties = body.get("properties")
    known = ("roleDefinitionId", "principalId", "principalType", "description", "condition", "conditionVersion", "delegatedManagedIdentityResourceId")
    if not isinstance(properties, dict) or not all(isinstance(properties.get(name), str) for name in known[:2]):
        raise ArmError(400, "InvalidCreateRoleAssignmentRequest", "The request was incorrectly formatted.")
    unknown = [name for name in properties if name not in (*known, "scope", "createdOn", "updatedOn", "createdBy", "updatedBy")]
    if unknown:
        message = (
            f"The request content was invalid and could not be deserialized: 'Could not find member '{unknown[0]}' on object of type "
            f"'RoleAssignmentProperties'. Path 'properties.{unknown[0]}'.'."
        )
        raise ArmError(400, "InvalidRequestContent", message)
    if not _is_guid(properties["principalId"]):
        raise ArmError(400, "InvalidPrincipalId", f"The Principal ID '{properties['principalId']}' is not valid. Principal ID must be a GUID.")
    return {name: properties[name] for name in known if properties.get(name) is not None}


def _principal_type(call: Call, wanted: Body) -> str:
    """The type to keep. Given a type, Azure doesn't wait for the directory; without one the principal must be visible there."""
    directory, principal_id, kind = call.emulator.directory, wanted["principalId"], wanted.get("principalType")
    principal = directory.by_object_id(principal_id) if directory.visible(principal_id) else None
    if kind is not None and kind not in TYPES:
        raise ArmError(400, "InvalidPrincipalType", f"The principal type '{kind}' is not valid; it is one of {', '.join(TYPES)}.")
    if principal is None and kind is None:
        message = (
            f"Principal {principal_id.replace('-', '')} does not exist in the directory {call.emulator.tenant_id}. Check that you have the correct "
            "principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication "
            "delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  "
            "See https://aka.ms/docs-principaltype"
        )
        raise ArmError(400, "PrincipalNotFound", message)
    if principal is not None and kind not in (None, principal.principal_type):
        message = (
            f"The PrincipalId '{principal_id.replace('-', '')}' has type '{principal.principal_type}' , which is different from specified "
            f"PrinciaplType '{kind}'."
        )
        raise ArmError(400, "UnmatchedPrincipalType", message)
    return principal.principal_type if principal is not None else str(kind)


def _check_scope(call: Call, scope: str) -> None:
    """A group or resource that isn't there can't be assigned on. Of a cluster's namespaces Resource Manager knows nothing: any may be named."""
    scope = NAMESPACE_OF_A_CLUSTER.sub(r"\1", scope)
    resource_id = parse(scope)
    group = re.match(r"(?i)/subscriptions/[^/]+/resourceGroups/([^/]+)", scope)
    if group and call.manager.get(group[0]) is None:
        raise resource_group_not_found(group[1])
    if resource_id is None:
        return
    kind = call.manager.types.get(resource_id.type.lower())
    if kind is None or kind.read(call, resource_id) is None:
        raise resource_not_found(resource_id.type, "/".join(resource_id.names), resource_id.resource_group)


def _all(call: Call) -> t.Iterator[Body]:
    return (value for _, value in call.emulator.store.items(ASSIGNMENTS))


def _shown(assignment: Body) -> Body:
    return {**assignment, "properties": {key: value for key, value in assignment["properties"].items() if value is not None}}


def _same(one: t.Any, other: t.Any) -> bool:
    return str(one).rstrip("/").rsplit("/roleDefinitions/", 1)[-1].lower() == str(other).rstrip("/").rsplit("/roleDefinitions/", 1)[-1].lower()


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


_COLLECTION = "{scope*}/providers/Microsoft.Authorization/roleAssignments"
_ONE = f"{_COLLECTION}/{{name}}"
PROVIDER = Provider(
    "Microsoft.Authorization",
    routes=[
        Route("GET", _COLLECTION, list_assignments),
        Route("GET", _ONE, get),
        Route("PUT", _ONE, put),
        Route("DELETE", _ONE, delete),
        Route("GET", "{scope*}/providers/Microsoft.Authorization/permissions", permissions),
        *DEFINITION_ROUTES,
    ],
    always_registered=True,
)
