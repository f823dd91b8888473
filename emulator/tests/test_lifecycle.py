"""`up`, `down` and the commands beside them, as a user runs them."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time

import pytest
from cloud_emulator.processes import start_time
from conftest import Client, run, start

OWNER = b"CLOUD_EMULATOR_OWNER="


def processes_of(state: pathlib.Path) -> list[str]:
    """Command lines of all processes that belong to an emulator's state."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if OWNER + str(state).encode() in environment.split(b"\0") or (b"cloud_emulator.daemon" in words and str(state).encode() in words):
            found.append(words.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def state(tmp_path: pathlib.Path):  # type: ignore[no-untyped-def]
    folder = tmp_path / ("a" * 120) / "state"  # longer than a Unix socket's path may be
    yield folder
    run(folder, "down")


def test_a_life(state: pathlib.Path) -> None:
    first = start(state)
    pid = json.loads(first.run("status", "--json"))["pid"]
    again = run(state, "up")
    assert again.returncode == 0
    assert "runs already" in again.stdout
    assert json.loads(first.run("status", "--json"))["pid"] == pid
    assert stat.S_IMODE((state / "control.sock").stat().st_mode) == 0o600
    first.run("settings", "latency=0.01")
    first.token()
    first.run("down")
    assert start_time(pid) is None
    assert processes_of(state) == []
    assert json.loads(run(state, "status", "--json").stdout)["running"] is False
    assert "does not run" in run(state, "env").stderr

    second = start(state)
    assert second.env == first.env, "the same tenant, credentials and port"
    assert "latency=0.01" in second.run("settings")
    second.token()


def test_two_side_by_side(emulator: Client, state: pathlib.Path) -> None:
    other = start(state)
    assert other.env["HTTPS_PROXY"] != emulator.env["HTTPS_PROXY"]
    assert other.tenant_id != emulator.tenant_id
    other.run("down")
    assert emulator.token(), "the first one is not touched by the end of the second"


def test_nothing_is_left_of_a_killed_emulator(state: pathlib.Path) -> None:
    client = start(state)
    pid = json.loads(client.run("status", "--json"))["pid"]
    child = subprocess.Popen(["sleep", "1000"], env={"CLOUD_EMULATOR_OWNER": str(state)})  # as a backend's child
    os.kill(pid, signal.SIGKILL)
    while start_time(pid) is not None:
        time.sleep(0.02)
    assert json.loads(run(state, "status", "--json").stdout)["running"] is False
    again = start(state)
    assert child.wait(5) is not None, "`up` clears what is left first"
    assert again.env == client.env
    os.kill(json.loads(again.run("status", "--json"))["pid"], signal.SIGKILL)
    child = subprocess.Popen(["sleep", "1000"], env={"CLOUD_EMULATOR_OWNER": str(state)})
    run(state, "down")
    assert child.wait(5) is not None
    assert processes_of(state) == []


def test_a_stale_pid_is_not_mistaken(state: pathlib.Path) -> None:
    state.mkdir(parents=True)
    (state / "daemon.json").write_text(json.dumps({"pid": os.getpid(), "started": 1, "proxy": "http://127.0.0.1:1"}))
    assert json.loads(run(state, "status", "--json").stdout)["running"] is False
    start(state)  # and the process with that number, this one, lives on


def test_two_ups_at_once_start_one(state: pathlib.Path) -> None:
    command = [sys.executable, "-m", "cloud_emulator.cli", "--state", str(state), "up"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [racer.communicate(timeout=100)[0] for racer in racers]
    assert sorted("runs already" in output for output in outputs) == [False, True]


def test_a_start_that_fails_says_why(state: pathlib.Path) -> None:
    (state / "ca").mkdir(parents=True)
    (state / "ca" / "mitmproxy-ca.pem").write_text("not a certificate")
    done = run(state, "up")
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "OpenSSL" in done.stderr


def test_only_loopback_is_listened_on(emulator: Client) -> None:
    pid = json.loads(emulator.run("status", "--json"))["pid"]
    sockets = {os.readlink(link)[8:-1] for link in pathlib.Path(f"/proc/{pid}/fd").iterdir() if os.readlink(link).startswith("socket:")}
    listening = [line.split() for name in ("tcp", "tcp6") for line in pathlib.Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    own = [fields[1] for fields in listening if fields[3] == "0A" and fields[9] in sockets]
    assert own
    assert all(address.startswith("0100007F:") for address in own), own


def test_the_shell_can_evaluate_env(emulator: Client) -> None:
    script = (
        f'eval "$({sys.executable} -m cloud_emulator.cli --state {emulator.state} env --as data-scientist)"; echo "$AZURE_CLIENT_ID $ARM_CLIENT_ID"'
    )
    output = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True).stdout
    assert output.split() == [emulator.environment("data-scientist")["AZURE_CLIENT_ID"]] * 2


@pytest.mark.parametrize(
    "arguments", [["settings", "speed=1"], ["settings", "latency"], ["faults", "set", "/nowhere"], ["log", "--since", "yesterday"]]
)
def test_bad_input_is_one_sentence(emulator: Client, arguments: list[str]) -> None:
    done = run(emulator.state, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("cloud-emulator: ")
    assert done.stderr.count("\n") == 1
