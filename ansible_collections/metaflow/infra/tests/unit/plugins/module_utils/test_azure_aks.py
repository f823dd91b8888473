# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils import _azure_kubernetes_version as version
from ansible_collections.metaflow.infra.plugins.module_utils._azure_aks import (
    RULES,
    adapted,
    desired,
    failure_of,
    faults,
    first_nodes,
    remarks,
    scaling,
    settled,
)
from ansible_collections.metaflow.infra.plugins.module_utils._azure_aks_kubeconfig import SERVER_APPLICATION, decoded, server_application, with_token
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError
from ansible_collections.metaflow.infra.plugins.module_utils._plan import plan

POOL = {"name": "system", "count": 2, "vmSize": "Standard_D2s_v5", "mode": "System", "enableAutoScaling": True, "minCount": 1, "maxCount": 10}
WORKERS = {
    "name": "taskworkers",
    "count": 7,
    "vmSize": "Standard_D4s_v5",
    "mode": "User",
    "provisioningState": "Succeeded",
    "orchestratorVersion": "1.34",
}
LIVE = {
    "id": "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/aks",
    "name": "aks",
    "location": "westus2",
    "sku": {"name": "Base", "tier": "Free"},
    "identity": {"type": "UserAssigned", "principalId": "p"},
    "properties": {
        "provisioningState": "Succeeded",
        "kubernetesVersion": "1.34",
        "currentKubernetesVersion": "1.34.4",
        "dnsPrefix": "aks",
        "agentPoolProfiles": [{**POOL, "provisioningState": "Succeeded", "orchestratorVersion": "1.34", "nodeImageVersion": "x"}, WORKERS],
        "networkProfile": {"networkPlugin": "azure", "networkPluginMode": "overlay", "serviceCidr": "10.0.0.0/16", "outboundType": "loadBalancer"},
        "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://x"},
        "autoUpgradeProfile": {"nodeOSUpgradeChannel": "NodeImage"},
        "aadProfile": {"managed": True},
    },
}


def options(**more):
    pool = {"name": "system", "vm_sizes": ["Standard_D2s_v5"], "count": 1, "min_count": 1, "max_count": 10}
    return {"name": "aks", "location": "westus2", "system_pool": pool, **more}


def change(**more):
    params = options(**more)
    wanted, sentence = adapted("aks", desired(params), LIVE, params)
    if sentence:
        raise InputError(sentence)
    return plan("aks", wanted, LIVE, RULES)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"kubernetes_version": "1.34"},
        {"kubernetes_version": ""},
        {"kubernetes_version": "1.34.4"},
        {"sku_tier": "Free", "oidc_issuer": True, "auto_upgrade_channel": "none", "authorized_ip_ranges": []},
        {"network": {"plugin": "azure", "plugin_mode": "Overlay", "policy": "none", "service_cidr": "10.0.0.0/16"}},
        {"entra": {"enabled": True, "azure_rbac": None, "admin_group_object_ids": []}},
        {"private_cluster": False, "local_accounts": True, "workload_identity": False},
        # a stack of the old templates: its pools have other names
        {"system_pool": {"name": "default", "vm_sizes": ["Standard_D2_v2"], "min_count": 1, "max_count": 3}},
    ],
)
def test_what_fits_is_left_alone(more):
    assert not change(**more)


def test_what_the_upgrade_channel_has_done_is_not_undone():
    found = change(auto_upgrade_channel="stable", kubernetes_version="1.33")
    assert [d.path for d in found.differences] == ["properties.autoUpgradeProfile.upgradeChannel"]


def test_an_update_sends_the_whole_cluster_without_what_only_aks_sets():
    body = settled(change(sku_tier="Standard", system_pool=options()["system_pool"] | {"min_count": 3}).body)
    assert body["sku"]["tier"] == "Standard"
    assert "provisioningState" not in body["properties"]
    assert body["identity"] == {"type": "UserAssigned"}
    system, workers = body["properties"]["agentPoolProfiles"]
    assert (system["minCount"], system["count"]) == (3, 3)
    assert workers["count"] == 7
    assert "nodeImageVersion" not in system
    assert body["properties"]["oidcIssuerProfile"] == {"enabled": True}


def test_an_upgrade_takes_every_pool_along():
    body = change(kubernetes_version="1.35").body
    assert body["properties"]["kubernetesVersion"] == "1.35"
    assert [(pool["name"], pool["orchestratorVersion"]) for pool in body["properties"]["agentPoolProfiles"]] == [
        ("system", "1.35"),
        ("taskworkers", "1.35"),
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"location": "eastus"}, "location"),
        ({"dns_prefix": "other"}, "dnsPrefix"),
        ({"subnet_id": "/subscriptions/s/x"}, "vnetSubnetID"),
        ({"network": {"service_cidr": "10.1.0.0/16"}}, "serviceCidr"),
        ({"network": {"plugin": "kubenet"}}, "network plugin azure and kubenet is wanted"),
        ({"private_cluster": True}, "enablePrivateCluster"),
        ({"oidc_issuer": False}, "has oidc_issuer on, and AKS can't turn it off"),
        ({"entra": {"enabled": False}}, "has entra on"),
        ({"kubernetes_version": "1.33"}, "AKS can't go back"),
        ({"kubernetes_version": "1.36"}, "one minor version at a time, 1.35 first"),
    ],
)
def test_what_cannot_change_is_refused_by_name(more, words):
    with pytest.raises(InputError, match=words):
        change(**more)


