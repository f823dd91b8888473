"""What `cloud-emulator up` runs in the background: the proxy, the applications behind it and the backends, in one asyncio process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pathlib
import signal
import sys
import typing as t

from . import control, faults, proxy
from .azure import blob, entra, graph, management
from .azure.arm.manager import ResourceManager
from .azure.container_service_access import ClusterAccess
from .backends.azurite import AzuriteBackend
from .backends.kubernetes import KubernetesBackend
from .backends.postgresql import PostgresqlBackend
from .certificates import write_secret
from .emulator import Emulator
from .har import Traffic
from .processes import start_time

PID_FILE = "daemon.json"
log = logging.getLogger(__name__)


class Part(t.Protocol):
    """Something with a life of its own; what it does not stop here comes back with the next `up`."""

    async def stop(self) -> None:
        """Leave nothing running."""


class Daemon:
    """One running emulator."""

    def __init__(self, state: pathlib.Path) -> None:
        self.emulator = Emulator.open(state)
        self.stopping = asyncio.Event()
        self._ready = asyncio.Event()

    async def run(self, ready: t.Callable[[], None]) -> None:
        """Live until SIGTERM; `ready` is called once everything answers."""
        emulator = self.emulator
        await asyncio.to_thread(emulator.processes.sweep)  # what an emulator that was killed has left
        port = emulator.allot_port("proxy")
        emulator.proxy_url = f"http://127.0.0.1:{port}"
        emulator.postgresql = PostgresqlBackend(emulator)
        emulator.azurite = AzuriteBackend(emulator)
        emulator.kubernetes = KubernetesBackend(emulator, ClusterAccess(emulator))
        resource_manager = management.app(emulator)
        apps: dict[str, proxy.App] = {
            "management.azure.com": resource_manager,
            "graph.microsoft.com": graph.app(emulator),
            **dict.fromkeys(entra.HOSTS, entra.app(emulator)),
        }
        router = proxy.Router(emulator, apps, {"*.blob.core.windows.net": blob.Blobs(emulator)}, Traffic(emulator.state / "traffic.jsonl"))
        master = proxy.make_master(emulator, router, port)
        serving = asyncio.create_task(master.run())
        server = await control.serve(emulator.state, self._handlers())
        record = {"pid": os.getpid(), "started": start_time(os.getpid()), "proxy": emulator.proxy_url}
        write_secret(emulator.state / PID_FILE, json.dumps(record).encode())
        starting = asyncio.create_task(self._start(router.listening(master), resource_manager.state.manager))
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait([starting, stopped, serving], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._ready.set()
                ready()
                await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.close()
            starting.cancel()
            await self._stop(resource_manager.state.manager, emulator.kubernetes)  # their pods use the other two
            await self._stop(emulator.postgresql, emulator.azurite)
            master.shutdown()
            await asyncio.wait([serving], timeout=5)
            await asyncio.to_thread(emulator.processes.sweep)
            (emulator.state / PID_FILE).unlink(missing_ok=True)
            (emulator.state / control.NAME).unlink(missing_ok=True)
            emulator.store.close()

    async def _start(self, listening: t.Awaitable[None], manager: ResourceManager) -> None:
        """Bring everything back that the state says exists."""
        emulator = self.emulator
        await listening
        await asyncio.gather(emulator.postgresql.start(), emulator.azurite.start(), emulator.kubernetes.start())
        await manager.start()  # carries on with what was in progress, on backends that run

    async def _stop(self, *parts: Part) -> None:
        """Stop parts side by side; what fails is logged, and ended by the sweep that follows."""
        results = await asyncio.gather(*(part.stop() for part in parts), return_exceptions=True)
        for part, result in zip(parts, results, strict=True):
            if isinstance(result, BaseException):
                log.error("%s did not stop", type(part).__name__, exc_info=result)

    # What the command line asks for --------------------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, control.Handler]:
        return {"ready": self._wait, "status": self._status, "settings": self._settings, "faults": self._faults}

    async def _wait(self, message: dict[str, t.Any]) -> None:
        await self._ready.wait()

    async def _status(self, message: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"processes": self.emulator.processes.running()}

    async def _settings(self, message: dict[str, t.Any]) -> dict[str, t.Any]:
        self.emulator.settings.update(message["changes"])
        await self.emulator.kubernetes.settings_changed()
        return self.emulator.settings.all()

    async def _faults(self, message: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        return faults.change(self.emulator.faults, message["action"], message.get("text", ""))


def main() -> None:
    """`python -m cloud_emulator.daemon STATE READY_FD`, as `up` starts it: a line of JSON on the descriptor says how it went."""
    state, ready_descriptor = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("mitmproxy", "azure", "hpack", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)

    async def live() -> None:
        daemon = Daemon(state)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, daemon.stopping.set)

        def ready() -> None:
            os.write(ready_descriptor, b"ready\n")
            os.close(ready_descriptor)

        await daemon.run(ready)

    asyncio.run(live())


if __name__ == "__main__":
    main()
