"""The pods that are really run: those whose image's programs are there, as processes with all that a kubelet would do for them.

Also pods whose image no registry has: they wait with ImagePullBackOff. All other pods are kwok's.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import typing as t

from .control_plane import ControlPlane
from .kubernetes_api import Api, Informer, Object, key_of
from .pods.machine import Machine, missing_images
from .pods.pod import LocalPod, cluster_ip
from .stages import RUN_IMAGES

if t.TYPE_CHECKING:
    from ..emulator import Emulator

log = logging.getLogger(__name__)


class Workloads:
    """The local pods of one cluster."""

    def __init__(self, emulator: Emulator, api: Api, control_plane: ControlPlane, nodes: Informer, pods: t.Mapping[str, Object]) -> None:
        self._api, self._nodes, self._all = api, nodes, pods
        self._machine = Machine(emulator, api, control_plane)
        self._emulator = emulator
        self._pods: dict[str, LocalPod] = {}  # by uid
        self._ips: dict[str, str] = {}  # address in the cluster, by uid, of pods that may not have told it yet
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    def pod_changed(self, pod: Object, gone: bool) -> None:
        """To be told of every change of a pod."""
        uid = pod["metadata"]["uid"]
        if self._stopped or not self._is_ours(pod):
            return
        if gone:
            self._ips.pop(uid, None)
            if (known := self._pods.pop(uid, None)) is not None:
                self._later(known.gone())
            else:
                self._later(asyncio.to_thread(self.clean, list(self._all.values())))
        elif uid in self._pods:
            self._pods[uid].update(pod)
        elif (node := pod["spec"].get("nodeName")) and not self._is_over(pod):
            if f"/{node}" not in self._nodes.objects:  # so new that it has not been told of yet
                asyncio.get_running_loop().call_later(0.2, self._again, pod)
                return
            self._pods[uid] = self._make(pod)
            self._pods[uid].update(pod)
        elif "deletionTimestamp" in pod["metadata"] and pod["spec"].get("nodeName"):
            self._later(self._release(pod))

    def clean(self, pods: t.Iterable[Object]) -> None:
        """Remove what is left of pods that went while the emulator was down; `pods` are all that exist."""
        present = {pod["metadata"]["uid"] for pod in pods}
        names = {f"{pod['metadata']['namespace']}_{pod['metadata']['name']}.json" for pod in pods}
        for path in self._machine.pods.iterdir():
            if path.is_dir() and path.name not in present:
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == ".json" and path.name not in names:
                path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """End all processes; the pods stay in the API as they are and run again after the next start."""
        self._stopped = True
        pods, self._pods = list(self._pods.values()), {}
        await asyncio.gather(*(pod.stop() for pod in pods), *self._tasks, return_exceptions=True)

    def _make(self, pod: Object) -> LocalPod:
        node = self._nodes.objects[f"/{pod['spec']['nodeName']}"]
        host_ip = next(address["address"] for address in node["status"]["addresses"] if address["type"] == "InternalIP")
        own = pod.get("status", {}).get("podIP") or cluster_ip(node, self._ips.values())
        self._ips[pod["metadata"]["uid"]] = own
        return LocalPod(self._machine, pod, own, host_ip)

    def _again(self, pod: Object) -> None:
        current = self._all.get(key_of(pod))
        if current is not None and current["metadata"]["uid"] not in self._pods:
            self.pod_changed(current, False)

    async def _release(self, pod: Object) -> None:
        """Let a pod go that has ended long ago and is being deleted."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        await self._api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def _is_ours(self, pod: Object) -> bool:
        containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
        patterns = (*RUN_IMAGES, *missing_images(self._emulator))  # as kwok is told
        return any(pattern in container["image"] for container in containers for pattern in patterns)

    @staticmethod
    def _is_over(pod: Object) -> bool:
        return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")

    def _later(self, work: t.Coroutine[t.Any, t.Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
