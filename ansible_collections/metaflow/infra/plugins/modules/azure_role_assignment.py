#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_role_assignment
short_description: Assign Azure roles
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Gives principals roles on scopes, all at once. The name of an assignment is derived from the three, so that the same one is never made twice;
    one that exists under another name is as good.
  - A principal that was made just now may not be known everywhere yet; that is waited for.
options:
  assignments:
    description: Who gets which role where.
    type: list
    elements: dict
    required: true
    suboptions:
      scope:
        description: Resource id of what the role is for; V(/resourceGroups/…) gets the subscription of this task.
        type: str
        required: true
      role:
        description: Name of the role, or the id of its definition.
        type: str
        required: true
      principal_id:
        description:
          - Object id of the identity, service principal, user or group. For a service principal that is not its client id.
          - May be empty in check mode, where the principal is still to be made.
        type: str
      principal_type:
        description: What the principal is.
        type: str
        choices: [ServicePrincipal, User, Group, ForeignGroup, Device]
        default: ServicePrincipal
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Let an identity read and write the blobs of one container
  metaflow.infra.azure_role_assignment:
    assignments:
      - scope: /resourceGroups/rg-research/providers/Microsoft.Storage/storageAccounts/stresearch/blobServices/default/containers/data
        role: Storage Blob Data Contributor
        principal_id: 7c9e6679-7425-40de-944b-e07fc1f90ae7
"""

RETURN = r"""
assignments:
  description: The assignments in the order asked, as they are now or, in check mode, as they would be. V(null) for what is absent.
  returned: success
  type: list
  elements: dict
  sample:
    - id: /subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Authorization/roleAssignments/6f1c3a0e-5d0c-5b53-9a0e-1d1f6f1f6f1f
      name: 6f1c3a0e-5d0c-5b53-9a0e-1d1f6f1f6f1f
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._plan import plan, plan_absent
from ..module_utils._run import Run, main_of

ASSIGNMENT = {
    "scope": {"type": "str", "required": True},
    "role": {"type": "str", "required": True},
    "principal_id": {"type": "str"},
    "principal_type": {"type": "str", "choices": ["ServicePrincipal", "User", "Group", "ForeignGroup", "Device"], "default": "ServicePrincipal"},
}


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_client import connect
    from ..module_utils._azure_roles import Roles, assignments, found
    from ..module_utils._graph import all_of

    azure = connect(run)
    asked = assignments(azure, run.params["assignments"], may_be_unknown=run.check_mode or not run.present)
    roles = Roles(azure)
    definitions, live = roles.look([a.role for a in asked], {a.scope for a in asked})
    matches = [found(a, definitions[a.role], live[a.scope]) for a in asked]
    if run.present:
        changes = [plan(a.title, m or a.body(definitions[a.role]), m) for a, m in zip(asked, matches, strict=True)]
    else:
        changes = [plan_absent(a.title, m) for a, m in zip(asked, matches, strict=True)]
    if not run.writes(changes):
        return {"assignments": [change.after for change in changes]}

    def write(number: str) -> dict[str, t.Any] | None:
        a, change = asked[int(number)], changes[int(number)]
        if change.action == "create":
            return roles.create(a, definitions[a.role])
        if change.action == "delete":
            roles.delete(t.cast("dict[str, t.Any]", change.live))
            return None
        return change.after

    done = all_of(map(str, range(len(asked))), write)
    return {"assignments": [done[str(n)] for n in range(len(asked))]}


def main() -> None:
    main_of(azure_spec() | {"assignments": {"type": "list", "elements": "dict", "required": True, "options": ASSIGNMENT}}, work)


if __name__ == "__main__":
    main()
