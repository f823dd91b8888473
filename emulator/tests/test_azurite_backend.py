"""Azurite processes, as azure-storage-blob and a plain HTTPS client see them."""

from __future__ import annotations

import asyncio
import base64
import http.client
import secrets
import ssl
import time
import typing as t

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import BlobServiceClient
from cloud_emulator.backends.azurite import AzuriteBackend
from cloud_emulator.emulator import Emulator

ACCOUNT, OTHER = "stacmemetaflow", "stothermetaflow"
KEYS = [base64.b64encode(secrets.token_bytes(64)).decode() for _ in range(4)]
CONTAINER = "metaflow-storage-container"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Emulator]:
    emulator = Emulator.open(tmp_path_factory.mktemp("state"))
    yield emulator
    emulator.processes.sweep()


@pytest.fixture(scope="module")
def backend(emulator: Emulator) -> AzuriteBackend:
    backend = AzuriteBackend(emulator)

    async def create() -> None:
        await asyncio.gather(backend.create(ACCOUNT, KEYS[:2]), backend.create(OTHER, KEYS[2:]))
        await backend.create_container(ACCOUNT, CONTAINER)

    asyncio.run(create())
    return backend


def client(emulator: Emulator, backend: AzuriteBackend, key: str, account: str = ACCOUNT) -> BlobServiceClient:
    address = backend.address_of(account)
    assert address is not None
    url = f"https://{address.ip}:{address.port}/{account}"
    credential = {"account_name": account, "account_key": key}
    return BlobServiceClient(url, credential=credential, connection_verify=str(emulator.certificates.ca_path), use_env_settings=False, retry_total=0)


def get(emulator: Emulator, backend: AzuriteBackend, path: str, audience: str = "https://storage.azure.com") -> tuple[int, bytes]:
    """A GET as the proxy passes it on: to the process' address, with the account's host name and a bearer token."""
    address = backend.address_of(ACCOUNT)
    assert address is not None
    now = int(time.time())
    claims = {"aud": audience, "iss": f"https://sts.windows.net/{emulator.tenant_id}/", "iat": now, "nbf": now, "exp": now + 600}
    token = jwt.encode(claims, "a key that Azurite never asks for, of 32 bytes or more", algorithm="HS256")
    context = ssl.create_default_context(cafile=emulator.certificates.ca_path)
    connection = http.client.HTTPSConnection(address.ip, address.port, context=context)
    headers = {"Host": f"{ACCOUNT}.blob.core.windows.net", "Authorization": f"Bearer {token}", "x-ms-version": "2099-01-01"}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_both_keys_open_the_account_and_others_do_not(emulator: Emulator, backend: AzuriteBackend) -> None:
    for key in KEYS[:2]:
        assert [container.name for container in client(emulator, backend, key).list_containers()] == [CONTAINER]
    with pytest.raises(ClientAuthenticationError):
        list(client(emulator, backend, KEYS[2]).list_containers())


def test_containers(backend: AzuriteBackend) -> None:
    async def walk() -> list[list[str]]:
        seen = []
        for change in (backend.create_container, backend.create_container, backend.delete_container, backend.delete_container):
            await change(OTHER, "logs")
            seen.append([container["name"] for container in await backend.containers(OTHER)])
        return seen

    assert asyncio.run(walk()) == [["logs"], ["logs"], [], []]


def test_bearer_token_and_host_name(emulator: Emulator, backend: AzuriteBackend) -> None:
    content = secrets.token_bytes(2_000_000)
    client(emulator, backend, KEYS[0]).get_blob_client(CONTAINER, "a/b").upload_blob(content, overwrite=True)
    assert get(emulator, backend, f"/{CONTAINER}/a/b") == (200, content)
    assert get(emulator, backend, f"/{CONTAINER}/a/b", audience="https://management.azure.com/")[0] == 403


def test_survives_down_and_up(emulator: Emulator, backend: AzuriteBackend) -> None:
    client(emulator, backend, KEYS[0]).get_blob_client(CONTAINER, "kept").upload_blob(b"kept", overwrite=True)
    before = backend.address_of(ACCOUNT)
    asyncio.run(backend.stop())
    assert not emulator.processes.running()
    again = AzuriteBackend(emulator)
    asyncio.run(again.start())
    assert again.address_of(ACCOUNT) == before
    assert client(emulator, again, KEYS[0]).get_blob_client(CONTAINER, "kept").download_blob().readall() == b"kept"


def test_exchanged_key_is_refused_and_data_kept(emulator: Emulator, backend: AzuriteBackend) -> None:
    asyncio.run(backend.set_keys(ACCOUNT, [KEYS[3], KEYS[1]]))
    try:
        with pytest.raises(HttpResponseError):
            list(client(emulator, backend, KEYS[0]).list_containers())
        assert [container.name for container in client(emulator, backend, KEYS[3]).list_containers()] == [CONTAINER]
    finally:
        asyncio.run(backend.create(ACCOUNT, KEYS[:2]))


def test_delete(emulator: Emulator, backend: AzuriteBackend) -> None:
    asyncio.run(backend.create("stgone", KEYS[:2]))
    asyncio.run(backend.delete("stgone"))
    asyncio.run(backend.delete("stgone"))
    assert backend.address_of("stgone") is None
    assert not (emulator.state / "azurite" / "stgone").exists()
    with pytest.raises(KeyError):
        asyncio.run(backend.create_container("stgone", "logs"))
