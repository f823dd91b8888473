#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_preflight
short_description: Check what a stack needs of Azure before anything is made
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Reads, side by side, whether the region has what is asked for and the subscription may have it, whether names are free and address ranges fit.
  - Fails with one clear sentence for each fault, all together. Nothing is ever written.
  - What exists already needs no quota, no free name and no offer, so those are not asked for again.
  - What the caller may not read is a warning and not a failure.
options:
  location:
    description: Region, such as V(westus2).
    type: str
    required: true
  vm_sizes:
    description: Machine sizes of each node pool, in order of preference, by a key of your choice such as V(system) and V(workers).
    type: dict
    default: {}
  vm_counts:
    description: How many nodes each of these pools starts with; 1 if not said.
    type: dict
    default: {}
  cluster:
    description: The cluster that the pools are for. Where it exists, the pools that it has need no quota.
    type: dict
    suboptions:
      name:
        description: Name of the cluster.
        type: str
        required: true
      resource_group:
        description: Name of its resource group.
        type: str
        required: true
      pools:
        description: Names of its pools by the keys of O(vm_sizes). A key that is missing is a name itself.
        type: dict
        default: {}
  kubernetes_version:
    description: Version of a new cluster, such as V(1.35); an empty one is AKS's choice.
    type: str
  postgresql:
    description: The database server.
    type: dict
    suboptions:
      version:
        description: Major version of PostgreSQL.
        type: str
      sku:
        description: Size of the server, a dictionary with C(name).
        type: dict
      server_name:
        description: Name of the server.
        type: str
      resource_group:
        description: Name of its resource group. A server of that name in there is yours.
        type: str
  storage_account:
    description: The storage account.
    type: dict
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      resource_group:
        description: Name of its resource group. An account of that name in there is yours.
        type: str
        required: true
  address_space:
    description: Ranges of the virtual network.
    type: list
    elements: str
    default: []
  subnets:
    description: Range of each subnet, by its name or purpose.
    type: dict
    default: {}
  database_subnet:
    description: The key of O(subnets) that the database server lives in.
    type: str
    default: database
  kubernetes_subnet:
    description: The key of O(subnets) that the nodes live in.
    type: str
    default: kubernetes
  service_cidr:
    description: Range of the cluster's Services.
    type: str
  dns_service_ip:
    description: Address of the cluster's DNS.
    type: str
  pod_cidr:
    description: Range of the pods, where they have one of their own.
    type: str
  max_nodes:
    description: Greatest number of nodes of each pool; the subnet must have addresses for all.
    type: list
    elements: int
    default: []
  flat_network:
    description: Whether pods take addresses of the subnet (Azure CNI without overlay).
    type: bool
    default: false
  max_pods:
    description: How many pods a node may run; 30 if not set, as AKS does it with a flat network.
    type: int
  existing:
    description: Resources as you are going to declare them. One that exists with a property set otherwise that can't be changed is a fault.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the resource; V(/resourceGroups/...) gets the subscription.
        type: str
        required: true
      api_version:
        description: Version of its REST API, for types that this collection doesn't know.
        type: str
      body:
        description: What is declared of it.
        type: dict
        default: {}
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.attributes.info
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Azure has what the stack needs
  metaflow.infra.azure_preflight:
    location: westus
    vm_sizes:
      system: [Standard_D2s_v5, Standard_D2as_v5]
      workers: [Standard_D4s_v5, Standard_D4as_v5]
    cluster:
      name: aks-acme-metaflow-default
      resource_group: rg-metaflow-default-westus
      pools:
        workers: taskworkers
    postgresql:
      version: "17"
      sku:
        name: Standard_B2s
      server_name: psql-acme-metaflow-default
      resource_group: rg-metaflow-default-westus
    storage_account:
      name: stacmemetaflowdefault
      resource_group: rg-metaflow-default-westus
    address_space: [172.16.0.0/24, 172.17.0.0/16]
    subnets:
      database: 172.16.0.0/24
      kubernetes: 172.17.0.0/16
    service_cidr: 10.0.0.0/16
  register: preflight
"""

RETURN = r"""
vm_sizes:
  description: The sizes of O(vm_sizes) that can be had, best first, for each pool. Of a pool that exists, the one that it runs.
  returned: success
  type: dict
