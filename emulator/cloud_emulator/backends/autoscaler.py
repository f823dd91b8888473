"""A simple cluster autoscaler: nodes for pods that fit nowhere, and fewer once nodes have been empty for a while."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import time
import typing as t

from . import pools
from .kubernetes_api import Informer, Object
from .pools import Pool, Site

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3}
UNNEEDED = 600.0  # seconds that a node is empty before it goes, as AKS's profile says
RESOURCES = ("cpu", "memory", "pods")
Amounts = dict[str, float]


@dataclasses.dataclass
class _Node:
    labels: dict[str, str]
    taints: list[Object]
    free: Amounts
    unschedulable: bool = False

    def takes(self, pod: Object) -> bool:
        needs = requests(pod)
        return (
            not self.unschedulable
            and all(needs[name] <= self.free[name] for name in RESOURCES)
            and tolerates(pod, self.taints)
            and selects(pod, self.labels)
        )

    def place(self, pod: Object) -> None:
        needs = requests(pod)
        self.free = {name: amount - needs[name] for name, amount in self.free.items()}


class Autoscaler:
    """Watches what cannot be scheduled and asks `resize(pool, count)` for more nodes, or for fewer."""

    def __init__(
        self,
        site: Site,
        pods: Informer,
        nodes: Informer,
        autoscaled: t.Callable[[], list[Pool]],
        resize: t.Callable[[str, int], t.Awaitable[None]],
        seconds: t.Callable[[str, float], float],
    ) -> None:
        self._site, self._pods, self._nodes = site, pods, nodes
        self._autoscaled, self._resize, self._seconds = autoscaled, resize, seconds
        self._wake = asyncio.Event()
        self._empty_since: dict[str, float] = {}
        self._task = asyncio.create_task(self._live())

    def pod_changed(self, pod: Object) -> None:
        """To be told of every change of a pod."""
        if is_unschedulable(pod):
            self._wake.set()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _live(self) -> None:
        await self._pods.synced.wait()
        await self._nodes.synced.wait()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(30.0, self._seconds("scaleDown", UNNEEDED) + 1))
                await asyncio.sleep(0.5 + self._seconds("scaleUp", 0))  # more pods come together; then a machine's time to boot
            self._wake.clear()
            for name, count in self.wanted(time.monotonic()).items():
                await self._resize(name, count)

    def wanted(self, now: float) -> dict[str, int]:
        """Counts that the pools should have, for those that should change (`now` in seconds, of a clock that only goes forward)."""
        candidates = self._autoscaled()
        sizes = {pool.name: pool.count for pool in candidates}
        waiting = [pod for pod in self._pods.objects.values() if is_unschedulable(pod)]
        nodes = self._present()
        for pod in waiting:
            place = next((node for node in nodes if node.takes(pod)), None)
            for pool in candidates if place is None else []:
                fresh = _fresh(self._site, pool)
                if sizes[pool.name] < pool.max and fresh.takes(pod):
                    sizes[pool.name] += 1
                    nodes.append(place := fresh)
                    break
            if place is not None:
                place.place(pod)
        if not waiting:
            for pool in candidates:
                sizes[pool.name] = max(pool.min, pool.count - self._unneeded(pool.name, now))
        for pool in candidates:
            sizes[pool.name] = max(sizes[pool.name], pool.min)
        return {pool.name: sizes[pool.name] for pool in candidates if sizes[pool.name] != pool.count}

    def busy(self) -> set[str]:
        """Nodes that something runs on."""
        return {
            pod["spec"]["nodeName"] for pod in self._pods.objects.values() if pod["spec"].get("nodeName") and not is_over(pod) and not _is_daemon(pod)
        }

    def _unneeded(self, pool: str, now: float) -> int:
        busy = self.busy()
        own = {
            name
            for node in self._nodes.objects.values()
            if node["metadata"]["labels"].get("agentpool") == pool and (name := node["metadata"]["name"])
        }
        for name in own & busy:
            self._empty_since.pop(name, None)
        return sum(now - self._empty_since.setdefault(name, now) >= self._seconds("scaleDown", UNNEEDED) for name in own - busy)

    def _present(self) -> list[_Node]:
        found = {}
        for node in self._nodes.objects.values():
            spec, status = node["spec"], node["status"]
            lasting = [taint for taint in spec.get("taints", []) if not taint["key"].startswith("node.kubernetes.io/not-ready")]
            free = {name: amount(status["allocatable"].get(name, "0")) for name in RESOURCES}
            found[node["metadata"]["name"]] = _Node(node["metadata"]["labels"], lasting, free, spec.get("unschedulable", False))
        for pod in self._pods.objects.values():
            if (name := pod["spec"].get("nodeName")) in found and not is_over(pod):
                found[name].place(pod)
        return list(found.values())


def _fresh(site: Site, pool: Pool) -> _Node:
    node = pools.manifest(site, pool, [])
    free = {name: amount(node["status"]["allocatable"][name]) for name in RESOURCES}
    return _Node(node["metadata"]["labels"], node["spec"]["taints"], free)


def is_unschedulable(pod: Object) -> bool:
    """Whether the scheduler has found no node for it."""
    conditions = pod.get("status", {}).get("conditions", [])
    refused = any(c["type"] == "PodScheduled" and c["status"] == "False" and c.get("reason") == "Unschedulable" for c in conditions)
    return refused and not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]


def is_over(pod: Object) -> bool:
    """Whether it has ended."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def amount(text: str) -> float:
    """A quantity as a number: 500m -> 0.5, 2Gi -> 2147483648. Raises ValueError."""
    found = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)", str(text))
    if not found or found[2] not in UNITS:
        raise ValueError(f"{text} is not a quantity")
    return float(found[1]) * UNITS[found[2]]


def requests(pod: Object) -> Amounts:
    """What a pod asks for: the sum of its containers, or its greatest init container where that is more."""
    spec = pod["spec"]

    def of(container: Object, name: str) -> float:
        return amount(container.get("resources", {}).get("requests", {}).get(name, "0"))

    needs = {
        name: max(sum(of(c, name) for c in spec["containers"]), max((of(c, name) for c in spec.get("initContainers", [])), default=0))
        for name in ("cpu", "memory")
    }
    return {**needs, "pods": 1}


def tolerates(pod: Object, taints: t.Sequence[Object]) -> bool:
    """Whether no taint keeps the pod away."""
    tolerations = pod["spec"].get("tolerations", [])

    def tolerated(taint: Object) -> bool:
        return any(
            (not toleration.get("effect") or toleration["effect"] == taint["effect"])
            and (not toleration.get("key") or toleration["key"] == taint["key"])
            and (toleration.get("operator", "Equal") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
            for toleration in tolerations
        )

    return all(tolerated(taint) for taint in taints if taint["effect"] != "PreferNoSchedule")


def selects(pod: Object, labels: t.Mapping[str, str]) -> bool:
    """Whether node selector and required node affinity fit."""
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    terms = [term.get("matchExpressions", []) for term in required["nodeSelectorTerms"]]
    return any(all(_matches(expression, labels) for expression in term) for term in terms)


def _matches(expression: Object, labels: t.Mapping[str, str]) -> bool:
    key, values, present = expression["key"], expression.get("values", []), expression["key"] in labels
    return {
        "In": present and labels.get(key) in values,
        "NotIn": not present or labels.get(key) not in values,
        "Exists": present,
        "DoesNotExist": not present,
    }.get(expression["operator"], False)


def _is_daemon(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))
