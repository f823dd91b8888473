# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Those parts of a stack that are its own: not brought along by the user, and needed beside what was."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: azure_own_parts
short_description: The parts of a stack on Azure that are its own
description:
  - Leaves out what the user brought along, and what only a brought part would have needed. A network is not made where the user has
    a cluster and a database server, for one.
positional: ids, existing, without
options:
  _input:
    description: Resource Manager bodies by part, such as V(virtual_network).
    type: dict
    required: true
  ids:
    description: Ids by part, as P(metaflow.infra.azure_ids#filter) makes them.
    type: dict
    required: true
  existing:
    description: Parts that exist already, by name or id.
    type: dict
    required: true
  without:
    description: Further parts to leave out.
    type: list
    elements: str
    default: []
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- metaflow.infra.azure_resource:
    resources: "{{ bodies | metaflow.infra.azure_own_parts(ids, {'resource_group': 'rg-shared'}) }}"
"""

RETURN = r"""
_value:
  description: What M(metaflow.infra.azure_resource) takes, one C(id) and C(body) for each part.
  type: list
  elements: dict
"""

# A part is needed while one of these is the stack's own.
NEEDED_BY: dict[str, tuple[str, ...]] = {
    "virtual_network": ("database_subnet", "kubernetes_subnet"),
    "database_subnet": ("database_server",),
    "private_dns_zone": ("database_server",),
    "private_dns_link": ("database_server",),
    "kubernetes_subnet": ("kubernetes_cluster",),
    "blob_service": ("storage_account",),
}
SUBNETS = ("database_subnet", "kubernetes_subnet")


def azure_own_parts(
    bodies: t.Mapping[str, t.Mapping[str, t.Any]], ids: t.Mapping[str, str], existing: t.Mapping[str, str], without: t.Sequence[str] = ()
) -> list[dict[str, t.Any]]:
    """One id and body for each part of `bodies` that is the stack's own."""
    brought = {part for part, name in existing.items() if name}
    if any(existing.get(subnet, "").startswith("/") for subnet in SUBNETS):
        brought.add("virtual_network")  # see azure_ids

    def own(part: str) -> bool:
        return part not in brought and (part not in NEEDED_BY or any(own(user) for user in NEEDED_BY[part]))

    return [{"id": ids[part], "body": dict(body)} for part, body in bodies.items() if part not in without and own(part)]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"azure_own_parts": azure_own_parts}
