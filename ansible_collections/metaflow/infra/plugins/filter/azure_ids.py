# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource ids of a stack's parts on Azure, from their names and from what the user brought along."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: azure_ids
short_description: Resource ids of a stack's parts on Azure
description:
  - Makes the Resource Manager id of each part of a stack from its name.
  - A part that the user brought along is given by name (in the stack's resource group) or by id (anywhere); what lies in it,
    such as the subnets of a network, is then addressed in it. A subnet given by id brings its network along.
positional: existing, subscription_id
options:
  _input:
    description: Names by part, such as V(virtual_network).
    type: dict
    required: true
  existing:
    description: Parts that exist already, by name or id.
    type: dict
    required: true
  subscription_id:
    description: The subscription of everything that is given by name. If empty, ids begin with /resourceGroups, as the modules complete them.
    type: str
    required: true
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ {'resource_group': 'rg', 'virtual_network': 'vnet'} | metaflow.infra.azure_ids({}, '00000000-0000-0000-0000-000000000000') }}"
"""

RETURN = r"""
_value:
  description: Ids by part.
  type: dict
"""

# part -> (the part it lies in, path from there)
PARTS: dict[str, tuple[str, str]] = {
    "virtual_network": ("resource_group", "providers/Microsoft.Network/virtualNetworks"),
    "database_subnet": ("virtual_network", "subnets"),
    "kubernetes_subnet": ("virtual_network", "subnets"),
    "private_dns_zone": ("resource_group", "providers/Microsoft.Network/privateDnsZones"),
    "private_dns_link": ("private_dns_zone", "virtualNetworkLinks"),
    "database_server": ("resource_group", "providers/Microsoft.DBforPostgreSQL/flexibleServers"),
    "storage_account": ("resource_group", "providers/Microsoft.Storage/storageAccounts"),
    "blob_service": ("storage_account", "blobServices"),
    "storage_container": ("storage_account", "blobServices/default/containers"),
    "identity": ("resource_group", "providers/Microsoft.ManagedIdentity/userAssignedIdentities"),
    "kubernetes_cluster": ("resource_group", "providers/Microsoft.ContainerService/managedClusters"),
}


def azure_ids(names: t.Mapping[str, str], existing: t.Mapping[str, str], subscription_id: str) -> dict[str, str]:
    """Ids by part; raises AnsibleFilterError for a part that no stack has."""
    unknown = sorted((set(names) | set(existing)) - set(PARTS) - {"resource_group"})
    if unknown:
        raise AnsibleFilterError(f"A stack has no part called {', '.join(unknown)}; its parts are resource_group, {', '.join(PARTS)}.")
    brought = {part: name for part, name in existing.items() if name}
    subnets = [name for name in (brought.get("kubernetes_subnet", ""), brought.get("database_subnet", "")) if name.startswith("/")]
    if subnets:
        brought.setdefault("virtual_network", subnets[0].rpartition("/subnets/")[0])
    given = {**names, **brought}
    group = given.get("resource_group", "")
    top = f"/subscriptions/{subscription_id}" if subscription_id else ""
    ids = {"resource_group": group if group.startswith("/") else f"{top}/resourceGroups/{group}"}
    for part, (parent, path) in PARTS.items():
        if part in given:
            name = given[part]
            ids[part] = name if name.startswith("/") else f"{ids[parent]}/{path}/{name}"
    return ids


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"azure_ids": azure_ids}