tenant_id:
  description: Tenant of the caller.
  returned: success
  type: str
subscription_id:
  description: Subscription that is worked in.
  returned: success
  type: str
principal_id:
  description: Object id of the caller.
  returned: success
  type: str
faults:
  description: What stands against the stack, each as one sentence.
  returned: failure
  type: list
  elements: str
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._azure_compute import Wish
from ..module_utils._azure_preflight import (
    TYPES,
    choose_sizes,
    input_faults,
    postgresql_faults,
    region_fault,
    running_pools,
    standing_faults,
    storage_faults,
    type_faults,
    version_faults,
)
from ..module_utils._errors import InputError
from ..module_utils._run import Run, main_of

Json = dict[str, t.Any]
STANDING = ("server", "account", "cluster")


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_client import connect
    from ..module_utils._azure_preflight_questions import Questions

    params = run.params
    found = input_faults(params)
    azure = connect(run)
    questions = Questions(run, azure)
    known = questions.ask(questions.first())
    if region := region_fault(params["location"], known["regions"]):
        raise InputError(" ".join([region, *found]))
    known |= questions.ask(questions.second(known))

    found += type_faults(params["location"], known["regions"], {namespace: known[namespace] for namespace in TYPES if namespace in known})
    found += standing_faults(params["location"], (params["postgresql"] or {}).get("version"), {what: known.get(what) for what in STANDING})
    if params["postgresql"] and not known.get("server"):
        found += postgresql_faults(params["location"], params["postgresql"], known.get("capabilities"), known.get("server name"))
    if params["storage_account"] and not known.get("account"):
        found += storage_faults(params["storage_account"], known.get("account name"))
    found += version_faults(params["location"], params["kubernetes_version"], known.get("Kubernetes versions"))
    sizes, faults = usable_sizes(run, azure, known)
    found += faults + questions.existing_faults()
    if found:
        raise InputError(" ".join(found))
    caller = azure.caller()
    tenant = (known["subscription"] or {}).get("tenantId") or caller.get("tid")
    return {"vm_sizes": sizes, "tenant_id": tenant, "subscription_id": azure.subscription_id, "principal_id": caller.get("oid")}


def usable_sizes(run: Run, azure: t.Any, known: t.Mapping[str, t.Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Asks for sizes and quotas only where a pool is still to be made."""
    from ..module_utils._azure_machines import read_offer

    params = run.params
    wishes = {pool: Wish(tuple(sizes), max(int(params["vm_counts"].get(pool) or 1), 1)) for pool, sizes in params["vm_sizes"].items()}
    names = {pool: pool for pool in wishes} | (params["cluster"] or {}).get("pools", {})
    running = running_pools(known.get("cluster"), names)
    offer = read_offer(run, azure, params["location"]) if wishes.keys() - running.keys() else None
    return choose_sizes(wishes, running, offer)


def main() -> None:
    text, optional = {"type": "str", "required": True}, {"type": "str"}
    empty = {"type": "dict", "default": {}}
    spec = {
        **azure_spec(state=False),
        "location": text,
        **{name: dict(empty) for name in ("vm_sizes", "vm_counts", "subnets")},
        "cluster": {"type": "dict", "options": {"name": text, "resource_group": text, "pools": empty}},
        "postgresql": {
            "type": "dict",
            "options": {**{n: dict(optional) for n in ("version", "server_name", "resource_group")}, "sku": {"type": "dict"}},
        },
        "storage_account": {"type": "dict", "options": {"name": text, "resource_group": text}},
        **{name: dict(optional) for name in ("kubernetes_version", "service_cidr", "dns_service_ip", "pod_cidr")},
        "address_space": {"type": "list", "elements": "str", "default": []},
        "database_subnet": {"type": "str", "default": "database"},
        "kubernetes_subnet": {"type": "str", "default": "kubernetes"},
        "max_nodes": {"type": "list", "elements": "int", "default": []},
        "flat_network": {"type": "bool", "default": False},
        "max_pods": {"type": "int"},
        "existing": {"type": "list", "elements": "dict", "default": [], "options": {"id": text, "api_version": optional, "body": empty}},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
