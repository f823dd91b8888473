#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_resource
short_description: Manage plain Azure resources, many at once
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Takes Azure resources as data (an id and the body that Azure's REST API takes) and makes them so, side by side where they don't depend on
    each other. The order follows from the ids - what contains comes before what is in it, what a body mentions before that body's resource.
  - What the body doesn't name is left alone, and so are the things of a list of named things that the body doesn't name (subnets, rules). A
    V(null) unsets.
  - What can't be changed on an existing resource is refused before anything is written.
options:
  resources:
    description: The resources.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description:
          - Resource id; V(/resourceGroups/…) gets the subscription of this task.
          - A resource group is V(/resourceGroups/NAME).
        type: str
        required: true
      api_version:
        description: Version of the REST API. For the types that Metaflow needs it is known; for others it must be given.
        type: str
      body:
        description: Location, properties and whatever else the REST API takes. Ids in it may begin with V(/resourceGroups/) too.
        type: dict
        default: {}
  tags:
    description: Tags for each resource that has a location, beside those in its body. Other tags are left alone.
    type: dict
    default: {}
  wait:
    description: Wait until each resource is ready, or gone.
    type: bool
    default: true
  force:
    description:
      - With O(state=absent), delete a resource group although it holds resources that O(resources) doesn't name. They are deleted with it.
    type: bool
    default: false
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Make a network and a storage account
  metaflow.infra.azure_resource:
    tags:
      team: research
    resources:
      - id: /resourceGroups/rg-research
        body:
          location: westus2
      - id: /resourceGroups/rg-research/providers/Microsoft.Network/virtualNetworks/vnet-research
        body:
          location: westus2
          properties:
            addressSpace:
              addressPrefixes: [10.1.0.0/16]
      - id: /resourceGroups/rg-research/providers/Microsoft.Network/virtualNetworks/vnet-research/subnets/apps
        body:
          properties:
            addressPrefix: 10.1.1.0/24
      - id: /resourceGroups/rg-research/providers/Microsoft.Storage/storageAccounts/stresearch
        body:
          location: westus2
          kind: StorageV2
          sku:
            name: Standard_LRS
          properties:
            allowBlobPublicAccess: false

- name: Delete the network
  metaflow.infra.azure_resource:
    state: absent
    resources:
      - id: /resourceGroups/rg-research/providers/Microsoft.Network/virtualNetworks/vnet-research
"""

RETURN = r"""
resources:
  description: The resources in the order asked, as they are now or, in check mode, as they would be. V(null) for what is absent.
  returned: success
  type: list
  elements: dict
  sample:
    - id: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-research
      location: westus2
      name: rg-research
      properties:
        provisioningState: Succeeded
failure:
  description: What Azure said, where it refused.
  returned: failure
  type: dict
  sample:
    status: 409
    code: StorageAccountAlreadyTaken
    message: The storage account named stresearch is already taken.
    request_id: 6b1f1b5a-0f5e-4c6c-8f2e-3f6d2a0e7c11
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._run import Run, main_of

RESOURCE = {
    "id": {"type": "str", "required": True},
    "api_version": {"type": "str"},
    "body": {"type": "dict", "default": {}},
}


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_client import connect
    from ..module_utils._azure_resources import Resources

    resources = Resources(connect(run), run.params["resources"], run.params["tags"], wait=run.params["wait"])
    resources.read(settle=run.params["wait"] and not run.check_mode)
    changes = resources.plan() if run.present else resources.plan_absent(force=run.params["force"])
    if run.writes(list(changes.values())):
        return {"resources": resources.apply(changes)}
    return {"resources": resources.planned(changes)}


def main() -> None:
    spec = azure_spec() | {
        "resources": {"type": "list", "elements": "dict", "required": True, "options": RESOURCE},
        "tags": {"type": "dict", "default": {}},
        "wait": {"type": "bool", "default": True},
        "force": {"type": "bool", "default": False},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
