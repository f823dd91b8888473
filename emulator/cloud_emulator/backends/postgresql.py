"""A real PostgreSQL server for each Flexible Server.

Whatever version was asked for, the server is the one that npm's package brings (18); the API tells the version that was asked for.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import hashlib
import pathlib
import shutil
import signal
import time
import typing as t

import psycopg2
from psycopg2 import errors

from . import address
from . import postgresql_sql as sql
from .account import unprivileged
from .address import Address
from .postgresql_cluster import Cluster

if t.TYPE_CHECKING:
    from ..emulator import Emulator

PORT = 5432
COLLECTION = "postgresql"
READY_WITHIN = 60.0  # seconds for a server to answer after its start


@dataclasses.dataclass
class Server:
    """What is kept of a server."""

    hostname: str
    ip: str
    version: str
    running: bool = True
    tls_only: bool = True
    collations: dict[str, str] = dataclasses.field(default_factory=dict)  # database -> collation as it was asked for


class PostgresqlBackend:
    """The servers, by key (the resource's id in lower case).

    Every method raises KeyError for a key that was not created, and ValueError for what PostgreSQL refuses.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._sockets: dict[str, pathlib.Path] = {}
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Start every server that ran when the emulator went down."""
        await asyncio.gather(*(self._up(key) for key, value in self._emulator.store.items(COLLECTION) if value["running"]))

    async def stop(self) -> None:
        """Stop every server; they come back with `start`."""
        await asyncio.gather(*(self._down(key) for key, _ in self._emulator.store.items(COLLECTION)))

    async def create(self, key: str, *, hostname: str, administrator: str, password: str, version: str) -> Address:
        """Make a server and its administrator, and start it. A server that is there is started; its administrator stays."""
        async with self._locks[key]:
            if self._emulator.store.get(COLLECTION, key) is None:
                # Kept before the process exists, so that what a crash leaves behind is found again.
                ip = await asyncio.to_thread(self._allot_ip)
                self._put(key, Server(hostname, ip, version))
            await self._up(key)
            await self._run(key, sql.bootstrap, administrator, password)
            return self._address(key)

    async def set_password(self, key: str, administrator: str, password: str) -> None:
        """Set the administrator's password; the administrator is made where it is missing."""
        await self._run(key, sql.set_administrator, administrator, password)

    async def create_database(self, key: str, name: str, charset: str = "UTF8", collation: str = "en_US.utf8", owner: str = sql.ADMIN_GROUP) -> None:
        """Make a database, owned as on Azure by the group whose member the administrator is. Does nothing where it exists.

        Raises ValueError on a character set or collation that PostgreSQL does not know.
        """
        async with self._locks[key]:
            await self._run(key, sql.create_database, name, charset, collation, owner)
            server = self._get(key)
            server.collations.setdefault(name, collation)
            self._put(key, server)

    async def drop_database(self, key: str, name: str) -> None:
        """Drop a database, whoever is connected to it. Does nothing where it is missing; ValueError for the service's own."""
        if name in (*sql.SYSTEM_DATABASES, "postgres"):
            raise ValueError(f"The database '{name}' belongs to the service and cannot be dropped.")
        async with self._locks[key]:
            await self._run(key, sql.drop_database, name)
            server = self._get(key)
            server.collations.pop(name, None)
            self._put(key, server)

    async def databases(self, key: str) -> list[dict[str, str]]:
        """All databases: name, charset, collation."""
        collations = self._get(key).collations
        found = await self._run(key, sql.databases)
        return [{"name": name, "charset": charset, "collation": collations.get(name, "en_US.utf8")} for name, charset in found]

    async def configure(self, key: str, name: str, value: str) -> None:
        """Set a server parameter, at once, restarting the server for those that need it.

        Of the parameters that only Azure knows, require_secure_transport is obeyed and the others have no effect. Raises ValueError on a value that
        PostgreSQL refuses; nothing is changed then.
        """
        async with self._locks[key]:
            server, cluster = self._get(key), self._cluster(key)
            if name == "require_secure_transport":
                server.tls_only = value.lower() in ("on", "true", "1", "yes")
                self._put(key, server)
                await asyncio.to_thread(cluster.authenticate, tls_only=server.tls_only)
                await self._run(key, sql.reload)
                return
            before = cluster.altered.read_bytes()
            if await self._run(key, sql.configure, name, value):
                await self._down(key)
                try:
                    await self._up(key)
                except RuntimeError as error:  # such as more shared memory than the machine has
                    cluster.altered.write_bytes(before)
                    await self._up(key)
                    raise ValueError(str(error)) from error

    async def restart_server(self, key: str) -> None:
        """Stop and start a server."""
        await self.stop_server(key)
        await self.start_server(key)

    async def start_server(self, key: str) -> None:
        """Start a server that was stopped."""
        async with self._locks[key]:
            self._put(key, dataclasses.replace(self._get(key), running=True))
            await self._up(key)

    async def stop_server(self, key: str) -> None:
        """Stop a server; it stays stopped when the emulator comes up again."""
        async with self._locks[key]:
            self._put(key, dataclasses.replace(self._get(key), running=False))
            await self._down(key)

    async def delete(self, key: str) -> None:
        """Stop a server and delete its data. Does nothing where there is none."""
        async with self._locks[key]:
            if self._emulator.store.get(COLLECTION, key) is None:
                return
            await self._down(key)
            await asyncio.to_thread(shutil.rmtree, self._cluster(key).folder, True)
            self._emulator.store.delete(COLLECTION, key)

    def address_of(self, hostname: str) -> Address | None:
        """Where the server with this host name listens, or None where there is none."""
        servers = (Server(**value) for _, value in self._emulator.store.items(COLLECTION))
        return next((Address(server.ip, PORT) for server in servers if server.hostname == hostname.lower()), None)

    async def _up(self, key: str) -> None:
        """Start the process, unless it runs, and wait until it answers."""
        if self._name(key) in {process["name"] for process in self._emulator.processes.running()} and key in self._sockets:
            return
        await self._down(key)  # one that an emulator left behind that was killed
        server, cluster = self._get(key), self._cluster(key)
        ip = await asyncio.to_thread(self._allot_ip, server.ip)
        if ip != server.ip:
            server = dataclasses.replace(server, ip=ip)
            self._put(key, server)
        await asyncio.to_thread(self._prepare, server, cluster)
        self._sockets[key] = cluster.socket_folder()
        command = cluster.command(server.ip, PORT, self._sockets[key])
        process = await self._emulator.processes.start(self._name(key), *command, log=cluster.log, stop_signal=signal.SIGINT)
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                await self._run(key, lambda cursor: None)
                return
            except psycopg2.OperationalError as error:
                if process.returncode is not None or time.monotonic() > deadline:
                    last = "\n".join(cluster.log.read_text(errors="replace").splitlines()[-5:])
                    raise RuntimeError(f"The PostgreSQL server of {server.hostname} did not start: {last or error}") from error
                await asyncio.sleep(0.05)

    async def _down(self, key: str) -> None:
        await self._emulator.processes.stop(self._name(key))
        sockets = self._sockets.pop(key, None)
        if sockets:
            shutil.rmtree(sockets, ignore_errors=True)

    def _prepare(self, server: Server, cluster: Cluster) -> None:
        cluster.make()
        cluster.authenticate(tls_only=server.tls_only)
        cluster.certify(*self._emulator.certificates.issue([server.hostname], [server.ip]))

    async def _run(self, key: str, work: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        """Run `work(cursor, *arguments)` as superuser, in a thread. What PostgreSQL refuses is a ValueError."""
        if key not in self._sockets:
            raise KeyError(f"The PostgreSQL server {key} does not run.")

        def call() -> t.Any:
            connection = psycopg2.connect(host=str(self._sockets[key]), port=PORT, user=sql.SUPERUSER, dbname="postgres", connect_timeout=10)
            with contextlib.closing(connection):
                connection.autocommit = True
                try:
                    with connection.cursor() as cursor:
                        return work(cursor, *arguments)
                except (errors.DataError, errors.ProgrammingError) as error:
                    raise ValueError(error.diag.message_primary or str(error)) from None

        return await asyncio.to_thread(call)

    def _allot_ip(self, preferred: str | None = None) -> str:
        taken = {value["ip"] for _, value in self._emulator.store.items(COLLECTION)}
        return address.allot(PORT, taken, preferred).ip

    def _address(self, key: str) -> Address:
        return Address(self._get(key).ip, PORT)

    def _name(self, key: str) -> str:
        return f"postgresql {self._get(key).hostname}"

    def _cluster(self, key: str) -> Cluster:
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        return Cluster(self._emulator.state / COLLECTION / name, unprivileged())

    def _get(self, key: str) -> Server:
        value = self._emulator.store.get(COLLECTION, key)
        if value is None:
            raise KeyError(f"There is no PostgreSQL server {key}.")
        return Server(**value)

    def _put(self, key: str, server: Server) -> None:
        self._emulator.store.put(COLLECTION, key, dataclasses.asdict(server))
