#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_aks_cluster
short_description: Manage an AKS cluster
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Creates, changes, upgrades and deletes a managed Kubernetes cluster with its first (system) node pool.
  - Node pools that are not declared here are never touched; see M(metaflow.infra.azure_aks_node_pool).
  - What the options don't mention is left as AKS or somebody else set it.
  - A cluster in state Failed is written again, which makes AKS reconcile it. It is never deleted, except by O(state=absent).
  - Where another operation is in progress, the module waits for it.
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  resource_group:
    description: Name of its resource group.
    type: str
    required: true
  location:
    description: Region, such as V(westus2). Needed to create a cluster; can't be changed.
    type: str
  kubernetes_version:
    description:
      - A minor version such as V(1.35), which stands for its newest patch, or a patch such as V(1.35.6).
      - Can be raised by one minor version at a time; all node pools are upgraded with it. If not set, AKS chooses.
    type: str
  dns_prefix:
    description: First part of the API server's name; O(name) if not set at creation. Can't be changed.
    type: str
  sku_tier:
    description: V(Standard) and V(Premium) have an SLA for the API server.
    type: str
    choices: [Free, Standard, Premium]
  system_pool:
    description: The node pool that the cluster is created with. Needed to create a cluster.
    type: dict
    suboptions:
      name:
        description: Name of the pool; up to 12 lower-case letters and digits.
        type: str
        default: system
      vm_sizes:
        description:
          - Machine sizes in order of preference. The first that is offered in the region and fits the quotas is taken.
          - The size of an existing pool is never changed.
        type: list
        elements: str
        required: true
      count:
        description: Number of nodes; with the autoscaler the number to start with.
        type: int
      min_count:
        description: Least number of nodes; turns the autoscaler on, together with O(system_pool.max_count).
        type: int
      max_count:
        description: Greatest number of nodes.
        type: int
  subnet_id:
    description: Id of the subnet for the nodes. Can't be changed.
    type: str
  network:
    description: How pods and Services are reached.
    type: dict
    suboptions:
      plugin:
        description: Network plugin, such as V(azure).
        type: str
      plugin_mode:
        description: V(overlay) gives pods addresses of their own instead of the subnet's.
        type: str
      policy:
        description: Who enforces network policies.
        type: str
        choices: [none, azure, calico, cilium]
      dataplane:
        description: How packets are moved.
        type: str
        choices: [azure, cilium]
      pod_cidr:
        description: Range of pod addresses, with overlay. Can't be changed.
        type: str
      service_cidr:
        description: Range of Service addresses. Must not overlap with the network. Can't be changed.
        type: str
      dns_service_ip:
        description: Address of the cluster's DNS in O(network.service_cidr). Can't be changed.
        type: str
      outbound_type:
        description: How nodes reach the Internet.
        type: str
        choices: [loadBalancer, managedNATGateway, userAssignedNATGateway, userDefinedRouting, none]
  entra:
    description: Log-in to Kubernetes with Microsoft Entra ID.
    type: dict
    suboptions:
      enabled:
        description: Whether users log in with Entra ID. Can't be turned off again.
        type: bool
        default: true
      azure_rbac:
        description: Whether Azure role assignments decide what users may do in Kubernetes.
        type: bool
      admin_group_object_ids:
        description: Object ids of the Entra groups whose members are cluster admins.
        type: list
        elements: str
  local_accounts:
    description: Whether certificates of the cluster's own work beside Entra ID.
    type: bool
  oidc_issuer:
    description: Whether the cluster is an OIDC issuer; workload identity needs it. Can't be turned off again.
    type: bool
  workload_identity:
    description: Whether pods can have Entra identities.
    type: bool
  auto_upgrade_channel:
    description: What AKS upgrades to by itself.
    type: str
    choices: [none, patch, stable, rapid, node-image]
  authorized_ip_ranges:
    description: Addresses that may reach the API server; an empty list means all.
    type: list
    elements: str
  private_cluster:
    description: Whether the API server has an address in the network only. Can't be changed.
    type: bool
  tags:
    description: Tags that the cluster must have. Others are left alone.
    type: dict
  wait:
    description:
      - Whether to wait until the cluster is ready, or gone.
      - With V(false) the work is only begun. Call again with V(true) to wait, and to have a failed cluster reconciled.
    type: bool
    default: true
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: A cluster with workload identity and two sizes to choose from
  metaflow.infra.azure_aks_cluster:
    name: aks-acme-metaflow-default
    resource_group: rg-metaflow-default-westus
    location: westus
    kubernetes_version: "1.35"
    system_pool:
      vm_sizes: [Standard_D2s_v5, Standard_D2s_v6]
      min_count: 1
      max_count: 10
    subnet_id: "{{ subnet_id }}"
    network:
      plugin: azure
      plugin_mode: overlay
      policy: cilium
      dataplane: cilium
      service_cidr: 10.0.0.0/16
      dns_service_ip: 10.0.0.10
    oidc_issuer: true
    workload_identity: true
