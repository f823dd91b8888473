# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that every Azure module has; documented in the fragment `azure`."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.parameters import env_fallback

Spec = dict[str, t.Any]

# First the names of Azure's own tools, then those that AWX's credential sets, then terraform's.
ENVIRONMENT = {
    "subscription_id": ["AZURE_SUBSCRIPTION_ID", "ARM_SUBSCRIPTION_ID"],
    "tenant_id": ["AZURE_TENANT_ID", "AZURE_TENANT", "ARM_TENANT_ID"],
    "client_id": ["AZURE_CLIENT_ID", "ARM_CLIENT_ID"],
    "client_secret": ["AZURE_CLIENT_SECRET", "AZURE_SECRET", "ARM_CLIENT_SECRET"],
    "cloud": ["AZURE_CLOUD", "AZURE_CLOUD_ENVIRONMENT"],
    "auth_source": ["AZURE_AUTH_SOURCE", "ANSIBLE_AZURE_AUTH_SOURCE"],
}
AUTH_SOURCES = ["auto", "env", "cli", "managed_identity", "workload_identity"]


def auth_spec() -> Spec:
    spec: Spec = {name: {"type": "str", "fallback": (env_fallback, names)} for name, names in ENVIRONMENT.items()}
    spec["client_secret"]["no_log"] = True
    spec["auth_source"] |= {"choices": AUTH_SOURCES, "default": "auto"}
    return spec


def azure_spec(*, timeout: int = 3600, state: bool = True) -> Spec:
    """Credentials, `timeout` in seconds and, where the module has one, `state`."""
    spec = auth_spec() | {"timeout": {"type": "int", "default": timeout}}
    if state:
        spec["state"] = {"type": "str", "choices": ["present", "absent"], "default": "present"}
    return spec
