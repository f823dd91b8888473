"""Microsoft's SDK clients on the running emulator, and what most tests of Resource Manager need first."""

from __future__ import annotations

import time
import typing as t
import uuid

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from conftest import Client

NAMESPACES = ("Microsoft.Network", "Microsoft.ManagedIdentity", "Microsoft.Compute", "Microsoft.Storage", "Microsoft.DBforPostgreSQL")


class Arm:
    """Plain calls and SDK clients for one principal."""

    def __init__(self, emulator: Client, principal: str = "deployer") -> None:
        self.emulator = emulator
        self.environment = emulator.environment(principal)
        self.subscription = emulator.subscription_id
        self.scope = f"/subscriptions/{self.subscription}"
        self._token = emulator.token(principal=principal)
        self._session = requests.Session()  # one connection for all calls: making one costs ten times an answer
        self._session.proxies, self._session.verify = dict(emulator.proxies), emulator.bundle

    def credential(self) -> ClientSecretCredential:
        """As azure-identity makes it from the environment."""
        names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
        return ClientSecretCredential(*(self.environment[name] for name in names))

    def client(self, kind: t.Any) -> t.Any:
        """A management client."""
        return kind(self.credential(), self.subscription)

    def call(self, method: str, path: str, body: t.Any = None, *, version: str | None = "2024-05-01", **options: t.Any) -> t.Any:
        """A request, with an api-version where the path names none."""
        if not path.startswith("https://"):
            path = f"https://management.azure.com{path}"
        if version and "api-version=" not in path:
            path += f"{'&' if '?' in path else '?'}api-version={version}"
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        return self._session.request(method, path, json=body, headers=headers, timeout=60, **options)

    def register(self, *namespaces: str) -> None:
        """Register providers."""
        for namespace in namespaces or NAMESPACES:
            assert self.call("POST", f"{self.scope}/providers/{namespace}/register").status_code == 200

    def group(self, location: str = "westus2", **body: t.Any) -> str:
        """A new resource group: its id."""
        identity = f"{self.scope}/resourceGroups/rg-{uuid.uuid4().hex[:8]}"
        answer = self.call("PUT", identity, {"location": location, **body})
        assert answer.status_code == 201, answer.text
        return identity

    def settle(self, answer: t.Any) -> t.Any:
        """Follow a write's operation to its end: the last poll's answer."""
        url = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
        while url:
            time.sleep(0.1)  # faster than Retry-After asks: tests needn't be polite
            answer = self.call("GET", url)
            running = answer.status_code == 202 or (answer.content and answer.json().get("status") == "InProgress")
            if not running:
                return answer
        return answer

    def make(self, path: str, body: t.Any, **options: t.Any) -> t.Any:
        """Create a resource and wait: its body."""
        answer = self.call("PUT", path, body, **options)
        assert answer.status_code in (200, 201, 202), answer.text
        ended = self.settle(answer)
        assert ended.status_code < 300, ended.text
        return self.call("GET", path, **options).json()


def refused(call: t.Callable[[], t.Any], status: int, code: str) -> str:
    """The message of an SDK call that must fail so."""
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert (caught.value.status_code, caught.value.error.code) == (status, code), caught.value
    return str(caught.value.message)