"""

RETURN = r"""
cluster:
  description: The cluster as Azure describes it (in check mode as it would be); null where there is none.
  returned: always
  type: dict
attempts:
  description: The machine sizes that were tried for the system pool, each with the error that ended it.
  returned: when O(state=present)
  type: list
  elements: dict
failure:
  description: What Azure said, where it refused.
  returned: failure
  type: dict
"""

import dataclasses
import typing as t

from ..module_utils._azure_aks import (
    API_VERSION,
    RULES,
    SETTLED,
    TYPE,
    adapted,
    desired,
    failure_of,
    faults,
    pruned,
    remarks,
    settled,
    sized,
    state_of,
    system_wish,
)
from ..module_utils._azure_argspec import azure_spec
from ..module_utils._azure_ids import title
from ..module_utils._azure_names import fault
from ..module_utils._errors import ApiError, InputError
from ..module_utils._plan import plan, plan_absent
from ..module_utils._run import Run, main_of

if t.TYPE_CHECKING:
    from ..module_utils._azure_client import Azure

Json = dict[str, t.Any]


def work(run: Run) -> dict[str, t.Any]:
    params = run.params
    if found := [*name_faults(params), *faults(params)]:
        raise InputError(" ".join(found))
    from ..module_utils._azure_client import connect

    azure = connect(run)
    path = azure.id(params["resource_group"], TYPE, params["name"])
    live = azure.get(path, API_VERSION)
    if not run.present:
        change = plan_absent(title(path), live)
        if run.writes([change]):
            azure.delete(path, API_VERSION, wait=params["wait"])
        return {"cluster": None}
    wanted = desired(params)
    if live is not None and state_of(live) not in SETTLED and not run.check_mode:
        refuse(wanted, live, params)
        if not params["wait"]:
            return {"cluster": live, "attempts": []}
        live = azure.until(path, API_VERSION, lambda cluster: cluster is None or state_of(cluster) in SETTLED)
    return create(run, azure, path, wanted) if live is None else update(run, azure, path, wanted, live)


def name_faults(params: t.Mapping[str, t.Any]) -> list[str]:
    named = [("cluster", params["name"]), ("dns_prefix", params["dns_prefix"]), ("node_pool", (params["system_pool"] or {}).get("name"))]
    return [sentence for kind, name in named if name is not None and (sentence := fault(kind, name))]


def refuse(wanted: Json, live: Json, params: t.Mapping[str, t.Any]) -> Json:
    """What is declared, as it is to be held against this cluster. :raises InputError: for what this cluster can't become."""
    fitting, sentence = adapted(params["name"], wanted, live, params)
    if sentence:
        raise InputError(sentence)
    return fitting


