#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_aks_node_pool
short_description: Manage a node pool of an AKS cluster
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Creates, changes and deletes a node pool.
  - A new pool gets the first machine size of O(vm_sizes) that the region offers to the subscription and that fits the quotas (asked beforehand).
    Where Azure refuses it all the same, for lack of capacity or quota, the failed pool is removed and the next size is tried.
  - A healthy pool keeps its machine size, whatever O(vm_sizes) says.
  - A pool that an earlier run left failed is written again; where it failed for its size, has no machine and is not the last System pool,
    it is replaced by one with the next size.
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  resource_group:
    description: Name of the cluster's resource group.
    type: str
    required: true
  name:
    description: Name of the pool; up to 12 lower-case letters and digits.
    type: str
    required: true
  vm_sizes:
    description: Machine sizes in order of preference.
    type: list
    elements: str
  count:
    description: Number of nodes; with the autoscaler the number to start with.
    type: int
  autoscale:
    description: Whether the number of nodes follows the need. True if not set and O(min_count) and O(max_count) are.
    type: bool
  min_count:
    description: Least number of nodes under the autoscaler.
    type: int
  max_count:
    description: Greatest number of nodes under the autoscaler.
    type: int
  mode:
    description: V(System) pools run the cluster's own pods.
    type: str
    choices: [User, System]
    default: User
  subnet_id:
    description: Id of the subnet for the nodes. Can't be changed.
    type: str
  labels:
    description: Labels of the nodes. Others are left alone.
    type: dict
  taints:
    description: Taints of the nodes, such as V(key=value:NoSchedule); all of them.
    type: list
    elements: str
  os_sku:
    description: Operating system of the nodes, such as V(Ubuntu) or V(AzureLinux).
    type: str
  zones:
    description: Availability zones of the nodes. Can't be changed.
    type: list
    elements: str
  max_pods:
    description: How many pods a node may run. Can't be changed.
    type: int
  tags:
    description: Tags that the pool's machines must have. Others are left alone.
    type: dict
  wait:
    description: Whether to wait until the pool is ready, or gone. With V(false) the work is only begun.
    type: bool
    default: true
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Workers for tasks, with sizes to fall back on
  metaflow.infra.azure_aks_node_pool:
    cluster: aks-acme-metaflow-default
    resource_group: rg-metaflow-default-westus
    name: taskworkers
    vm_sizes: [Standard_D4s_v5, Standard_D4s_v6, Standard_D4as_v5]
    min_count: 1
    max_count: 50
    subnet_id: "{{ subnet_id }}"
"""

RETURN = r"""
pool:
  description: The pool as Azure describes it (in check mode as it would be); null where there is none.
  returned: always
  type: dict
attempts:
  description: The machine sizes that were looked at or tried, each with the error that ended it (none for the one that was taken).
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

from ..module_utils._azure_aks import API_VERSION, SETTLED, TYPE, dig, failure_of, state_of
from ..module_utils._azure_aks_pool import RULES, desired, faults, off_list, replaceable, rotation, sendable, wish
from ..module_utils._azure_argspec import azure_spec
from ..module_utils._azure_ids import title
from ..module_utils._azure_names import fault
from ..module_utils._errors import ApiError, InputError
from ..module_utils._plan import plan, plan_absent
from ..module_utils._run import Run, main_of

if t.TYPE_CHECKING:
    from ..module_utils._azure_client import Azure

Json = dict[str, t.Any]
FAILED = ("Failed", "Canceled")


def work(run: Run) -> dict[str, t.Any]:
    params = run.params
    if found := [*filter(None, [fault("node_pool", params["name"])]), *faults(params)]:
        raise InputError(" ".join(found))
    from ..module_utils._azure_client import connect

    azure = connect(run)
    path = azure.id(params["resource_group"], f"{TYPE}/agentPools", params["cluster"], params["name"])
    live = azure.get(path, API_VERSION)
    if not run.present:
        change = plan_absent(title(path), live)
        if run.writes([change]):
            azure.delete(path, API_VERSION, wait=params["wait"])
        return {"pool": None}
    seen_creating = live is not None and state_of(live) == "Creating"
    if live is not None and state_of(live) not in SETTLED and not run.check_mode:
        plan(title(path), desired(params, live), live, RULES)  # refuses what can't be, before waiting for long
        if not params["wait"]:
            return {"pool": live, "attempts": []}
        live = azure.until(path, API_VERSION, lambda pool: pool is None or state_of(pool) in SETTLED)
    if live is None:
        return create(run, azure, path, list(params["vm_sizes"] or ()))
    if state_of(live) in FAILED:
        return repair(run, azure, path, live, seen_creating=seen_creating)
    return update(run, azure, path, live)


