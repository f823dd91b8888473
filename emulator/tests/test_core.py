"""The parts that everything else stands on: store, settings, certificates, faults, ports, processes, directory, tokens."""

from __future__ import annotations

import asyncio
import datetime
import pathlib
import signal
import socket
import ssl
import stat
import subprocess
import sys

import jwt
import pytest
from azure_tokens import decoded
from cloud_emulator import faults, har, ports
from cloud_emulator.clock import Clock, timestamp
from cloud_emulator.emulator import Emulator
from cloud_emulator.processes import Processes, start_time
from cloud_emulator.settings import Settings
from cloud_emulator.store import Store


class MovedClock(Clock):
    """A clock that tests move."""

    ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        return super().now() + self.ahead


@pytest.fixture
def local(tmp_path: pathlib.Path) -> Emulator:
    return Emulator.open(tmp_path / "state", MovedClock())


def test_store_keeps_values_over_a_restart(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path / "store")
    store.put("things", "/a/b", {"x": [1, None, "é"]})
    store.put("things", "/a/b_c", {})
    store.put("things", "/a/bc", {})
    store.close()
    store = Store(tmp_path / "store")
    assert store.get("things", "/a/b") == {"x": [1, None, "é"]}
    assert [key for key, _ in store.items("things", "/a/b_")] == ["/a/b_c"], "a prefix is taken as it is written"
    assert store.delete("things", "/a/b")
    assert not store.delete("things", "/a/b")
    assert store.get("things", "/a/b") is None


def test_state_is_private(local: Emulator) -> None:
    assert stat.S_IMODE(local.state.stat().st_mode) == 0o700
    for path in ("credentials.json", "store.sqlite", "token-key.pem", "ca/mitmproxy-ca.pem"):
        assert stat.S_IMODE((local.state / path).stat().st_mode) == 0o600, path


def test_opening_again_finds_the_same_tenant(local: Emulator) -> None:
    again = Emulator.open(local.state)
    assert (again.tenant_id, again.subscription_id, again.credentials) == (local.tenant_id, local.subscription_id, local.credentials)
    assert again.certificates.ca_pem == local.certificates.ca_pem


