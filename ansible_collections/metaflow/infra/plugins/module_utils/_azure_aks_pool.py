# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An AKS node pool as data: its body, the order in which sizes are tried, and whether a failed pool may go. Pure.

Facts: a pool's machine size is fixed. A pool whose creation failed stays as a resource in provisioningState ``Failed``, with the reason in
``properties.status.provisioningError``; another size needs the pool deleted first. AKS keeps at least one System pool.
"""

from __future__ import annotations

import typing as t

from ._azure_aks import POOL_READ_ONLY, dig, failure_of, first_nodes, place, pruned, same_set, scaling, scaling_faults, strings
from ._azure_compute import Wish
from ._azure_failures import size_failure
from ._compare import Rules

Json = dict[str, t.Any]

RULES: t.Final = Rules(
    read_only=("id", "name", "type", "systemData", *(f"properties.{name}" for name in POOL_READ_ONLY)),
    immutable=("properties.vnetSubnetID", "properties.availabilityZones", "properties.maxPods"),
    create_only=("properties.vmSize", "properties.osType", "properties.type"),
    ignore_case=("properties.osSKU", "properties.mode"),
    equal={"properties.nodeTaints": same_set, "properties.availabilityZones": same_set},
)
PATHS: t.Final = {
    "mode": "properties.mode",
    "subnet_id": "properties.vnetSubnetID",
    "labels": "properties.nodeLabels",
    "taints": "properties.nodeTaints",
    "os_sku": "properties.osSKU",
    "zones": "properties.availabilityZones",
    "max_pods": "properties.maxPods",
    "tags": "properties.tags",
}


def desired(params: t.Mapping[str, t.Any], live: Json | None = None) -> Json:
    """The body that the options declare, but for the machine size; for a new pool without empty lists.

    Under the autoscaler a live pool's count is the autoscaler's own.
    """
    body: Json = {"properties": {"osType": "Linux", "type": "VirtualMachineScaleSets", **scaling(params)}}
    for option, path in PATHS.items():
        if (value := params.get(option)) is not None:
            place(body, path, strings(value) if option in ("tags", "labels") else value)
    properties = body["properties"]
    autoscaled = properties.get("enableAutoScaling", dig(live, "properties.enableAutoScaling"))
    if live is not None and autoscaled:
        properties.pop("count", None)
    return pruned(body) if live is None else body


def wish(params: t.Mapping[str, t.Any]) -> Wish:
    """The machines that a new pool wants."""
    return Wish(tuple(params["vm_sizes"]), first_nodes(params), frozenset(map(str, params.get("zones") or ())))


def sendable(body: Json) -> Json:
    """The body of a PUT: the count between the autoscaler's bounds, and no bounds without autoscaler."""
    properties = body["properties"]
    if not properties.get("enableAutoScaling"):
        dropped = {"minCount", "maxCount"}
        return {**body, "properties": {key: value for key, value in properties.items() if key not in dropped}}
    least, most, count = (properties.get(key) for key in ("minCount", "maxCount", "count"))
    count = max(count or 0, least or 0)
    return {**body, "properties": {**properties, "count": min(count, most) if most is not None else count}}


def faults(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options by themselves, each as one sentence."""
    found = []
    least, most = params.get("min_count"), params.get("max_count")
    if params.get("autoscale") is False and (least is not None or most is not None):
        found.append("min_count and max_count are for an autoscaled pool, and autoscale is false.")
    if params.get("autoscale") and (least is None or most is None):
        found.append("An autoscaled pool needs both min_count and max_count.")
    return found + scaling_faults(params)


def rotation(sizes: t.Sequence[str], failed: str | None) -> list[str]:
    """The order in which to try sizes after one failed: those after it, those before it, and itself at last."""
    index = next((n for n, size in enumerate(sizes) if failed and size.lower() == failed.lower()), None)
    return list(sizes) if index is None else [*sizes[index + 1 :], *sizes[:index], sizes[index]]


def off_list(pool: Json, sizes: t.Sequence[str]) -> str | None:
    """The remark on a healthy pool whose size is none of the list; None where it is."""
    size = dig(pool, "properties.vmSize") or ""
    if not sizes or size.lower() in map(str.lower, sizes):
        return None
    return f"The pool {pool.get('name')} runs {size}, which is not in vm_sizes. It is left as it is: a pool's machine size can't be changed."


def last_system_pool(pool: Json, pools: t.Iterable[Json]) -> bool:
    """Whether no other System pool would be left without this one."""
    others = (other for other in pools if other.get("name") != pool.get("name"))
    return dig(pool, "properties.mode") == "System" and not any(dig(other, "properties.mode") == "System" for other in others)


def replaceable(pool: Json, machines: t.Sequence[Json] | None, pools: t.Sequence[Json], *, created_now: bool) -> bool:
    """Whether a Failed pool may be deleted for another size.

    It failed for its size, it certainly has no machine that serves (``machines`` is what AKS lists, None where it couldn't say;
    ``created_now``: this run saw it being created, so it never served), and it isn't the last System pool.
    """
    code, message = failure_of(pool)
    return bool(size_failure([code], message)) and (created_now or machines == []) and not last_system_pool(pool, pools)
