# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role assignments of several people: each gets each of the roles."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: azure_grants
short_description: Role assignments of several people
description:
  - Gives each user each of the roles, as a list for M(metaflow.infra.azure_role_assignment).
positional: roles
options:
  _input:
    description: Users, groups or service principals, each with C(object_id) and C(type).
    type: list
    elements: dict
    required: true
  roles:
    description: Roles, each with C(scope) and C(role).
    type: list
    elements: dict
    required: true
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- metaflow.infra.azure_role_assignment:
    assignments: "{{ [{'object_id': id, 'type': 'Group'}] | metaflow.infra.azure_grants([{'scope': cluster_id, 'role': 'Reader'}]) }}"
"""

RETURN = r"""
_value:
  description: Role assignments.
  type: list
  elements: dict
"""


def azure_grants(users: t.Iterable[t.Mapping[str, str]], roles: t.Sequence[t.Mapping[str, str]]) -> list[dict[str, str]]:
    """One assignment for each user and role."""
    return [{**role, "principal_id": user["object_id"], "principal_type": user.get("type", "User")} for user in users for role in roles]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"azure_grants": azure_grants}
