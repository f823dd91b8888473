#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_resource_info
short_description: Read Azure resources, many at once
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Reads Azure resources by id, side by side.
options:
  ids:
    description:
      - Resource ids, each under a name of your choice; V(/resourceGroups/…) gets the subscription of this task.
    type: dict
    required: true
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.attributes.info
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Where is the blob storage?
  metaflow.infra.azure_resource_info:
    ids:
      account: /resourceGroups/rg-research/providers/Microsoft.Storage/storageAccounts/stresearch
  register: found

- name: Tell
  ansible.builtin.debug:
    msg: "{{ found.resources.account.properties.primaryEndpoints.blob }}"
"""

RETURN = r"""
resources:
  description: The resources by the names of O(ids); V(null) for what is not there.
  returned: success
  type: dict
subscription_id:
  description: The subscription that was read.
  returned: success
  type: str
caller:
  description: Who read it, as role assignments name them.
  returned: success
  type: dict
  contains:
    object_id:
      description: Object id in Entra ID.
      type: str
    type:
      description: V(ServicePrincipal) (managed identities are such, too) or V(User).
      type: str
failure:
  description: What Azure said, where it refused.
  returned: failure
  type: dict
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._run import Run, main_of


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_client import connect
    from ..module_utils._azure_types import type_known
    from ..module_utils._graph import all_of

    azure = connect(run)
    ids = {name: azure.complete(str(resource_id)) for name, resource_id in run.params["ids"].items()}
    versions = {name: type_known(resource_id, None).api_version for name, resource_id in ids.items()}
    found = all_of(ids, lambda name: azure.get(ids[name], versions[name]))
    return {"resources": found, "subscription_id": azure.subscription_id, "caller": caller(azure.caller())}


def caller(claims: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Who a token's claims are about. Only tokens that a user asked for have scopes (claim `scp`); those of applications have roles."""
    return {"object_id": claims.get("oid"), "type": "User" if "scp" in claims else "ServicePrincipal"}


def main() -> None:
    main_of(azure_spec(state=False) | {"ids": {"type": "dict", "required": True}}, work)


if __name__ == "__main__":
    main()
