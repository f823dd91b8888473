"""The processes that the emulator starts, recorded so that none is left behind, even when the emulator itself was killed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import signal
import time
import typing as t

from .store import Store

OWNER = "CLOUD_EMULATOR_OWNER"  # in the environment of every process that the emulator starts, and so of their children


@dataclasses.dataclass(frozen=True)
class Identity:
    """A process, told from a later one that was given the same number by the time it started (clock ticks since boot)."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started


class Processes:
    """Children of the emulator: started with a mark in their environment, recorded, stopped by their own number."""

    def __init__(self, store: Store, state: pathlib.Path) -> None:
        self._store = store
        self._state = str(state)

    @property
    def environment(self) -> dict[str, str]:
        """What must be in the environment of a process that is started in another way than by `start` (kwokctl's children, say)."""
        return {OWNER: self._state}

    async def start(
        self, name: str, *command: str, env: t.Mapping[str, str] | None = None, log: pathlib.Path | None = None, **options: t.Any
    ) -> asyncio.subprocess.Process:
        """Start a process in a session of its own and record it as `name`.

        Its output goes to `log`; `options` (cwd, user, stdout, stop_signal …) are those of `asyncio.create_subprocess_exec`, but for
        `stop_signal`, the signal that ends it in order (SIGTERM).
        """
        stop_signal = options.pop("stop_signal", signal.SIGTERM)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else None
        try:
            if descriptor is not None:
                options |= {"stdout": descriptor, "stderr": descriptor}
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**(os.environ if env is None else env), **self.environment},
                stdin=options.pop("stdin", asyncio.subprocess.DEVNULL),
                start_new_session=True,
                **options,
            )
        finally:
            if descriptor is not None:
                os.close(descriptor)
        self.record(name, process.pid, stop_signal)
        return process

    def record(self, name: str, pid: int, stop_signal: int = signal.SIGTERM) -> None:
        """Remember a process that something else started for the emulator."""
        self._store.put("processes", name, {"pid": pid, "started": start_time(pid), "signal": int(stop_signal)})

    async def stop(self, name: str, timeout: float = 20) -> None:
        """End the process recorded as `name`, killing it after `timeout` seconds, and forget it. Does nothing where there is none."""
        await asyncio.to_thread(self.end, name, timeout)

    def end(self, name: str, timeout: float = 20) -> None:
        """As `stop`, for callers outside of the event loop."""
        record = self._store.get("processes", name)
        if record is None:
            return
        if record["started"] is not None:
            _end([Identity(record["pid"], record["started"])], record["signal"], timeout)
        self._store.delete("processes", name)

    def running(self) -> list[dict[str, t.Any]]:
        """The recorded processes that live: name, pid."""
        records = self._store.items("processes")
        return [{"name": name, "pid": r["pid"]} for name, r in records if r["started"] is not None and start_time(r["pid"]) == r["started"]]

    def sweep(self, timeout: float = 20) -> None:
        """End everything recorded, then everything else that carries this emulator's mark (but for the calling process)."""
        records = [record for _, record in self._store.items("processes") if record["started"] is not None]
        for number in {record["signal"] for record in records}:
            _end([Identity(r["pid"], r["started"]) for r in records if r["signal"] == number], number, timeout)
        _end(self._marked(), signal.SIGTERM, timeout)
        for name, _ in self._store.items("processes"):
            self._store.delete("processes", name)

    def _marked(self) -> list[Identity]:
        mark = f"{OWNER}={self._state}".encode()
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(Identity(int(folder.name), start_time(int(folder.name)) or 0))
            except OSError:  # gone meanwhile, or another user's
                continue
        return [identity for identity in found if identity.pid != os.getpid() and identity.is_alive]


def start_time(pid: int) -> int | None:
    """When a process started (clock ticks since boot), or None where it does not run (any more)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _end(identities: list[Identity], number: int, timeout: float) -> None:
    for sent, patience in ((number, timeout), (signal.SIGKILL, 5.0)):
        identities = [identity for identity in identities if identity.is_alive]
        for identity in identities:
            try:
                os.kill(identity.pid, sent)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while any(identity.is_alive for identity in identities) and time.monotonic() < deadline:
            time.sleep(0.05)
