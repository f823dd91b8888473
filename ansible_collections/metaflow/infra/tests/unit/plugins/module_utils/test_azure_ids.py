# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils import _azure_ids as ids
from ansible_collections.metaflow.infra.plugins.module_utils._azure_types import lock_of, type_known
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError

NET = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net"


def test_an_id_gets_its_subscription():
    assert ids.complete("/resourceGroups/rg", "s") == "/subscriptions/s/resourceGroups/rg"
    assert ids.complete(f"{NET}/", "other") == NET


@pytest.mark.parametrize("text", ["", "net", "/resourceGroups", "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks", "/a//b/c"])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(InputError, match="is not a resource id"):
        ids.complete(text, "s")


@pytest.mark.parametrize(
    ("path", "kind", "parent", "title"),
    [
        (f"{NET}/subnets/db", "Microsoft.Network/virtualNetworks/subnets", NET, "virtualNetworks/subnets net/db"),
        (NET, "Microsoft.Network/virtualNetworks", "/subscriptions/s/resourceGroups/rg", "virtualNetworks net"),
        ("/subscriptions/s/resourceGroups/rg", ids.GROUP, "/subscriptions/s", "resourceGroups rg"),
        (f"{NET}/providers/Microsoft.Authorization/locks/l", "Microsoft.Authorization/locks", NET, "locks l"),
        ("/subscriptions/s/providers/Microsoft.Network", "Microsoft.Network", "/subscriptions/s", "provider Microsoft.Network"),
    ],
)
def test_parts(path, kind, parent, title):
    assert ids.type_of(path) == kind
    assert ids.parent_of(path) == parent
    assert ids.title(path) == title


def test_contains():
    assert ids.contains(NET, f"{NET.upper()}/subnets/db")
    assert not ids.contains(NET, NET)
    assert not ids.contains(NET, f"{NET}2")


def test_what_is_written_one_at_a_time():
    def lock(path):
        return lock_of(path, type_known(path, "2025-01-01"))

    assert lock(f"{NET}/subnets/a") == lock(f"{NET}/subnets/b") == lock(NET)
    storage = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a"
    assert lock(f"{storage}/blobServices/default/containers/x") is None
