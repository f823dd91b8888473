"""One container: its process from start to end, its probes, and starting again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import typing as t

from ..kubernetes_api import Object
from . import commands, environment
from .errors import ConfigurationError
from .files import localise
from .logs import Log
from .probes import Judge, probe
from .status import ContainerStatus, now, running, terminated, waiting

if t.TYPE_CHECKING:
    from .pod import LocalPod

RETRY = 5.0  # seconds until a missing Secret or image is looked for again
BACK_OFF, LONGEST_BACK_OFF, FORGIVEN_AFTER = 10.0, 300.0, 600.0  # of crashing containers, as a kubelet has it
EAGER = 0.25  # seconds between tries of a probe that has not succeeded yet; the thresholds count in the probe's own period


class Container:
    """A container of a pod that runs here. `field` is where events say it is: containers or initContainers."""

    def __init__(self, pod: LocalPod, spec: Object, field: str) -> None:
        self.pod, self.spec = pod, spec
        self.name: str = spec["name"]
        self._field = f"spec.{field}{{{self.name}}}"
        self.status = ContainerStatus(self.name, spec["image"])
        self.log: Log | None = None
        self.previous: str = ""  # path of the log before this one
        self.paths: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._environment: dict[str, str] = {}
        self._stopping = False
        self._released = asyncio.Event()  # a container without a process may end
        self.up = asyncio.Event()  # it runs, and its startup probe has succeeded

    @property
    def pid(self) -> int:
        """The process' number; 0 when none runs."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    async def live(self, policy: str) -> None:
        """Run until nothing more is to be done by the restart policy (Always, OnFailure, Never)."""
        delay = 0.0
        while not self._stopping:
            began = time.monotonic()
            code = await self._run()
            if policy == "Never" or (policy == "OnFailure" and code == 0) or self._stopping:
                return
            if time.monotonic() - began > FORGIVEN_AFTER:
                delay = 0.0
            self.status.last_state = self.status.state
            if delay:
                await self._back_off(delay)
            delay = min(LONGEST_BACK_OFF, delay * 2) if delay else self.pod.machine.duration("crashLoopBackOff", BACK_OFF)
            self.status.restarts += 1

    async def stop(self, grace: float, reason: str = "") -> None:
        """End the process, killing it after `grace` seconds; with a reason (an event's message) it is started again by its policy."""
        if not reason:
            self._stopping = True
            self._released.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._event("Normal", "Killing", reason or f"Stopping container {self.name}")
        if not reason:
            await self._pre_stop(grace)
        self._signal(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), max(grace, 0.1))
        except TimeoutError:
            self._signal(process.pid, signal.SIGKILL)
            await process.wait()

    def kill(self) -> None:
        """End the process at once."""
        self._stopping = True
        self._released.set()
        if self.pid:
            self._signal(self.pid, signal.SIGKILL)

    # The process --------------------------------------------------------------------------------------------------------------------------

    async def _run(self) -> int:
        """Start the process once everything it needs is there, and see it through. Returns its exit code."""
        command = await self._prepare()
        if not commands.is_run(self.spec["image"]):
            return await self._pretend()
        log = self._open_log()
        since = now()
        try:
            name, cwd = f"pod/{self.pod.uid}/{self.name}", self._working_folder()
            self._process = process = await self.pod.machine.processes.start(
                name, *command, env=self._environment, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            message = f'exec: "{command[0]}": {error.strerror or error}'
            self.status.state = terminated(128, since, "StartError", f"failed to create containerd task: failed to create shim task: {message}")
            self._event("Warning", "Failed", f"Error: failed to create containerd task: failed to create shim task: {message}")
            log.close()
            self.pod.changed()
            return 128
        self._event("Normal", "Started", f"Started container {self.name}")
        self.status.state, self.status.started = running(since), "startupProbe" not in self.spec
        self.status.ready = self.status.started and "readinessProbe" not in self.spec
        self.pod.changed()
        watching = [asyncio.create_task(self._watch())]
        reading = [
            asyncio.create_task(log.follow(t.cast(asyncio.StreamReader, stream), name))
            for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr"))
        ]
        try:
            code = await process.wait()
        finally:
            for task in watching:
                task.cancel()
            self._signal(process.pid, signal.SIGKILL)  # children that it left behind
            await asyncio.wait(reading, timeout=2)
            for task in reading:
                task.cancel()
            log.close()
        await self.pod.machine.processes.stop(name)
        self.up.clear()
        message = "\n".join(log.last)[-2048:] if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" else ""
        self.status.state = terminated(code, since, message=message)
        self.status.ready = self.status.started = False
        self.pod.changed()
        return code

    async def _pretend(self) -> int:
        """A container of another image beside those that are run: as kwok's, it is ready at once, and an init container ends at once."""
        since = now()
        self._event("Normal", "Started", f"Started container {self.name}")
        lasts = self._field.startswith("spec.containers") or self.spec.get("restartPolicy") == "Always"
        self.status.state = running(since) if lasts else terminated(0, since)
        self.status.ready = self.status.started = lasts
        self.pod.changed()
        if lasts:
            self.up.set()
            await self._released.wait()
            self.status.state = terminated(0, since)
            self.status.ready = self.status.started = False
            self.pod.changed()
        return 0

    async def _prepare(self) -> list[str]:
        """The command to run here. Waits, saying so, for as long as image, Secrets or ConfigMaps are missing."""
        while True:
            image = self.spec["image"]
            try:
                if self.pod.machine.is_missing(image):
                    await self._no_image(image)
                    continue
                self._check_user()
                resolved = await environment.resolve(self.pod.machine.api, self.pod.object, self.spec)
                break
            except ConfigurationError as error:
                self._wait("CreateContainerConfigError", error.message)
                self._event("Warning", "Failed", f"Error: {error.message}")
                await asyncio.sleep(RETRY)
        self._event("Normal", "Pulled", f'Container image "{image}" already present on machine')
        self._event("Normal", "Created", f"Created container: {self.name}")
        self.paths = self.pod.volumes.paths(self.spec)
        words = [environment.expand(word, resolved) for word in [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]]
        local = {name: localise(value, self.paths) for name, value in resolved.items()}
        forced = self.pod.machine.forced_environment(self.spec, self.pod.ip, [*resolved.values(), *words])
        self._environment = {**commands.environment(), **self.pod.machine.environment(self.pod.ip), **self.pod.own_environment(), **local, **forced}
        return commands.command(self.spec, words, self.paths)

    async def _no_image(self, image: str) -> None:
        message = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
        error = f"rpc error: code = NotFound desc = {message}"
        self._event("Normal", "Pulling", f'Pulling image "{image}"')
        self._event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
        self._event("Warning", "Failed", "Error: ErrImagePull")
        self._wait("ErrImagePull", error)
        await asyncio.sleep(RETRY)
        self._event("Normal", "BackOff", f'Back-off pulling image "{image}"')
        self._event("Warning", "Failed", "Error: ImagePullBackOff")
        self._wait("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {error}')
        await asyncio.sleep(2 * RETRY)

    async def _back_off(self, delay: float) -> None:
        name = f"{self.pod.name}_{self.pod.namespace}({self.pod.uid})"
        self._wait("CrashLoopBackOff", f"back-off {delay:.0f}s restarting failed container={self.name} pod={name}")
        self._event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {name}")
        await asyncio.sleep(delay)

    def _check_user(self) -> None:
        """The metadata service's image says no user: it is root's unless the pod says another one."""
        context = {**(self.pod.object["spec"].get("securityContext") or {}), **(self.spec.get("securityContext") or {})}
        image = self.spec["image"]
        if context.get("runAsNonRoot") and not context.get("runAsUser") and commands.is_run(image) and not commands.is_ui(image):
            name = f'pod: "{self.pod.name}_{self.pod.namespace}({self.pod.uid})", container: {self.name}'
            raise ConfigurationError(f"container has runAsNonRoot and image will run as root ({name})")

    def _open_log(self) -> Log:
        if self.log is not None:
            self.previous = str(self.log.path)
        self.log = Log(self.pod.folder / self.name / f"{self.status.restarts}.log")
        return self.log

    def _working_folder(self) -> str:
        folder = self.pod.folder / "root"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = localise(self.spec.get("workingDir", ""), self.paths)
        return wanted if wanted and os.path.isdir(wanted) else str(folder)

    # Probes and hooks ---------------------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        if spec := self.spec.get("startupProbe"):
            async for result in self._results("Startup", spec):
                if result is False:
                    await self.stop(self._grace(spec), f"Container {self.name} failed startup probe, will be restarted")
                    return
                if result:
                    break
        self.status.started = True
        self.up.set()
        self.status.ready = self.status.ready or "readinessProbe" not in self.spec
        self.pod.changed()
        await asyncio.gather(self._readiness(), self._liveness())

    async def _readiness(self) -> None:
        if (spec := self.spec.get("readinessProbe")) is None:
            return
        async for result in self._results("Readiness", spec):
            if result is not None and result != self.status.ready:
                self.status.ready = result
                self.pod.changed()

    async def _liveness(self) -> None:
        if (spec := self.spec.get("livenessProbe")) is None:
            return
        async for result in self._results("Liveness", spec):
            if result is False:
                await self.stop(self._grace(spec), f"Container {self.name} failed liveness probe, will be restarted")
                return

    async def _results(self, kind: str, spec: Object) -> t.AsyncIterator[bool | None]:
        """What the probe's results mean, one after the other."""
        await asyncio.sleep(float(spec.get("initialDelaySeconds", 0)))
        judge, period = Judge.of(spec), float(spec.get("periodSeconds", 10))
        counted = time.monotonic()
        while True:
            success, message = await probe(spec, self.spec, self.pod.ip, self._execute)
            due = time.monotonic() - counted >= period
            if success or due or kind == "Liveness":
                counted = time.monotonic()
                if not success:
                    self._event("Warning", "Unhealthy", f"{kind} probe failed: {message}")
                yield judge.add(success)
            await asyncio.sleep(min(period, EAGER) if kind != "Liveness" and judge.result is not True else period)

    async def _execute(self, words: list[str], timeout: float) -> tuple[int, str]:
        command = commands.command(self.spec, words, self.paths)
        pipe, both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        try:
            process = await asyncio.create_subprocess_exec(*command, env=self._environment, cwd=self._working_folder(), stdout=pipe, stderr=both)
        except OSError as error:
            return 126, str(error)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), timeout)
        except TimeoutError:
            process.kill()
            return 1, f'command timed out: "{" ".join(words)}" timed out after {timeout:.0f}s'
        return process.returncode or 0, output.decode(errors="replace").strip()

    async def _pre_stop(self, grace: float) -> None:
        hook = self.spec.get("lifecycle", {}).get("preStop", {})
        if "exec" in hook:
            await self._execute(hook["exec"]["command"], max(grace, 1))
        elif "sleep" in hook:
            await asyncio.sleep(min(hook["sleep"]["seconds"], grace))

    def _grace(self, spec: Object) -> float:
        return float(spec.get("terminationGracePeriodSeconds", self.pod.object["spec"].get("terminationGracePeriodSeconds", 30)))

    # ------------------------------------------------------------------------------------------------------------------------------------------

    def _wait(self, reason: str, message: str) -> None:
        self.status.state = waiting(reason, message)
        self.pod.changed()

    def _event(self, kind: str, reason: str, message: str) -> None:
        self.pod.reporter.event(kind, reason, message, self._field)

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
