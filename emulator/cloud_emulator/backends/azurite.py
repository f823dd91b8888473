"""Blob storage: one Azurite process for each storage account, over HTTPS, with bearer tokens allowed.

Azurite takes the account's name from the Host header (`<account>.blob.core.windows.net`) or, for a bare address, from the path. It looks
at a token's audience, issuer and lifetime but not at its signature nor at roles: that is for whoever passes requests on to it.
"""

from __future__ import annotations

import asyncio
import collections
import os
import shutil
import time
import typing as t

from . import npm
from .address import Address

if t.TYPE_CHECKING:
    import pathlib

    from azure.storage.blob import BlobServiceClient

    from ..emulator import Emulator

IP = "127.0.0.1"
COLLECTION = "azurite"
READY_WITHIN = 60.0  # seconds for a process to answer after its start


class AzuriteBackend:
    """The accounts, by name. Methods raise KeyError for an account that was not created."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Start a process for every account that there is."""
        await asyncio.gather(*(self._up(account) for account, _ in self._emulator.store.items(COLLECTION)))

    async def stop(self) -> None:
        """Stop every process; they come back with `start`."""
        await asyncio.gather(*(self._emulator.processes.stop(self._name(account)) for account, _ in self._emulator.store.items(COLLECTION)))

    async def create(self, account: str, keys: list[str]) -> Address:
        """Make an account with its (base64) keys. One that is there gets these keys, and keeps its data."""
        async with self._locks[account]:
            kept = self._emulator.store.get(COLLECTION, account)
            if kept is None or kept["keys"] != keys:
                await self._emulator.processes.stop(self._name(account))
                self._emulator.store.put(COLLECTION, account, {"keys": keys, "port": 0})
            return await self._up(account)

    async def set_keys(self, account: str, keys: list[str]) -> None:
        """Exchange the account's keys; connections that are open break."""
        self._get(account)
        await self.create(account, keys)

    async def delete(self, account: str) -> None:
        """Stop an account's process and delete its data. Does nothing where there is none."""
        async with self._locks[account]:
            await self._emulator.processes.stop(self._name(account))
            await asyncio.to_thread(shutil.rmtree, self._folder(account), True)
            self._emulator.store.delete(COLLECTION, account)

    async def create_container(self, account: str, name: str) -> None:
        """Make a container, unless it exists."""

        def call() -> None:
            with self._client(account) as client, client.get_container_client(name) as container:
                if not container.exists():
                    container.create_container()

        await asyncio.to_thread(call)

    async def delete_container(self, account: str, name: str) -> None:
        """Delete a container with all in it. Does nothing where there is none."""

        def call() -> None:
            with self._client(account) as client, client.get_container_client(name) as container:
                if container.exists():
                    container.delete_container()

        await asyncio.to_thread(call)

    async def containers(self, account: str) -> list[dict[str, t.Any]]:
        """All containers: name, etag, last_modified (datetime)."""

        def call() -> list[dict[str, t.Any]]:
            with self._client(account) as client:
                return [{"name": c.name, "etag": c.etag, "last_modified": c.last_modified} for c in client.list_containers()]

        return await asyncio.to_thread(call)

    def address_of(self, account: str) -> Address | None:
        """Where the account's process listens, or None where there is no such account."""
        kept = self._emulator.store.get(COLLECTION, account)
        return Address(IP, kept["port"]) if kept else None

    async def _up(self, account: str) -> Address:
        """Start the process, unless it runs, and wait until it listens."""
        name, kept = self._name(account), self._get(account)
        if name in {process["name"] for process in self._emulator.processes.running()}:
            return Address(IP, kept["port"])
        port = self._emulator.allot_port(name, IP)
        self._emulator.store.put(COLLECTION, account, {**kept, "port": port})
        folder = self._folder(account)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = folder / "azurite.log"
        command = [npm.tool("node"), str(npm.program(npm.AZURITE)), *self._options(account, folder, port)]
        env = {**os.environ, "AZURITE_ACCOUNTS": ":".join([account, *kept["keys"]])}
        process = await self._emulator.processes.start(name, *command, env=env, log=log, cwd=folder)
        deadline = time.monotonic() + READY_WITHIN
        while not await _listens(port):
            if process.returncode is not None or time.monotonic() > deadline:
                last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
                raise RuntimeError(f"Azurite did not start for the storage account {account}: {last}")
            await asyncio.sleep(0.1)
        return Address(IP, port)

    def _options(self, account: str, folder: pathlib.Path, port: int) -> list[str]:
        certificate, key = folder / "server.crt", folder / "server.key"
        texts = self._emulator.certificates.issue([f"{account}.blob.core.windows.net"], [IP])
        for path, text in zip((certificate, key), texts, strict=True):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
        listen = ["--blobHost", IP, "--blobPort", str(port), "--cert", str(certificate), "--key", str(key), "--location", str(folder / "data")]
        return [*listen, "--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]

    def _client(self, account: str) -> BlobServiceClient:
        # Late: this import takes a second, and an emulator without storage accounts never needs it.
        from azure.storage.blob import BlobServiceClient

        kept = self._get(account)
        credential = {"account_name": account, "account_key": kept["keys"][0]}
        verify = str(self._emulator.certificates.ca_path)
        url = f"https://{IP}:{kept['port']}/{account}"
        return BlobServiceClient(url, credential=credential, connection_verify=verify, use_env_settings=False)

    def _get(self, account: str) -> dict[str, t.Any]:
        kept = self._emulator.store.get(COLLECTION, account)
        if kept is None:
            raise KeyError(f"There is no storage account {account}.")
        return kept

    def _folder(self, account: str) -> pathlib.Path:
        return self._emulator.state / COLLECTION / account

    @staticmethod
    def _name(account: str) -> str:
        return f"azurite {account}"


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(IP, port)
    except OSError:
        return False
    writer.close()
    return True