@pytest.mark.parametrize(
    ("pool", "body", "nodes"),
    [
        ({"count": 3}, {"count": 3}, 3),
        ({"min_count": 1, "max_count": 5}, {"enableAutoScaling": True, "minCount": 1, "maxCount": 5, "count": 1}, 1),
        ({"count": 2, "min_count": 1, "max_count": 5}, {"enableAutoScaling": True, "minCount": 1, "maxCount": 5, "count": 2}, 2),
        ({"min_count": 0, "max_count": 5}, {"enableAutoScaling": True, "minCount": 0, "maxCount": 5, "count": 0}, 1),
        ({"autoscale": False, "count": 0}, {"enableAutoScaling": False, "count": 0}, 1),
        ({}, {}, 1),
    ],
)
def test_numbers_of_nodes(pool, body, nodes):
    assert scaling(pool) == body
    assert first_nodes(pool) == nodes


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, None),
        ({"local_accounts": False}, "nobody could log in"),
        ({"local_accounts": False, "entra": {"enabled": True}}, None),
        ({"workload_identity": True, "oidc_issuer": False}, "needs oidc_issuer"),
        ({"network": {"service_cidr": "10.0.0.0/16"}}, "go together"),
        ({"system_pool": {"min_count": 0, "max_count": 3}}, "at least one node"),
        ({"system_pool": {"min_count": 4, "max_count": 3}}, "can't be the greater"),
        ({"system_pool": {"min_count": 4}}, "go together"),
        ({"kubernetes_version": "latest"}, "write it as 1.34"),
        ({"kubernetes_version": ""}, None),
    ],
)
def test_options_by_themselves(more, sentence):
    found = faults(options(**more))
    assert (found == []) if sentence is None else sentence in found[0]


def test_remarks_on_pools_that_are_left_as_they_are():
    assert remarks(options(), LIVE) == []
    assert "which is not in vm_sizes" in remarks(options(system_pool={"name": "system", "vm_sizes": ["Standard_D2s_v6"]}), LIVE)[0]
    assert "has no pool default" in remarks(options(system_pool={"name": "default", "vm_sizes": []}), LIVE)[0]


def test_failure_is_read_with_its_details():
    error = {"code": "Reconcile", "message": "It failed.", "details": [{"code": "AllocationFailed", "message": "No room."}]}
    assert failure_of({"properties": {"status": {"provisioningError": error}}}) == ("Reconcile", "It failed. AllocationFailed: No room.")
    assert failure_of({"properties": {}}) == ("", "")


OFFERED = [
    {"version": "1.34", "capabilities": {"supportPlan": ["KubernetesOfficial", "AKSLongTermSupport"]}, "patchVersions": {"1.34.4": {}}},
    {"version": "1.33", "capabilities": {"supportPlan": ["AKSLongTermSupport"]}, "patchVersions": {"1.33.9": {}}},
    {"version": "1.36", "isPreview": True, "capabilities": {"supportPlan": ["KubernetesOfficial"]}, "patchVersions": {"1.36.0": {}}},
]


@pytest.mark.parametrize(("wanted", "good"), [("1.34", True), ("1.34.4", True), ("1.36", True), ("1.33", False), ("1.34.9", False), ("1.20", False)])
def test_offered_versions(wanted, good):
    sentence = version.offer_fault(wanted, OFFERED, "westus")
    assert (sentence is None) is good
    assert good or sentence == f"Kubernetes {wanted} is not offered in westus: choose one of 1.34."


@pytest.mark.parametrize(("text", "good"), [("1.34", True), ("1.34.4", True), ("latest", False), ("1", False), ("v1.34", False)])
def test_form_of_a_version(text, good):
    assert (version.fault(text) is None) is good


def kubeconfig(user):
    return {"clusters": [{"name": "aks", "cluster": {"server": "https://x:443"}}], "users": [{"name": "clusterUser_rg_aks", "user": user}]}


EXEC = {"exec": {"command": "kubelogin", "args": ["get-token", "--environment", "AzurePublicCloud", "--server-id", "an-id", "--login", "devicecode"]}}


@pytest.mark.parametrize(
    ("user", "application"),
    [
        ({"client-certificate-data": "x", "client-key-data": "y", "token": "z"}, None),
        (EXEC, "an-id"),
        ({"exec": {"command": "kubelogin", "args": ["get-token", "--server-id=an-id"]}}, "an-id"),
        ({"exec": {"command": "kubelogin"}}, SERVER_APPLICATION),
        ({"auth-provider": {"name": "azure", "config": {"apiserver-id": "an-id"}}}, "an-id"),
    ],
)
def test_program_gives_way_to_a_token(user, application):
    config = kubeconfig(user)
    assert server_application(config) == application
    changed = with_token(config, "a-token")
    assert changed["users"][0]["user"] == (user if application is None else {"token": "a-token"})
    assert changed["clusters"] == config["clusters"]


@pytest.mark.parametrize("answer", [{}, {"kubeconfigs": []}, {"kubeconfigs": [{"value": "???"}]}, {"kubeconfigs": [{"value": "e30="}]}])
def test_answer_without_kubeconfig(answer):
    with pytest.raises(InputError, match="no kubeconfig"):
        decoded(answer)


def test_kubeconfig_is_decoded():
    text = json.dumps(kubeconfig({})).encode()
    assert decoded({"kubeconfigs": [{"name": "clusterUser", "value": base64.b64encode(text).decode()}]}) == kubeconfig({})
