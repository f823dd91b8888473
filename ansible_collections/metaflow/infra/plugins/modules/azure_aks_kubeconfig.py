#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_aks_kubeconfig
short_description: Get the kubeconfig of an AKS cluster as data
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Returns what C(az aks get-credentials) writes to a file, as a dictionary. Nothing is written to disk.
  - Use C(no_log) on the task, as it holds credentials.
  - Where the cluster asks for Entra ID tokens, the kubeconfig holds one, got with the credentials of this task, instead of a call of C(kubelogin).
    It is good for about an hour.
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  resource_group:
    description: Name of its resource group.
    type: str
    required: true
  admin:
    description: Whether to get the cluster admin's certificate, which works only where local accounts are on, instead of a user's credentials.
    type: bool
    default: false
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.attributes.info
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Get the credentials
  metaflow.infra.azure_aks_kubeconfig:
    cluster: aks-acme-metaflow-default
    resource_group: rg-metaflow-default-westus
  register: credentials
  no_log: true

- name: Use them
  kubernetes.core.k8s_info:
    kubeconfig: "{{ credentials.kubeconfig }}"
    kind: Node
"""

RETURN = r"""
kubeconfig:
  description: The kubeconfig; null in check mode where the cluster isn't there yet.
  returned: success
  type: dict
expires_on:
  description: When its token ends, in seconds since 1970; null where it has none.
  returned: success
  type: int
failure:
  description: What Azure said, where it refused.
  returned: failure
  type: dict
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._errors import ApiError, InputError
from ..module_utils._run import Run, main_of


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_aks import API_VERSION, TYPE
    from ..module_utils._azure_aks_kubeconfig import decoded, server_application, with_token
    from ..module_utils._azure_client import connect

    params = run.params
    azure = connect(run)
    action = "listClusterAdminCredential" if params["admin"] else "listClusterUserCredential"
    try:
        answer = azure.post(f"{azure.id(params['resource_group'], TYPE, params['cluster'])}/{action}", API_VERSION)
    except ApiError as error:
        if error.status != 404:
            raise
        if run.check_mode:
            return {"kubeconfig": None, "expires_on": None}
        raise InputError(f"There is no cluster {params['cluster']} in the resource group {params['resource_group']}.") from None
    kubeconfig, expires_on = decoded(answer), None
    if application := server_application(kubeconfig):
        token = azure.credential.get_token_info(f"{application}/.default")
        kubeconfig, expires_on = with_token(kubeconfig, token.token), int(token.expires_on)
    return {"kubeconfig": kubeconfig, "expires_on": expires_on}


def main() -> None:
    spec = {
        **azure_spec(state=False),
        "cluster": {"type": "str", "required": True},
        "resource_group": {"type": "str", "required": True},
        "admin": {"type": "bool", "default": False},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
