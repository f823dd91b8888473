# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.metaflow.infra.plugins.filter.azure_federated_credentials import azure_federated_credentials
from ansible_collections.metaflow.infra.plugins.filter.azure_grants import azure_grants
from ansible_collections.metaflow.infra.plugins.filter.azure_ids import azure_ids
from ansible_collections.metaflow.infra.plugins.filter.azure_name_faults import azure_name_faults
from ansible_collections.metaflow.infra.plugins.filter.azure_own_parts import azure_own_parts

NAMES = {
    "resource_group": "rg",
    "virtual_network": "net",
    "database_subnet": "db",
    "kubernetes_subnet": "k8s",
    "private_dns_zone": "m.postgres.database.azure.com",
    "private_dns_link": "link",
    "database_server": "psql",
    "storage_account": "st",
    "blob_service": "default",
    "storage_container": "box",
    "identity": "id",
    "kubernetes_cluster": "aks",
}
OTHER = "/subscriptions/2/resourceGroups/other/providers/Microsoft.Network/virtualNetworks/hub"


def parts(existing, without=()):
    ids = azure_ids(NAMES, existing, "1")
    names = {resource_id: part for part, resource_id in ids.items()}
    return {names[item["id"]] for item in azure_own_parts({part: {} for part in NAMES}, ids, existing, without)}


def test_ids_lie_in_what_they_belong_to():
    ids = azure_ids(NAMES, {}, "1")
    assert ids["resource_group"] == "/subscriptions/1/resourceGroups/rg"
    assert ids["database_subnet"] == "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/db"
    assert ids["storage_container"].endswith("/storageAccounts/st/blobServices/default/containers/box")


def test_without_a_subscription_ids_are_left_for_the_modules_to_complete():
    assert azure_ids(NAMES, {}, "")["identity"] == "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"


def test_what_is_brought_by_name_is_in_the_stacks_group_and_by_id_anywhere():
    ids = azure_ids(NAMES, {"resource_group": "rg-shared", "virtual_network": OTHER, "storage_account": "theirs"}, "1")
    assert ids["kubernetes_subnet"] == f"{OTHER}/subnets/k8s"
    assert ids["storage_container"].startswith("/subscriptions/1/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/theirs/")


def test_a_subnet_by_id_brings_its_network():
    ids = azure_ids(NAMES, {"kubernetes_subnet": f"{OTHER}/subnets/nodes"}, "1")
    assert (ids["virtual_network"], ids["database_subnet"]) == (OTHER, f"{OTHER}/subnets/db")


def test_a_part_that_no_stack_has_is_refused():
    with pytest.raises(AnsibleFilterError, match="no part called firewall"):
        azure_ids(NAMES, {"firewall": "x"}, "1")


def test_everything_is_its_own_where_nothing_is_brought():
    assert parts({}) == set(NAMES)


def test_what_is_brought_is_left_out_and_what_only_it_needs_too():
    assert parts({"database_server": "theirs"}) == set(NAMES) - {"database_server", "database_subnet", "private_dns_zone", "private_dns_link"}
    assert parts({"storage_account": "theirs"}) == set(NAMES) - {"storage_account", "blob_service"}
    network = {"virtual_network", "database_subnet", "kubernetes_subnet", "private_dns_zone", "private_dns_link"}
    assert parts({"database_server": "a", "kubernetes_cluster": "b"}) == set(NAMES) - network - {"database_server", "kubernetes_cluster"}


def test_the_network_of_a_brought_subnet_is_never_ours():
    assert "virtual_network" not in parts({"kubernetes_subnet": f"{OTHER}/subnets/nodes"})


def test_an_empty_name_is_not_brought():
    assert parts({"storage_account": ""}) == set(NAMES)


def test_more_can_be_left_out():
    assert parts({}, without=["identity"]) == set(NAMES) - {"identity"}


def test_a_name_that_is_too_long_is_told_with_its_limit():
    (fault,) = azure_name_faults({"storage_account": "stacmeacmeacmemetaflowdefault", "database_server": "psql-acme"})
    assert "stacmeacmeacmemetaflowdefault" in fault
    assert "24" in fault


def test_illegal_characters_are_told_and_ids_are_not_looked_at():
    assert len(azure_name_faults({"storage_account": "st_Acme", "database_server": "Psql-"})) == 2
    assert azure_name_faults({"storage_account": OTHER, "virtual_network": OTHER}) == []


def test_each_user_gets_each_role():
    roles = [{"scope": "/a", "role": "Reader"}, {"scope": "/b", "role": "Writer"}]
    grants = azure_grants([{"object_id": "1", "type": "Group"}, {"object_id": "2"}], roles)
    assert [(g["principal_id"], g["principal_type"], g["role"]) for g in grants] == [
        ("1", "Group", "Reader"),
        ("1", "Group", "Writer"),
        ("2", "User", "Reader"),
        ("2", "User", "Writer"),
    ]


def test_federated_credentials_name_the_service_account():
    (made,) = azure_federated_credentials(["flows/metaflow-task"], "/id", "https://issuer/")
    assert made["id"] == "/id/federatedIdentityCredentials/flows-metaflow-task"
    assert made["body"]["properties"]["subject"] == "system:serviceaccount:flows:metaflow-task"


@pytest.mark.parametrize("account", ["metaflow-task", "/x", "a/", "a/b/c"])
def test_an_account_without_a_namespace_is_refused(account):
    with pytest.raises(AnsibleFilterError, match="namespace/name"):
        azure_federated_credentials([account], "/id", "https://issuer/")
