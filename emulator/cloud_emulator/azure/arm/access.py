"""Azure RBAC: what a principal may do at a scope, from role assignments and role definitions."""

from __future__ import annotations

import functools
import re
import typing as t

from . import roles
from .errors import ArmError
from .manager import ASSIGNMENTS, DEFINITIONS
from .resource import Principal

if t.TYPE_CHECKING:
    from ...emulator import Emulator

Permission = dict[str, list[str]]


def allowed(emulator: Emulator, principal_id: str, action: str, scope: str) -> bool:
    """Whether a principal (object id) may do a management action, such as ``Microsoft.Network/virtualNetworks/write``, at a resource's id."""
    return _granted(emulator, principal_id, action, scope, "actions", "notActions")


def data_allowed(emulator: Emulator, principal_id: str, action: str, scope: str) -> bool:
    """Whether a principal may do a data action, such as ``…/blobServices/containers/blobs/read``, at a resource's id."""
    return _granted(emulator, principal_id, action, scope, "dataActions", "notDataActions")


def require(emulator: Emulator, principal: Principal, action: str, scope: str) -> None:
    """Refuse a call that the caller has no right to, in Resource Manager's words."""
    if not allowed(emulator, principal.id, action, scope):
        message = (
            f"The client '{principal.app_id}' with object id '{principal.id}' does not have authorization to perform action '{action}' over scope "
            f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
        )
        raise ArmError(403, "AuthorizationFailed", message, headers={"x-ms-failure-cause": "gateway"})


def require_linked(emulator: Emulator, principal: Principal, action: str, scope: str, linked_action: str, linked: str) -> None:
    """Refuse a write that mentions a resource which the caller may not use (a subnet it can't join)."""
    if not allowed(emulator, principal.id, linked_action, linked):
        message = (
            f"The client '{principal.app_id}' with object id '{principal.id}' has permission to perform action '{action}' on scope '{scope}'; "
            f"however, it does not have permission to perform action(s) '{linked_action}' on the linked scope(s) '{linked}' (respectively) "
            "or the linked scope(s) are invalid."
        )
        raise ArmError(403, "LinkedAuthorizationFailed", message)


def granted(emulator: Emulator, principal_id: str, scope: str) -> list[Permission]:
    """All permissions that a principal has at a scope."""
    found: list[Permission] = []
    for _, assignment in emulator.store.items(ASSIGNMENTS):
        properties = assignment["properties"]
        if properties["principalId"].lower() == principal_id.lower() and covers(properties["scope"], scope):
            found += permissions(emulator, properties["roleDefinitionId"])
    return found


def permissions(emulator: Emulator, role_definition_id: str) -> list[Permission]:
    """Permissions of a role definition, built in or the tenant's own; none for an unknown one."""
    role = roles.BY_ID.get(role_definition_id.rsplit("/", 1)[-1].lower())
    if role is not None:
        return [permission_of(role)]
    own = emulator.store.get(DEFINITIONS, role_definition_id.rsplit("/", 1)[-1].lower())
    found: list[Permission] = own["properties"].get("permissions", []) if own else []
    return found


def permission_of(role: roles.Role) -> Permission:
    """A built-in role's permission as the API shows it."""
    return {
        "actions": list(role.actions),
        "notActions": list(role.not_actions),
        "dataActions": list(role.data_actions),
        "notDataActions": list(role.not_data_actions),
    }


def covers(assignment_scope: str, scope: str) -> bool:
    """Whether an assignment at one scope reaches another one: the same, or below it."""
    return f"{scope.lower().rstrip('/')}/".startswith(f"{assignment_scope.lower().rstrip('/')}/")


def _granted(emulator: Emulator, principal_id: str, action: str, scope: str, grant: str, deny: str) -> bool:
    return any(
        _matches(permission.get(grant, []), action) and not _matches(permission.get(deny, []), action)
        for permission in granted(emulator, principal_id, scope)
    )


def _matches(patterns: t.Iterable[str], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)
