# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

from ansible_collections.metaflow.infra.plugins.modules import azure_aks_kubeconfig as module
from ansible_collections.metaflow.infra.tests.unit.azure_wire import SUBSCRIPTION, Call, error

PATH = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks"
OPTIONS = {"cluster": "aks", "resource_group": "rg"}


def answer(user):
    config = {"clusters": [{"name": "aks", "cluster": {"server": "https://aks:443"}}], "users": [{"name": "u", "user": user}]}
    return {"kubeconfigs": [{"name": "clusterUser", "value": base64.b64encode(json.dumps(config).encode()).decode()}]}


def test_certificates_are_returned_as_they_are(azure, run_module):
    azure.expect(Call("POST", f"{PATH}/listClusterUserCredential", 200, answer({"client-certificate-data": "abc"})))
    result = run_module(module, **OPTIONS)
    assert not result["changed"]
    assert result["kubeconfig"]["users"][0]["user"] == {"client-certificate-data": "abc"}
    assert result["expires_on"] is None


def test_admin(azure, run_module):
    azure.expect(Call("POST", f"{PATH}/listClusterAdminCredential", 200, answer({"token": "abc"})))
    assert run_module(module, **OPTIONS, admin=True)["kubeconfig"]["clusters"][0]["name"] == "aks"


def test_kubelogin_gives_way_to_a_token(azure, run_module):
    azure.expect(Call("POST", f"{PATH}/listClusterUserCredential", 200, answer({"exec": {"command": "kubelogin", "args": ["--server-id", "srv"]}})))
    result = run_module(module, **OPTIONS)
    assert list(result["kubeconfig"]["users"][0]["user"]) == ["token"]
    assert result["expires_on"] > 0
    assert azure.logins == 2


def test_no_cluster(azure, run_module):
    azure.expect(Call("POST", f"{PATH}/listClusterUserCredential", 404, error("ResourceNotFound")))
    assert run_module(module, **OPTIONS)["msg"] == "There is no cluster aks in the resource group rg."


def test_no_cluster_yet_in_check_mode(azure, run_module):
    azure.expect(Call("POST", f"{PATH}/listClusterUserCredential", 404, error("ResourceNotFound")))
    assert run_module(module, _check=True, **OPTIONS)["kubeconfig"] is None