def test_secrets_are_kept_as_hashes(local: Emulator) -> None:
    secret = local.directory.add_secret("00000000-0000-0000-0000-000000000001")["secretText"]
    local.store.close()
    assert secret.encode() not in (local.state / "store.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"retry_after": "0"}, "at least 1"),
        ({"durations.managedClusters": "soon"}, "not 'soon'"),
        ({"latency": "-1"}, "not negative"),
        ({"speed": "1"}, "no setting 'speed'"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(tmp_path: pathlib.Path, change: dict[str, str], words: str) -> None:
    settings = Settings(tmp_path / "settings.json")
    with pytest.raises(ValueError, match=words):
        settings.update({"latency": "0.5", **change})
    assert settings.latency == 0, "nothing is changed where one of the changes is bad"


def test_settings_are_kept(tmp_path: pathlib.Path) -> None:
    Settings(tmp_path / "s").update({"durations.managedClusters": "20", "latency": "0.1", "quotas.cores": "4"})
    settings = Settings(tmp_path / "s")
    assert (settings.durations, settings.latency, settings.get("quotas.cores")) == ({"managedClusters": 20.0}, 0.1, 4)
    settings.update({"latency": ""})
    assert settings.latency == 0


def test_certificates_are_accepted_by_a_strict_client(local: Emulator) -> None:
    certificate, key = local.certificates.issue(["x.example"], ["127.0.0.1"])
    assert local.certificates.issue(["x.example"], ["127.0.0.1"]) == (certificate, key)
    chain = local.state / "chain.pem"
    chain.write_text(key + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=local.certificates.ca_pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("x.example", "127.0.0.1"):
        _handshake(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client, "y.example")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server, server_hostname=name), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


# Faults --------------------------------------------------------------------------------------------------------------------------------


def test_a_fault_counts_down_after_those_it_lets_through(tmp_path: pathlib.Path) -> None:
    current = faults.Faults(Store(tmp_path / "store"))
    current.add(faults.parse("[{path: 'management.azure.com/*/agentPools/*', method: put, times: 2, after: 1, status: 503}]"))
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c/agentpools/p"
    assert current.take("GET", "management.azure.com", path) is None
    assert current.take("PUT", "graph.microsoft.com", path) is None
    taken = [current.take("PUT", "management.azure.com", path) is not None for _ in range(4)]
    assert taken == [False, True, True, False]
    assert faults.Faults(Store(tmp_path / "store")).listed()[0]["times"] == 0, "what is left survives a restart"


def test_operation_errors_are_for_operations_alone(tmp_path: pathlib.Path) -> None:
    current = faults.Faults(Store(tmp_path / "store"))
    current.set(faults.parse("faults: [{path: /*/flexibleServers/*, operation_error: {code: InternalServerError, message: An unexpected error}}]"))
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/x"
    assert current.take("PUT", "management.azure.com", path) is None
    assert current.operation_error("PUT", path) == {"code": "InternalServerError", "message": "An unexpected error"}
    assert current.operation_error("PUT", path) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{path: [", "not valid YAML"),
        ("just text", "must be a list of rules"),
        ("[{status: 500}]", "Fault rule 1 has no path"),
        ("[{path: x, status: 500}, {path: x}]", "Fault rule 2 does nothing"),
        ("[{path: x, stauts: 500}]", "unknown field 'stauts'"),
        ("[{path: x, status: 99}]", "status must be"),
        ("[{path: '^[', status: 500}]", "not a regular expression"),
        ("[{path: x, times: 0, status: 500}]", "times must be"),
        ("[{path: x, status: 500, operation_error: {code: A, message: b}}]", "make two rules of it"),
    ],
)
def test_bad_faults_are_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        faults.parse(text)


def test_a_throttling_fault_needs_only_its_seconds() -> None:
    status, headers, body = faults.parse("[{path: x, retry_after: 7}]")[0].answer()
    assert (status, headers["Retry-After"], body["error"]["code"]) == (429, "7", "TooManyRequests")


# Ports and processes -------------------------------------------------------------------------------------------------------------------


def test_a_port_is_kept_while_it_is_free(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path / "store")
    port = ports.allot(store, "proxy")
    assert ports.allot(store, "proxy") == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert ports.allot(store, "proxy") != port


def test_processes_are_ended_with_their_children(tmp_path: pathlib.Path) -> None:
    processes = Processes(Store(tmp_path / "store"), tmp_path)
    script = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '100'], start_new_session=True).pid, flush=True); time.sleep(100)"

    later = Processes(Store(tmp_path / "store"), tmp_path)  # as after the emulator was killed

    async def scenario() -> tuple[int, int]:
        process = await processes.start("sleeper", sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        child = int(await process.stdout.readline())
        assert [running["pid"] for running in processes.running()] == [process.pid]
        await asyncio.to_thread(later.sweep)
        await process.wait()
        return process.pid, child

    parent, child = asyncio.run(scenario())
    assert start_time(parent) is None
    assert start_time(child) is None
    assert later.running() == []


def test_a_number_given_to_another_process_is_left_alone(tmp_path: pathlib.Path) -> None:
    store = Store(tmp_path / "store")
    with subprocess.Popen(["sleep", "100"]) as stranger:
        store.put("processes", "old", {"pid": stranger.pid, "started": (start_time(stranger.pid) or 0) - 1, "signal": int(signal.SIGTERM)})
        Processes(store, tmp_path).sweep()
        assert stranger.poll() is None
        stranger.kill()
    assert store.items("processes") == []


def test_a_process_that_does_not_listen_to_its_signal_is_killed(tmp_path: pathlib.Path) -> None:
    processes = Processes(Store(tmp_path / "store"), tmp_path)
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(100)"

    async def scenario() -> int:
        process = await processes.start("deaf", sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        await process.stdout.readline()
        await processes.stop("deaf", timeout=0.2)
        return await process.wait()

    assert asyncio.run(scenario()) == -signal.SIGKILL


# Directory and tokens ------------------------------------------------------------------------------------------------------------------


def test_new_principals_become_visible_with_a_delay(local: Emulator) -> None:
    local.settings.update({"replication_delay": "30"})
    principal = local.directory.add_managed_identity("id", "/subscriptions/s/x/ID")
    assert local.directory.add_managed_identity("id", "/subscriptions/s/x/id").object_id == principal.object_id
    assert not local.directory.visible(principal.object_id)
    local.clock.ahead = datetime.timedelta(seconds=31)  # type: ignore[attr-defined]
    assert local.directory.visible(principal.object_id)
    assert local.directory.remove(principal.object_id)
    assert not local.directory.visible(principal.object_id)


def test_secrets_expire(local: Emulator) -> None:
    app_id = local.credentials["deployer"]["client_id"]
    end = timestamp(local.clock.now() + datetime.timedelta(seconds=10))
    secret = local.directory.add_secret(app_id, end=end)
    assert local.directory.check_secret(app_id, secret["secretText"]) == "ok"
    local.clock.ahead = datetime.timedelta(seconds=11)  # type: ignore[attr-defined]
    assert local.directory.check_secret(app_id, secret["secretText"]) == "expired"
    assert local.directory.check_secret(app_id, "x") == "wrong"


def test_tokens_are_verified(local: Emulator) -> None:
    principal = local.directory.by_object_id(local.credentials["deployer"]["object_id"])
    assert principal
    token = local.tokens.issue(principal, "https://management.azure.com")
    assert local.tokens.verify(f"Bearer {token}", ["https://management.azure.com/"])["oid"] == principal.object_id
    claims = decoded(token, local.tokens.jwks())
    assert claims["iss"] == f"https://sts.windows.net/{local.tenant_id}/"
    foreign = jwt.encode({**claims, "exp": 2**33}, "k" * 32, algorithm="HS256")
    for authorization, audience, code in (
        (None, "https://management.azure.com", "AuthenticationFailed"),
        ("Basic abc", "https://management.azure.com", "AuthenticationFailed"),
        (f"Bearer {foreign}", "https://management.azure.com", "InvalidAuthenticationToken"),
        (f"Bearer {token}", "https://graph.microsoft.com", "InvalidAuthenticationTokenAudience"),
    ):
        with pytest.raises(Exception) as caught:
            local.tokens.verify(authorization, [audience])
        assert caught.value.code == code  # type: ignore[attr-defined]
    local.clock.ahead = datetime.timedelta(hours=2)  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="is earlier than current UTC time"):
        local.tokens.verify(f"Bearer {token}", ["https://management.azure.com"])


def test_what_lets_somebody_in_is_hidden() -> None:
    entry = {
        "request": {
            "url": "https://a.blob.core.windows.net/c/b?sv=1&sig=secret%3D&se=2",
            "headers": [{"name": "Authorization", "value": "Bearer secret"}],
            "queryString": [{"name": "sig", "value": "secret="}],
            "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "client_id=1&client_secret=secret"},
        },
        "response": {
            "headers": [],
            "content": {"mimeType": "application/json", "text": '{"keys": [{"keyName": "key1", "value": "secret"}], "a": {"secretText": "secret"}}'},
        },
    }
    hidden = har.hide(entry)
    assert "secret=" not in str(hidden).replace("client_secret=", "")
    assert '"value": "hidden"' in hidden["response"]["content"]["text"]
    assert "secret" not in hidden["response"]["content"]["text"].replace("secretText", "")
    assert "Bearer" not in str(hidden)
    assert "client_secret=hidden" in hidden["request"]["postData"]["text"]
    assert "Bearer secret" in str(entry), "the record itself is left alone"
