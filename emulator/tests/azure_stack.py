"""What the providers' tests stand on: Microsoft's clients, a resource group, a network and a zone."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.identity import EnvironmentCredential
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from cloud_emulator.store import Store
from conftest import Client

REGION = "westus2"
PROVIDERS = (
    "Microsoft.Network",
    "Microsoft.Storage",
    "Microsoft.ContainerService",
    "Microsoft.DBforPostgreSQL",
    "Microsoft.ManagedIdentity",
    "Microsoft.Compute",
)
POSTGRESQL = "Microsoft.DBforPostgreSQL/flexibleServers"


class Azure:
    """Clients of Microsoft's SDKs on one emulator, with a resource group of their own."""

    def __init__(self, emulator: Client, group: str) -> None:
        self.emulator, self.group = emulator, group
        arguments = (EnvironmentCredential(), emulator.subscription_id)
        self.resources = ResourceManagementClient(*arguments)
        self.network = NetworkManagementClient(*arguments)
        self.zones = PrivateDnsManagementClient(*arguments)
        self.postgresql = PostgreSQLManagementClient(*arguments)
        self.storage = StorageManagementClient(*arguments)
        self.aks = ContainerServiceClient(*arguments)
        self._token = emulator.token()
        for provider in PROVIDERS:
            self.resources.providers.register(provider)
        self.resources.resource_groups.create_or_update(group, {"location": REGION})

    @property
    def group_id(self) -> str:
        """Id of the resource group."""
        return f"/subscriptions/{self.emulator.subscription_id}/resourceGroups/{self.group}"

    def make_network(self, name: str, prefix: str, subnets: dict[str, tuple[str, str | None]]) -> dict[str, str]:
        """A network; `subnets` maps a name to its prefix and the service that it is delegated to. Returns the subnets' ids."""
        entries = []
        for subnet, (range_, service) in subnets.items():
            delegations = [{"name": "0", "properties": {"serviceName": service}}] if service else []
            entries.append({"name": subnet, "properties": {"addressPrefix": range_, "delegations": delegations}})
        body = {"location": REGION, "properties": {"addressSpace": {"addressPrefixes": [prefix]}, "subnets": entries}}
        made = self.network.virtual_networks.begin_create_or_update(self.group, name, body).result()
        return {subnet.name: subnet.id for subnet in made.subnets}

    def make_zone(self, name: str) -> str:
        """A private DNS zone; returns its id."""
        return self.zones.private_zones.begin_create_or_update(self.group, name, {"location": "global"}).result().id

    def postgresql_servers(self) -> dict[str, str]:
        """Loopback address of every real server, by its host name."""
        store = Store(self.emulator.state / "store.sqlite")
        try:
            return {value["hostname"]: value["ip"] for _, value in store.items("postgresql")}
        finally:
            store.close()

    @staticmethod
    def wait_for(condition: t.Callable[[], bool], seconds: float = 20) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.5)

    def call(self, method: str, path: str, body: t.Any = None, version: str = "2025-08-01") -> t.Any:
        """The bare answer of Resource Manager."""
        return self.follow(f"{path}{'&' if '?' in path else '?'}api-version={version}", method, body)

    def call_checked(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """As `call`, raising what a client of the SDK raises for a refusal."""
        request = HttpRequest(method, f"https://management.azure.com{path}?api-version=2025-08-01", json=body)
        response = self.storage.send_request(request)
        response.raise_for_status()
        return response.json()

    def follow(self, path: str, method: str = "GET", body: t.Any = None) -> t.Any:
        """The bare answer of a whole path, such as an operation's."""
        url = f"https://management.azure.com{path}"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return self.emulator.request(method, url, headers=headers, data=json.dumps(body) if body is not None else None)


@contextlib.contextmanager
def refused(code: str, text: str = "") -> t.Iterator[None]:
    """The block must be refused, or its operation fail, with this code and text."""
    with pytest.raises(HttpResponseError) as caught:
        yield
    error = caught.value
    assert error.error is not None, error
    found = error.error.code or json.loads(error.response.text()).get("code")
    assert found == code, f"{found}: {error.message}"
    assert text in str(error), str(error)
