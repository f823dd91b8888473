# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a stack's names on Azure, as sentences."""

from __future__ import annotations

import typing as t

from ansible_collections.metaflow.infra.plugins.module_utils._azure_names import fault

DOCUMENTATION = r"""
name: azure_name_faults
short_description: What is wrong with names on Azure
description:
  - Holds each name of a stack against Azure's naming rule for its kind, so that a bad one is known before anything is made.
options:
  _input:
    description: Names by part, such as V(storage_account).
    type: dict
    required: true
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- ansible.builtin.assert:
    that: faults | length == 0
    fail_msg: "{{ faults | join(' ') }}"
  vars:
    faults: "{{ {'storage_account': 'stAcme'} | metaflow.infra.azure_name_faults }}"
"""

RETURN = r"""
_value:
  description: One sentence for each name that Azure would refuse; empty where all are good.
  type: list
  elements: str
"""

# part of a stack -> kind of name
KINDS = {
    "resource_group": "resource_group",
    "virtual_network": "virtual_network",
    "database_subnet": "subnet",
    "kubernetes_subnet": "subnet",
    "private_dns_zone": "private_dns_zone",
    "database_server": "postgresql_server",
    "storage_account": "storage_account",
    "storage_container": "storage_container",
    "identity": "managed_identity",
    "kubernetes_cluster": "dns_prefix",  # the cluster's name is its DNS prefix too, whose rule is the narrower one
}


def azure_name_faults(names: t.Mapping[str, str]) -> list[str]:
    """One sentence for each bad name. Ids (which begin with a slash) name things that exist, and are not looked at."""
    found = (fault(KINDS[part], name) for part, name in names.items() if part in KINDS and not name.startswith("/"))
    return [sentence for sentence in found if sentence]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"azure_name_faults": azure_name_faults}
