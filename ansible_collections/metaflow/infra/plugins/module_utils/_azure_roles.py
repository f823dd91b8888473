# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role assignments: who gets which role where. Used by the module azure_role_assignment."""

from __future__ import annotations

import dataclasses
import re
import typing as t
import uuid

from ._azure_client import Azure, Resource
from ._azure_ids import normal, title
from ._errors import ApiError, InputError
from ._graph import all_of

API = "2022-04-01"
PROVIDER = "providers/Microsoft.Authorization"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
NAMESPACE = uuid.UUID("5c3b7b9e-6c0a-5d9d-8f43-2f6f3a2f9c51")  # of the names that are derived here; any other would do, but never a change of it

# Built-in roles have the same id in every tenant of every cloud (learn.microsoft.com, "Azure built-in roles"): no need to ask for these.
BUILT_IN = {
    "owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "network contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "storage blob data contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "azure kubernetes service contributor role": "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
    "azure kubernetes service cluster user role": "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
}


@dataclasses.dataclass(frozen=True)
class Assignment:
    """One that was asked for; `principal` is None where it is still to be made (check mode)."""

    scope: str
    role: str
    principal: str | None
    principal_type: str

    @property
    def title(self) -> str:
        return f"{self.role} on {title(self.scope)} for {self.principal or 'a principal that is still to be made'}"

    def body(self, role_id: str) -> Resource:
        properties = {"roleDefinitionId": role_id, "principalId": self.principal, "principalType": self.principal_type}
        return {"properties": properties}

    def path(self, role_id: str) -> str:
        """Where it is put: the same three things give the same name."""
        name = uuid.uuid5(NAMESPACE, f"{normal(self.scope)}|{str(self.principal).lower()}|{guid(role_id)}")
        return f"{self.scope}/{PROVIDER}/roleAssignments/{name}"


def guid(resource_id: str) -> str:
    return resource_id.rstrip("/").rsplit("/", 1)[-1].lower()


def assignments(azure: Azure, asked: t.Sequence[dict[str, t.Any]], *, may_be_unknown: bool) -> list[Assignment]:
    """:raises InputError: where a principal is no object id."""
    result = []
    for item in asked:
        principal = item["principal_id"] or None
        if not (GUID.fullmatch(principal) if principal else may_be_unknown):
            raise InputError(f"principal_id of the role {item['role']!r} on {item['scope']} must be an object id, not {principal or 'empty'!r}.")
        result.append(Assignment(azure.complete(item["scope"]), item["role"], principal, item["principal_type"]))
    return result


def found(assignment: Assignment, role_id: str, live: t.Iterable[Resource]) -> Resource | None:
    """The live assignment that does the same, whatever its name."""
    wanted = (normal(assignment.scope), guid(role_id), str(assignment.principal).lower())
    for one in live:
        p = one["properties"]
        if (normal(p.get("scope") or one["id"].rsplit(f"/{PROVIDER}/", 1)[0]), guid(p["roleDefinitionId"]), p["principalId"].lower()) == wanted:
            return one
    return None


class Roles:
    """Definitions and assignments, as Azure has them."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure

    def look(self, roles: t.Iterable[str], scopes: t.Iterable[str]) -> tuple[dict[str, str], dict[str, list[Resource]]]:
        """Ids of the roles, and what is assigned at each scope: one call for each, side by side."""
        roles, scopes = set(roles), set(scopes)
        answers: dict[str, t.Any] = all_of(
            [*(f"role {r}" for r in roles), *(f"scope {s}" for s in scopes)],
            lambda key: self.definition(key[5:]) if key.startswith("role ") else self.assigned(key[6:]),
        )
        return {r: answers[f"role {r}"] for r in roles}, {s: answers[f"scope {s}"] for s in scopes}

    def definition(self, role: str) -> str:
        """:raises InputError: where no role has that name."""
        base = f"/subscriptions/{self.azure.subscription_id}/{PROVIDER}/roleDefinitions"
        if "/" in role:
            return role
        if GUID.fullmatch(role):
            return f"{base}/{role}"
        if role.lower() in BUILT_IN:
            return f"{base}/{BUILT_IN[role.lower()]}"
        listed = self.azure.list(base, API, **{"$filter": f"roleName eq '{role.replace(chr(39), chr(39) * 2)}'"})
        if not listed:
            raise InputError(f"There is no role named {role!r} in this subscription.")
        return str(listed[0]["id"])

    def assigned(self, scope: str) -> list[Resource]:
        """Assignments at the scope and above; none where the scope is not there yet."""
        return self.azure.list(f"{scope}/{PROVIDER}/roleAssignments", API, **{"$filter": "atScope()"})

    def create(self, assignment: Assignment, role_id: str) -> Resource | None:
        path, body = assignment.path(role_id), assignment.body(role_id)
        try:
            return self.azure.put(path, API, body)
        except ApiError as error:
            if error.code != "RoleAssignmentExists":
                raise
            return found(assignment, role_id, self.assigned(assignment.scope))  # somebody else made it meanwhile

    def delete(self, live: Resource) -> None:
        self.azure.delete(live["id"], API, wait=False)