def create(run: Run, azure: Azure, path: str, sizes: list[str]) -> dict[str, t.Any]:
    """A new pool of the first size that can be had."""
    from ..module_utils._azure_machines import Trial, read_offer

    params = run.params
    if not sizes:
        raise InputError(f"The pool {params['name']} doesn't exist, and to create it vm_sizes is needed.")
    cluster = azure.get(path.rpartition("/agentPools/")[0], API_VERSION)
    if cluster is None and not run.check_mode:
        raise InputError(f"There is no cluster {params['cluster']} in the resource group {params['resource_group']}: create it first.")
    body = desired(params)
    trial = None
    if cluster is not None:
        choice = read_offer(run, azure, cluster["location"]).choose(dataclasses.replace(wish(params), sizes=tuple(sizes)))
        trial = Trial(run, f"pool {params['name']}", choice, cluster["location"])
        if not trial.usable:
            trial.first_that_works(lambda size: {}, lambda error: None)  # says why
        sizes = list(trial.usable)
    change = plan(title(path), sized(body, sizes[0]), None, RULES)
    if not run.writes([change]) or trial is None:
        return {"pool": change.after, "attempts": []}
    pool = trial.first_that_works(
        lambda size: azure.put(path, API_VERSION, sendable(sized(body, size)), wait=params["wait"]),
        lambda error: azure.delete(path, API_VERSION) if azure.get(path, API_VERSION) else None,  # made by this run, and failed
    )
    run.writes([plan(title(path), sized(body, trial.taken), None, RULES)])  # the diff tells the size that it became
    return {"pool": pool, "attempts": trial.attempts}


def sized(body: Json, size: str) -> Json:
    return {**body, "properties": {**body["properties"], "vmSize": size}}


def repair(run: Run, azure: Azure, path: str, live: Json, *, seen_creating: bool) -> dict[str, t.Any]:
    """A pool that an earlier run left failed: replaced where that is certain to lose nothing and may help, else written again."""
    params, name, reason = run.params, f"pool {run.params['name']}", " ".join(filter(None, failure_of(live)))
    pools = azure.list(path.rpartition("/")[0], API_VERSION)
    if not replaceable(live, machines_of(azure, path), pools, created_now=seen_creating):
        run.report(name, f"{state_of(live)} ({reason or 'no reason given'}): writing it again")
        return update(run, azure, path, live, again=True)
    sizes = rotation(params["vm_sizes"] or [dig(live, "properties.vmSize")], dig(live, "properties.vmSize"))
    run.report(name, f"{state_of(live)} ({reason}): replacing it with the next size")
    if run.writes([plan_absent(title(path), live)]):
        azure.delete(path, API_VERSION)
    return create(run, azure, path, sizes)


def machines_of(azure: Azure, path: str) -> list[Json] | None:
    """The pool's machines, None where AKS can't say."""
    try:
        return azure.pages(f"{path}/machines", {"api-version": API_VERSION})
    except ApiError:
        return None


def update(run: Run, azure: Azure, path: str, live: Json, *, again: bool = False) -> dict[str, t.Any]:
    """An existing pool with its declared properties set. Its machine size is never changed."""
    params = run.params
    change = plan(title(path), desired(params, live), live, RULES)
    if again:
        change = dataclasses.replace(change, action="update")
    if remark := off_list(live, params["vm_sizes"] or ()):
        run.warn(remark)
    if run.writes([change]):
        live = azure.put(path, API_VERSION, sendable(change.body), wait=params["wait"])
    return {"pool": change.after if run.check_mode else live, "attempts": []}


def main() -> None:
    text, flag, number, texts = {"type": "str"}, {"type": "bool"}, {"type": "int"}, {"type": "list", "elements": "str"}
    spec = {
        **azure_spec(),
        **{name: text | {"required": True} for name in ("cluster", "resource_group", "name")},
        **{name: dict(texts) for name in ("vm_sizes", "taints", "zones")},
        **{name: dict(number) for name in ("count", "min_count", "max_count", "max_pods")},
        "autoscale": dict(flag),
        "mode": text | {"choices": ["User", "System"], "default": "User"},
        "subnet_id": dict(text),
        "os_sku": dict(text),
        "labels": {"type": "dict"},
        "tags": {"type": "dict"},
        "wait": flag | {"default": True},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
