"""The proxy: who answers, who is refused, faults, latency, the record, tunnels."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
import ssl
import stat
import subprocess
import time

import pytest
import requests
from cloud_emulator import proxy
from cloud_emulator.emulator import Emulator
from cloud_emulator.har import Traffic
from conftest import Client

LOGIN = "https://login.microsoftonline.com"


def test_an_unknown_host_is_refused_with_words(emulator: Client) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match=r"does not answer for example\.com; it answers for .*management\.azure\.com"):
        emulator.request("GET", "https://example.com/")
    answer = emulator.request("GET", "http://example.com/")
    assert answer.status_code == 502
    assert "does not answer for example.com" in answer.text


def test_other_ports_and_unknown_accounts_are_refused(emulator: Client) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="on port 443 only"):
        emulator.request("GET", f"{LOGIN}:8443/")
    with pytest.raises(requests.exceptions.ProxyError, match="no such storage account"):
        emulator.request("GET", "https://nosuchaccount.blob.core.windows.net/")


def test_it_is_not_a_server(emulator: Client) -> None:
    answer = requests.get(emulator.env["HTTPS_PROXY"], proxies={"http": ""}, timeout=10)
    assert answer.status_code == 502
    assert "use it as HTTPS_PROXY" in answer.text


def test_http2_clients(emulator: Client) -> None:
    command = ["curl", "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
    done = subprocess.run(
        [*command, f"{LOGIN}/{emulator.tenant_id}/discovery/keys"], env={**emulator.env, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.stdout == "2 200", done.stderr


def test_paths_and_queries_arrive_as_they_were_sent(emulator: Client) -> None:
    token = emulator.token("https://graph.microsoft.com")
    url = "https://graph.microsoft.com/v1.0//servicePrincipals?$filter=displayName%20eq%20'deployer'&$select=displayName"
    answer = emulator.request("GET", url, headers={"Authorization": f"Bearer {token}"})
    assert [value["displayName"] for value in answer.json()["value"]] == ["deployer"]


# Faults and settings -------------------------------------------------------------------------------------------------------------------


def keys(client: Client) -> requests.Response:
    return client.request("GET", f"{LOGIN}/{client.tenant_id}/discovery/keys")


def test_a_fault_answers_and_is_used_up(faults: Client) -> None:
    rule = "- {path: '*/discovery/keys', method: GET, times: 2, status: 503, body: {why: test}, headers: {X-A: b}, retry_after: 3}"
    faults.run("faults", "set", "-", text=rule)
    assert "2 left" in faults.run("faults", "list")
    answer = keys(faults)
    assert (answer.status_code, answer.json(), answer.headers["X-A"], answer.headers["Retry-After"]) == (503, {"why": "test"}, "b", "3")
    assert json.loads(faults.run("faults", "list", "--json"))[0]["times"] == 1
    assert [keys(faults).status_code for _ in range(2)] == [503, 200]


def test_faults_can_throttle_drop_and_delay(faults: Client, tmp_path: pathlib.Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("faults:\n- {path: /*/discovery/keys, retry_after: 1}\n- {path: '^login.*keys$', drop: true}\n- {path: '*/keys', delay: 0.5}\n")
    faults.run("faults", "add", str(rules))
    assert keys(faults).status_code == 429
    with pytest.raises(requests.exceptions.ConnectionError):
        keys(faults)
    begun = time.monotonic()
    assert keys(faults).status_code == 200
    assert time.monotonic() - begun >= 0.5


def test_bad_faults_change_nothing(faults: Client) -> None:
    faults.run("faults", "set", "-", text="[{path: nothing, status: 500}]")
    with pytest.raises(AssertionError, match="Fault rule 1 does nothing"):
        faults.run("faults", "set", "-", text="[{path: x}]")
    assert "nothing" in faults.run("faults", "list")


def test_latency_is_added_to_every_answer(emulator: Client) -> None:
    emulator.run("settings", "latency=0.3")
    begun = time.monotonic()
    keys(emulator)
    emulator.run("settings", "latency=")
    assert time.monotonic() - begun >= 0.3


# The record ----------------------------------------------------------------------------------------------------------------------------


def test_har(emulator: Client, tmp_path: pathlib.Path) -> None:
    mark = emulator.run("log", "--mark").strip()
    emulator.token()
    file = tmp_path / "traffic.har"
    emulator.run("log", "--har", str(file), "--since", mark)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert emulator.env["AZURE_CLIENT_SECRET"] not in file.read_text()
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    assert entry["request"]["url"] == f"{LOGIN}/{emulator.tenant_id}/oauth2/v2.0/token"
    assert "client_secret=hidden" in entry["request"]["postData"]["text"]
    assert json.loads(entry["response"]["content"]["text"])["access_token"] == "hidden"
    emulator.run("log", "--har", str(file), "--since", mark, "--secrets")
    (entry,) = json.loads(file.read_text())["log"]["entries"]
    assert "client_secret=" + emulator.env["AZURE_CLIENT_SECRET"].replace("~", "%7E") in entry["request"]["postData"]["text"].replace("~", "%7E")
    assert stat.S_IMODE((emulator.state / "traffic.jsonl").stat().st_mode) == 0o600


def test_log_shows_lines(emulator: Client) -> None:
    keys(emulator)
    last = emulator.run("log", "-n", "1").strip()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d 200 +\d+ ms GET +login\.microsoftonline\.com/{emulator.tenant_id}/discovery/keys", last)


# Tunnels -------------------------------------------------------------------------------------------------------------------------------


def test_a_tunnel_leaves_tls_alone(tmp_path: pathlib.Path) -> None:
    """A client certificate arrives, and the client sees the server's own certificate: nothing in between has touched either."""
    local = Emulator.open(tmp_path / "state")
    name = "demo-12345678.hcp.westus.azmk8s.io"
    for file, names in (("server.pem", [name]), ("client.pem", ["client"])):
        certificate, key = local.certificates.issue(names)
        (tmp_path / file).write_text(key + certificate)

    async def scenario() -> tuple[str, bytes]:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=local.certificates.ca_path)
        serving.verify_mode = ssl.CERT_REQUIRED
        serving.load_cert_chain(tmp_path / "server.pem")

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            certificate = writer.get_extra_info("peercert")
            writer.write(dict(pair[0] for pair in certificate["subject"])["commonName"].encode() + await reader.readline())
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=serving)
        local.tunnels[name] = server.sockets[0].getsockname()[:2]
        port = local.allot_port("proxy")
        master = proxy.make_master(local, proxy.Router(local, {}, {}, Traffic(tmp_path / "traffic")), port)
        running = asyncio.create_task(master.run())
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        writer.write(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        status = (await reader.readuntil(b"\r\n\r\n")).decode()
        client = ssl.create_default_context(cafile=local.certificates.ca_path)
        client.load_cert_chain(tmp_path / "client.pem")
        await writer.start_tls(client, server_hostname=name)
        writer.write(b" says hello\n")
        greeting = await reader.read()
        server.close()
        master.shutdown()
        await running
        return status, greeting

    status, greeting = asyncio.run(scenario())
    assert " 200 " in status
    assert greeting == b"client says hello\n"
