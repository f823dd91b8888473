#!/usr/bin/env python3
"""Measure a stand-up, a run that changes nothing and a tear-down on the emulator, and print ratios and counts.

Every figure is the median of several runs made in this one go, without and with 100 ms added to every answer. Nothing is judged: the exit
status is 0 whenever everything could be measured. Times are of whole processes, on whatever else the machine is doing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULATOR = ROOT / ".venv-emulator" / "bin" / "cloud-emulator"
BIN = ROOT / ".venv" / "bin"
STACK = ["-e", "cloud=azure", "-e", "org_prefix=bench", "-e", "metaflow_services_config_dir={config}"]
CLUSTER, SERVER = 20, 30  # seconds that a cluster and a server take in the stand-up that is compared with its slowest chain
CONTROL = {"set_fact", "include_tasks", "include_role", "import_role", "import_tasks", "meta", "assert", "debug", "fail", "validate_argument_spec"}
ARM = "management.azure.com"


class Emulator:
    """One emulator with a state folder of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.state = folder / "state"

    def call(self, *arguments: str) -> str:
        command = [str(EMULATOR), *arguments, "--state", str(self.state)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def up(self) -> float:
        """Start it and return the seconds until it was ready."""
        start = time.monotonic()
        self.call("up")
        return time.monotonic() - start

    def down(self) -> None:
        self.call("down")

    def environment(self) -> dict[str, str]:
        return {**os.environ, **json.loads(self.call("env", "--format", "json"))}

    def exchanges(self, folder: pathlib.Path) -> list[dict[str, t.Any]]:
        """What clients sent to Resource Manager since the log was cleared."""
        file = folder / "traffic.har"
        self.call("log", "--har", str(file))
        entries = json.loads(file.read_text())["log"]["entries"]
        return [entry["request"] for entry in entries if ARM in entry["request"]["url"]]

    def resident_megabytes(self) -> float:
        """Resident memory of the daemon and of everything that it started."""
        status = json.loads(self.call("status", "--json"))
        pids = {status["pid"], *(process["pid"] for process in status.get("processes", []))}
        kilobytes = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                kilobytes += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
        return kilobytes / 1024


class Played(t.NamedTuple):
    seconds: float
    tasks: int  # module tasks that ran: tasks that only steer (include, assert, set_fact, debug) are not counted
    changed: int


def play(playbook: str, environment: dict[str, str], config: pathlib.Path, *arguments: str) -> Played:
    """Run a playbook and count its module tasks."""
    command = [str(BIN / "ansible-playbook"), playbook, *(part.format(config=config) for part in STACK), *arguments]
    quiet = {**environment, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "PATH": f"{BIN}:{environment['PATH']}"}
    start = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if result.returncode:
        sys.exit(f"{playbook} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
    report = json.loads(result.stdout[result.stdout.index("{\n") :])
    tasks = changed = 0
    for played in report["plays"]:
        for task in played["tasks"]:
            for host in task["hosts"].values():
                if host.get("skipped") or str(host.get("action", "")).rsplit(".", 1)[-1] in CONTROL:
                    continue
                tasks += 1
                changed += bool(host.get("changed"))
    return Played(seconds, tasks, changed)


def seconds_a_task(environment: dict[str, str]) -> tuple[float, float]:
    """Seconds that one ping and one module with a read cost, each the slope over ten tasks of one play."""
    times = {}
    for name, module in {"ping": "ansible.builtin.ping", "module": "metaflow.infra.azure_provider"}.items():
        arguments = {} if name == "ping" else {"namespaces": ["Microsoft.Network"]}
        with tempfile.NamedTemporaryFile("w", suffix=".yml", dir=ROOT) as book:
            loop = "{{ range(count | int) | list }}"
            book.write(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [{"name": "Measure", module: arguments, "loop": loop}]}]))
            book.flush()
            taken = {}
            for count in (1, 11):
                start = time.monotonic()
                command = [str(BIN / "ansible-playbook"), book.name, "-e", f"count={count}"]
                subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
                taken[count] = time.monotonic() - start
            times[name] = (taken[11] - taken[1]) / 10
    return times["ping"], times["module"]


def measure(folder: pathlib.Path, latency: float) -> dict[str, float]:
    """One whole round on a fresh emulator; figures by name."""
    emulator, config = Emulator(folder), folder / "config"
    figures = {"emulator: seconds from up to ready": emulator.up()}
    try:
        figures["emulator: resident MB without clusters"] = emulator.resident_megabytes()
        emulator.call("settings", f"latency={latency}")
        environment = emulator.environment()

        figures["infra stand-up, durations of zero: seconds"] = play("playbooks/infra.yml", environment, config).seconds
        emulator.call("log", "--clear")
        again = play("playbooks/infra.yml", environment, config)
        sent = emulator.exchanges(folder)
        existing = len(json.loads(emulator.call("status", "--json"))["resources"])
        reads = sum(request["method"] == "GET" for request in sent)
        figures |= {
            "infra, nothing to change: seconds": again.seconds,
            "infra, nothing to change: module tasks": again.tasks,
            "infra, nothing to change: changed": again.changed,
            "infra, nothing to change: requests": len(sent),
            "infra, nothing to change: reads": reads,
            "infra, nothing to change: reads a resource": reads / max(existing, 1),
            "infra, nothing to change: writes": sum(request["method"] in {"PUT", "PATCH", "DELETE"} for request in sent),
        }
        play("site.yml", environment, config)
        emulator.call("log", "--clear")
        whole = play("site.yml", environment, config)
        figures |= {
            "site, nothing to change: seconds": whole.seconds,
            "site, nothing to change: module tasks": whole.tasks,
            "site, nothing to change: requests to Azure": len(emulator.exchanges(folder)),
        }
        figures["destroy with data: seconds"] = play(
            "playbooks/destroy.yml", environment, config, "-e", "confirm=default", "-e", "delete_data=true"
        ).seconds

        emulator.call("settings", f"durations.managedClusters={CLUSTER}", f"durations.flexibleServers={SERVER}")
        slow = play("playbooks/infra.yml", environment, config).seconds
        figures[f"infra stand-up, cluster {CLUSTER} s and server {SERVER} s, over its slowest chain"] = slow / SERVER
        ping, module = seconds_a_task(environment)
        figures |= {"seconds a task: ping": ping, "seconds a task: a module with one read": module, "seconds a task over ping": module - ping}
    finally:
        emulator.down()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="rounds for each latency (default 3)")
    parser.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.1], help="seconds added to every answer")
    arguments = parser.parse_args()
    table: dict[float, list[dict[str, float]]] = {}
    for latency in arguments.latency:
        for number in range(arguments.runs):
            print(f"latency {latency * 1000:.0f} ms, run {number + 1} of {arguments.runs} ...", file=sys.stderr, flush=True)
            folder = pathlib.Path(tempfile.mkdtemp(prefix="metaflow-bench-"))
            try:
                table.setdefault(latency, []).append(measure(folder, latency))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    width = max(len(name) for name in table[arguments.latency[0]][0])
    print(f"{'median of ' + str(arguments.runs):{width}}" + "".join(f"{latency * 1000:>9.0f} ms" for latency in arguments.latency))
    for name in table[arguments.latency[0]][0]:
        values = [statistics.median(run[name] for run in table[latency]) for latency in arguments.latency]
        print(f"{name:{width}}" + "".join(f"{value:12.2f}" for value in values))


if __name__ == "__main__":
    main()
