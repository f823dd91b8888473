"""A pod that runs on this machine, from its binding to a node until it is deleted."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import shutil
import typing as t

from ...certificates import write_secret
from ..kubernetes_api import Object
from . import commands
from .container import Container
from .errors import MountError
from .files import Volumes
from .machine import Machine
from .reporter import Reporter
from .status import ContainerStatus, now, pod_status, terminated, waiting

log = logging.getLogger(__name__)
REFRESH = 60.0  # seconds between looks at what volumes hold, as a kubelet does it
RETRY = 2.0  # seconds until missing volumes are looked for again


class LocalPod:
    """One pod. It begins to run at once; `stop` and `terminate` end it."""

    def __init__(self, machine: Machine, pod: Object, cluster_ip: str, host_ip: str) -> None:
        self.machine, self.object = machine, pod
        metadata = pod["metadata"]
        self.name, self.namespace, self.uid = metadata["name"], metadata["namespace"], metadata["uid"]
        self.folder = machine.pods / self.uid
        self.ip = machine.allot_ip(pod)  # the address that its processes listen on
        self.volumes = Volumes(machine.api, pod, self.folder / "volumes")
        self._description = machine.pods / f"{self.namespace}_{self.name}.json"
        self._cluster_ip, self._host_ip = cluster_ip, host_ip  # the addresses that the API shows
        self._start = pod.get("status", {}).get("startTime") or now()
        self.inits = [Container(self, spec, "initContainers") for spec in pod["spec"].get("initContainers", [])]
        self.mains = [Container(self, spec, "containers") for spec in pod["spec"]["containers"]]
        if not self.inits:
            for container in self.mains:
                container.status.state = waiting("ContainerCreating")
        self._recall()
        self.reporter = Reporter(machine.api, pod, self._status)
        self._ending = False
        self._live = asyncio.create_task(self._run())
        self._sidecars: list[asyncio.Task[None]] = []
        self._ended: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Something is different about a container."""
        self._describe()
        self.reporter.changed()

    def update(self, pod: Object) -> None:
        """The API server has another version of the pod; one that is to be deleted is ended."""
        self.object = pod
        if "deletionTimestamp" in pod["metadata"] and self._ended is None:
            self._ended = asyncio.create_task(self._terminate(float(pod["metadata"].get("deletionGracePeriodSeconds", 30))))

    def own_environment(self) -> dict[str, str]:
        """Folders that are the image's own in a real container, and the host name."""
        for name in ("root", "tmp"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        return {"HOME": str(self.folder / "root"), "TMPDIR": str(self.folder / "tmp"), "HOSTNAME": self.name}

    async def stop(self) -> None:
        """End the processes because the emulator goes down: the pod stays as it is in the API, its logs stay, its Secrets don't."""
        self._ending = True
        await asyncio.gather(*(container.stop(3) for container in [*self.mains, *self.inits]))
        await self._finish()
        self._describe()
        shutil.rmtree(self.folder / "volumes", ignore_errors=True)

    async def gone(self) -> None:
        """The pod is not in the API any more: end what still runs, keep nothing."""
        self._ending = True
        for container in [*self.mains, *self.inits]:
            container.kill()
        await self._finish()
        self._description.unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, self.folder, True)

    # Life -----------------------------------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            if all(status.exit_code is not None for status in self._statuses(self.mains)):  # a pod that ended when the emulator went down
                self.changed()
                return
            self.reporter.changed()
            await self._mount()
            policy = self.object["spec"].get("restartPolicy", "Always")
            for init in self.inits:
                if not await self._initialise(init, "Never" if policy == "Never" else "OnFailure"):
                    return
            for container in self.mains:
                container.status.state = waiting("ContainerCreating")
            refreshing = asyncio.create_task(self._refresh())
            try:
                await asyncio.gather(*(container.live(policy) for container in self.mains))
            finally:
                refreshing.cancel()
            if not self._ending:
                await asyncio.gather(*(init.stop(30) for init in self.inits))
                shutil.rmtree(self.folder / "volumes", ignore_errors=True)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("pod %s/%s", self.namespace, self.name)

    async def _initialise(self, init: Container, policy: str) -> bool:
        """Run an init container to its end, or a sidecar until it is up. False where the pod has failed by it."""
        if init.spec.get("restartPolicy") == "Always":
            self._sidecars.append(asyncio.create_task(init.live("Always")))
            await init.up.wait()
            return True
        await init.live(policy)
        init.status.ready = init.status.exit_code == 0
        self.changed()
        return init.status.exit_code == 0

    async def _mount(self) -> None:
        told = ""
        while True:
            try:
                await self.volumes.update()
                return
            except MountError as error:
                if error.message != told:
                    self.reporter.event("Warning", "FailedMount", error.message)
                told = error.message
                await asyncio.sleep(RETRY)

    async def _refresh(self) -> None:
        """Keep tokens fresh, and Secrets and ConfigMaps as they are in the API."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.volumes.update()
            except MountError as error:
                self.reporter.event("Warning", "FailedMount", error.message)
            except Exception:
                log.exception("volumes of pod %s/%s", self.namespace, self.name)

    async def _terminate(self, grace: float) -> None:
        """End the containers within the grace period, main ones first, then tell the API server that the pod may go."""
        self._ending = True
        await asyncio.gather(*(container.stop(grace) for container in self.mains))
        await asyncio.gather(*(container.stop(grace) for container in self.inits))
        await asyncio.wait([self._live], timeout=1)  # a container that waits for something is left to _finish
        await self.reporter.flush()
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        await self.machine.api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}})

    async def _finish(self) -> None:
        for task in [self._live, *self._sidecars]:
            task.cancel()
        await asyncio.gather(self._live, *self._sidecars, return_exceptions=True)
        if self._ended is not None and self._ended is not asyncio.current_task():
            self._ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ended
        await self.reporter.stop()
        self.machine.free_ip(self.ip)

    # What others are told -------------------------------------------------------------------------------------------------------------------------

    def _statuses(self, containers: t.Sequence[Container]) -> list[ContainerStatus]:
        return [container.status for container in containers]

    def _status(self) -> Object:
        inits, mains = self._statuses(self.inits), self._statuses(self.mains)
        return pod_status(self.object, inits, mains, ip=self._cluster_ip, host_ip=self._host_ip, start=self._start)

    def _recall(self) -> None:
        """Go on from what the API says of a pod that ran before the emulator went down: its containers were lost, as when a machine reboots."""
        known = self.object.get("status", {})
        policy = self.object["spec"].get("restartPolicy", "Always")
        before = {item["name"]: item for item in [*known.get("containerStatuses", []), *known.get("initContainerStatuses", [])]}
        for container in [*self.inits, *self.mains]:
            old = before.get(container.name)
            if old is None:
                continue
            container.status.restarts, container.status.last_state = old["restartCount"], old.get("lastState", {})
            if "running" in old["state"]:
                lost = terminated(255, old["state"]["running"]["startedAt"], "Unknown")
                if policy == "Never" and container in self.mains:
                    container.status.state = lost
                else:
                    container.status.last_state = lost
                    container.status.restarts += 1
            elif "terminated" in old["state"] and policy == "Never" and container in self.mains:
                container.status.state = old["state"]

    def _describe(self) -> None:
        """Write what our kubelet reads. Nothing of it is secret: the environment is read from the process itself."""
        containers = {
            container.name: {
                "log": str(container.log.path),
                "previous": container.previous,
                "pid": container.pid,
                "dir": str(self.folder / "root"),
                "paths": {**container.paths, **commands.PROGRAMS},
            }
            for container in [*self.inits, *self.mains]
            if container.log is not None
        }
        content = {"uid": self.uid, "address": self.ip, "containers": containers}
        write_secret(self._description, json.dumps(content).encode())


def cluster_ip(node: Object, taken: t.Container[str]) -> str:
    """A pod address out of the node's range, from its end: kwok takes them from the beginning."""
    network = ipaddress.ip_network(node["spec"]["podCIDR"])
    return next(ip for number in range(2, network.num_addresses - 1) if (ip := str(network[-number])) not in taken)