def create(run: Run, azure: Azure, path: str, wanted: Json) -> dict[str, t.Any]:
    from ..module_utils._azure_machines import Trial, read_offer

    params = run.params
    if missing := [name for name in ("location", "system_pool") if not params[name]]:
        raise InputError(f"The cluster {params['name']} doesn't exist, and to create it these are needed too: {', '.join(missing)}.")
    wanted = pruned(wanted)
    wanted["properties"].setdefault("dnsPrefix", params["name"])
    choice = read_offer(run, azure, params["location"]).choose(system_wish(params))
    trial = Trial(run, f"the system pool of cluster {params['name']}", choice, params["location"])
    if not trial.usable:
        trial.first_that_works(lambda size: {}, lambda error: None)  # says why
    change = plan(title(path), sized(wanted, trial.usable[0]), None, RULES)
    if not run.writes([change]):
        return {"cluster": change.after, "attempts": []}
    cluster = trial.first_that_works(
        lambda size: azure.put(path, API_VERSION, settled(sized(wanted, size)), wait=params["wait"]),
        lambda error: leave_failed(azure, path, error),
    )
    run.writes([plan(title(path), sized(wanted, trial.taken), None, RULES)])  # the diff tells the size that it became
    return {"cluster": cluster, "attempts": trial.attempts}


def leave_failed(azure: Azure, path: str, error: ApiError) -> None:
    """A size that was refused at once leaves no cluster, and the next can follow. A failed cluster stays: clusters are never deleted."""
    cluster = azure.get(path, API_VERSION)
    if cluster is None:
        return
    size = cluster["properties"]["agentPoolProfiles"][0].get("vmSize")
    error.hint = (
        f"The cluster is left in state {state_of(cluster)}. Run again to have AKS try once more with {size}; if there is no capacity or quota "
        "for that size, delete the cluster with state=absent and put another size first in system_pool.vm_sizes."
    )
    raise error


def update(run: Run, azure: Azure, path: str, wanted: Json, live: Json) -> dict[str, t.Any]:
    change = plan(title(path), refuse(wanted, live, run.params), live, RULES)
    if state_of(live) in ("Failed", "Canceled"):
        run.report(f"cluster {run.params['name']}", f"{state_of(live)}: {' '.join(failure_of(live)) or 'no reason given'}; writing it again")
        change = dataclasses.replace(change, action="update")
    for remark in remarks(run.params, live):
        run.warn(remark)
    if run.writes([change]):
        live = azure.put(path, API_VERSION, settled(change.body), wait=run.params["wait"])
    return {"cluster": change.after if run.check_mode else live, "attempts": []}


def main() -> None:
    text, flag, number, texts = {"type": "str"}, {"type": "bool"}, {"type": "int"}, {"type": "list", "elements": "str"}
    pool = {
        "name": {"type": "str", "default": "system"},
        "vm_sizes": texts | {"required": True},
        **{name: dict(number) for name in ("count", "min_count", "max_count")},
    }
    network = {
        **{name: dict(text) for name in ("plugin", "plugin_mode", "pod_cidr", "service_cidr", "dns_service_ip")},
        "policy": text | {"choices": ["none", "azure", "calico", "cilium"]},
        "dataplane": text | {"choices": ["azure", "cilium"]},
        "outbound_type": text | {"choices": ["loadBalancer", "managedNATGateway", "userAssignedNATGateway", "userDefinedRouting", "none"]},
    }
    entra = {"enabled": flag | {"default": True}, "azure_rbac": dict(flag), "admin_group_object_ids": dict(texts)}
    spec = {
        **azure_spec(),
        "name": text | {"required": True},
        "resource_group": text | {"required": True},
        **{name: dict(text) for name in ("location", "kubernetes_version", "dns_prefix", "subnet_id")},
        "sku_tier": text | {"choices": ["Free", "Standard", "Premium"]},
        "system_pool": {"type": "dict", "options": pool},
        "network": {"type": "dict", "options": network},
        "entra": {"type": "dict", "options": entra},
        **{name: dict(flag) for name in ("local_accounts", "oidc_issuer", "workload_identity", "private_cluster")},
        "auto_upgrade_channel": text | {"choices": ["none", "patch", "stable", "rapid", "node-image"]},
        "authorized_ip_ranges": dict(texts),
        "tags": {"type": "dict"},
        "wait": flag | {"default": True},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
