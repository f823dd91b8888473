# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Federated credentials that let pods of a cluster stand for a user-assigned identity."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: azure_federated_credentials
short_description: Federated credentials for service accounts of a cluster
description:
  - Makes one federated credential for each service account, as resources for M(metaflow.infra.azure_resource).
positional: identity_id, issuer
options:
  _input:
    description: Service accounts, each as C(namespace/name).
    type: list
    elements: str
    required: true
  identity_id:
    description: Id of the user-assigned identity.
    type: str
    required: true
  issuer:
    description: URL of the cluster's OIDC issuer.
    type: str
    required: true
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- metaflow.infra.azure_resource:
    resources: "{{ ['default/metaflow-task'] | metaflow.infra.azure_federated_credentials(identity_id, issuer) }}"
"""

RETURN = r"""
_value:
  description: Resources.
  type: list
  elements: dict
"""


def azure_federated_credentials(accounts: t.Iterable[str], identity_id: str, issuer: str) -> list[dict[str, t.Any]]:
    """One resource for each service account; raises AnsibleFilterError for one that isn't written as namespace/name."""
    return [_resource(account, identity_id, issuer) for account in accounts]


def _resource(account: str, identity_id: str, issuer: str) -> dict[str, t.Any]:
    namespace, slash, name = account.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise AnsibleFilterError(f"The service account '{account}' is not written as namespace/name.")
    properties = {"issuer": issuer, "subject": f"system:serviceaccount:{namespace}:{name}", "audiences": ["api://AzureADTokenExchange"]}
    return {"id": f"{identity_id}/federatedIdentityCredentials/{namespace}-{name}", "body": {"properties": properties}}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"azure_federated_credentials": azure_federated_credentials}
