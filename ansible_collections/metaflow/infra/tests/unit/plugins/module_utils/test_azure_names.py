# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_names import fault, login_fault


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("storage_account", "stacmemetaflowdefault", None),
        ("storage_account", "stacme-metaflow", "has characters that Azure doesn't allow there: lower-case letters and digits."),
        ("storage_account", "st" + "a" * 23, "has 25 characters and Azure allows 24"),
        ("storage_account", "st", "wants at least 3"),
        ("postgresql_server", "psql-acme-metaflow-default", None),
        ("postgresql_server", "psql-acme-", "lower-case letters, digits and inner hyphens"),
        ("postgresql_server", "Psql", "lower-case letters"),
        ("postgresql_server", "p" * 64, "Azure allows 63"),
        ("storage_container", "metaflow-storage-container", None),
        ("storage_container", "a--b", "single inner hyphens"),
        ("node_pool", "taskworkers", None),
        ("node_pool", "task-workers", "starting with a letter"),
        ("node_pool", "1pool", "starting with a letter"),
        ("node_pool", "taskworkers12", "Azure allows 12"),
        ("dns_prefix", "aks-" + "a" * 51, "Azure allows 54"),
        ("resource_group", "rg.", "not ending with a period"),
        ("virtual_network", "vnet-acmé-metaflow", "letters, digits"),
        ("private_dns_zone", "metaflow.postgres.database.azure.com", None),
    ],
)
def test_names(kind, name, sentence):
    found = fault(kind, name)
    assert (found is None) if sentence is None else sentence in (found or "")


@pytest.mark.parametrize(
    ("login", "good"), [("metaflow", True), ("admin", False), ("ROOT", False), ("pg_me", False), ("1st", False), ("azure_superuser", False)]
)
def test_logins(login, good):
    assert (login_fault(login) is None) is good
