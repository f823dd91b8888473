"""One emulator for the whole test session, with a state of its own."""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import subprocess
import sys

import pytest
import requests

COMMAND = [sys.executable, "-m", "cloud_emulator.cli"]


class Client:
    """A running emulator as a client sees it: its environment, its command, and plain authenticated requests."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.env = self.environment("deployer")
        self.subscription_id, self.tenant_id = self.env["AZURE_SUBSCRIPTION_ID"], self.env["AZURE_TENANT_ID"]
        self.proxies = {"https": self.env["HTTPS_PROXY"], "http": self.env["HTTP_PROXY"]}
        self.bundle = self.env["REQUESTS_CA_BUNDLE"]

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Output of `cloud-emulator ARGUMENTS`, which must succeed."""
        done = run(self.state, *arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def environment(self, principal: str = "deployer") -> dict[str, str]:
        """What `cloud-emulator env --as PRINCIPAL` prints."""
        return json.loads(self.run("env", "--as", principal, "--format", "json"))

    def token(self, resource: str = "https://management.azure.com", principal: str = "deployer") -> str:
        """An access token of a seeded principal."""
        environment = self.environment(principal)
        form = {
            "grant_type": "client_credentials",
            "client_id": environment["AZURE_CLIENT_ID"],
            "client_secret": environment["AZURE_CLIENT_SECRET"],
            "scope": f"{resource}/.default",
        }
        answer = self.request("POST", f"https://login.microsoftonline.com/{self.tenant_id}/oauth2/v2.0/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def request(self, method: str, url: str, **options: object) -> requests.Response:
        """A request through the proxy, not authenticated unless the headers say so."""
        return requests.request(method, url, proxies=self.proxies, verify=self.bundle, timeout=60, **options)  # type: ignore[arg-type]


def run(state: pathlib.Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """`cloud-emulator ARGUMENTS` on a state."""
    return subprocess.run([*COMMAND, "--state", str(state), *arguments], input=text, capture_output=True, text=True, timeout=300)


def start(state: pathlib.Path) -> Client:
    """`cloud-emulator up` on a state."""
    done = run(state, "up")
    assert done.returncode == 0, done.stderr
    return Client(state)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[Client]:
    """A running emulator. This process' own environment points at it too, so that Microsoft's SDKs find it as they find Azure."""
    state = tmp_path_factory.mktemp("emulator") / "state"
    try:
        client = start(state)
        before = dict(os.environ)
        os.environ.update(client.env)
        yield client
        os.environ.clear()
        os.environ.update(before)
    finally:
        run(state, "down")


@pytest.fixture
def faults(emulator: Client) -> collections.abc.Iterator[Client]:
    """The emulator, for tests that set faults: none is left behind."""
    yield emulator
    emulator.run("faults", "clear")
