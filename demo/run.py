#!/usr/bin/env python3
"""Stand the whole stack up on the emulator, run a real Metaflow flow through it, read its results, and run the playbook again.

What is used is what a user of a cloud has: credentials, a proxy and a CA bundle in the environment, a config.json that the playbook wrote,
and kubectl's port-forward. The exit status is not 0, and one sentence says why, when any part fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
import urllib.request

from cloud import BIN as EMULATOR_BIN
from cloud import ROOT, Emulator, Failure, kubectl

HERE = pathlib.Path(__file__).resolve().parent
BIN = ROOT / ".venv" / "bin"
SERVICES = {"metadata": ("metadata-service", 8080), "ui_backend": ("metaflow-ui-backend-service", 8083), "ui": ("metaflow-ui-static-service", 3000)}
RECAP = re.compile(r"^\S+\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)
FORWARD_WITHIN = 60.0  # seconds for a port-forward to listen


class Demo:
    """The demo's parts, in order, and how long each took."""

    def __init__(self, cloud: str, folder: pathlib.Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.config = folder / "metaflowconfig"
        self.emulator = Emulator(folder / "emulator")
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.times: dict[str, float] = {}
        self.forwards: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def part(self, title: str) -> t.Iterator[None]:
        print(f"\n== {title}", flush=True)
        start = time.monotonic()
        yield
        self.times[title] = time.monotonic() - start

    def run(self) -> None:
        with self.part("emulator up"):
            self.emulator.forget()
            shutil.rmtree(self.config, ignore_errors=True)
            self.emulator.state.mkdir(parents=True, mode=0o700)
            print(self.emulator.command("up"), end="")
        with self.part("ansible-playbook site.yml"):
            self.play()
        with self.part("ports of the services"):
            self.forward()
        with self.part("a flow"):
            number = self.flow()
        with self.part("its results, read back"):
            self.check(number)
        with self.part("ansible-playbook site.yml again"):
            changed = self.play()
            if changed:
                raise Failure(f"The second run of the playbook changed {changed} things; it should have found everything as it is.")

    def play(self) -> int:
        """Run the site playbook, showing what it says; how many tasks changed something."""
        person = self.emulator.environment("data-scientist")["CLOUD_EMULATOR_OBJECT_ID"]
        variables = {
            "cloud": self.cloud,
            "org_prefix": "demo",
            "metaflow_services_local_ports": self.ports,
            "metaflow_services_config_dir": str(self.config),
            "azure_infra_users": [{"object_id": person, "type": "ServicePrincipal"}],
        }
        environment = self.emulator.environment("deployer")
        command = [str(BIN / "ansible-playbook"), "site.yml", "-e", json.dumps(variables)]
        output = []
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                output.append(line)
        recap = RECAP.findall("".join(output))
        if process.returncode or not recap:
            raise Failure(f"ansible-playbook ended with {process.returncode}; what failed is above.")
        return sum(int(changed) for changed in recap)

    def forward(self) -> None:
        """Open the services' ports on this machine, as the data scientist whom the cluster lets in."""
        environment = self.emulator.environment("data-scientist")
        clusters = [resource["id"] for resource in self.emulator.status()["resources"] if resource["id"].split("/")[-2] == "managedClusters"]
        if not clusters:
            raise Failure("There is no cluster after the playbook.")
        done = subprocess.run([BIN / "python", HERE / "kubeconfig.py", clusters[0]], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f"The data scientist cannot reach the cluster. {done.stderr.strip()}")
        kubeconfig = self.folder / "kubeconfig"
        with os.fdopen(os.open(kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(done.stdout)
        program = kubectl()
        for name, (service, port) in SERVICES.items():
            command = [program, "--kubeconfig", str(kubeconfig), "port-forward", f"service/{service}", f"{self.ports[name]}:{port}"]
            # Of its own session, so that Ctrl-C does not reach it before the rest has ended.
            with self.log(service).open("w") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            self.forwards.append(process)
        for name, process in zip(SERVICES, self.forwards, strict=True):
            wait_for_port(self.ports[name], process, self.log(SERVICES[name][0]))
            print(f"  127.0.0.1:{self.ports[name]} -> {SERVICES[name][0]}:{SERVICES[name][1]}")

    def log(self, service: str) -> pathlib.Path:
        return self.folder / f"port-forward-{service}.log"

    def flow(self) -> str:
        """Run the flow as the data scientist, with the configuration that the playbook wrote; the run's number."""
        if not (self.config / "config.json").exists():
            raise Failure(f"The playbook wrote no {self.config}/config.json.")
        number = self.folder / "run-id"
        number.unlink(missing_ok=True)
        print("  (Shard 2 is meant to fail at its first attempt: the traceback below belongs to the demo.)", flush=True)
        if self.metaflow("flow.py", "--no-pylint", "run", "--run-id-file", str(number)):
            raise Failure("The flow failed; its own words are above.")
        return number.read_text().strip()

    def check(self, number: str) -> None:
        if self.metaflow("check.py", number):
            raise Failure("The results of the flow are not what they must be; see above.")
        runs = fetch(self.ports["ui_backend"], "/api/flows/DemoFlow/runs")
        if f'"run_number": {number}' not in runs:
            raise Failure(f"The UI's backend does not show run {number}: {runs[:300]}")
        if "<html" not in fetch(self.ports["ui"], "/").lower():
            raise Failure("The UI does not answer with a page.")
        print("  ok     the UI's backend shows the run, and the UI answers")

    def metaflow(self, script: str, *arguments: str) -> int:
        environment = self.emulator.environment("data-scientist")
        environment |= {"METAFLOW_HOME": str(self.config), "METAFLOW_USER": "data-scientist", "PYTHONUNBUFFERED": "1"}
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return subprocess.run([BIN / "python", HERE / script, *arguments], cwd=work, env=environment, check=False).returncode

    def summary(self) -> None:
        """What exists, what took how long."""
        status = self.emulator.status()
        print("\n== what exists")
        for resource in sorted(status["resources"], key=lambda resource: resource["id"].lower()):
            print(f"  {'/'.join(resource['type'].split('/')[1:]) or resource['type']:<56} {resource['id'].rpartition('/')[2]}")
        print(f"  {len(status['resources'])} resources; {len(status['processes'])} processes behind them:")
        for process in status["processes"]:
            print(f"  {process['pid']:>8}  {process['name']}")
        print("\n== how long it took")
        for title, seconds in self.times.items():
            print(f"  {title:<34} {seconds:7.1f} s")
        print(f"  {'together':<34} {sum(self.times.values()):7.1f} s")

    def hints(self, keep: bool) -> None:
        """How to look around further, and how to stop."""
        command = f"{EMULATOR_BIN / 'cloud-emulator'}"
        where = f"--state {self.emulator.state}"
        print("\n== to look around further")
        if not keep:
            print(f"  {command} up {where}")
        print(
            f'  eval "$({command} env {where} --as data-scientist)"   # or --as deployer: then az, terraform and Ansible find it as they find Azure'
        )
        print(f"  export METAFLOW_HOME={self.config}")
        for name, (service, port) in SERVICES.items():
            print(f"  kubectl --kubeconfig {self.folder / 'kubeconfig'} port-forward service/{service} {self.ports[name]}:{port} &")
        print(f"  {BIN / 'python'} {HERE / 'flow.py'} run")
        print(f"  {command} log {where}           # the requests that were made")
        print("== to stop")
        print(f"  {command} down {where}")

    def close(self, *, keep: bool, discard: bool) -> None:
        """End what was started. The emulator stays with `keep`, its state unless `discard`."""
        for process in self.forwards:
            process.terminate()
        for process in self.forwards:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if keep:
            return
        if self.emulator.state.exists():
            self.emulator.command("down")
        if discard:
            shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    deadline = time.monotonic() + FORWARD_WITHIN
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise Failure(f"kubectl port-forward ended with {process.returncode}: {log.read_text().strip()}")
        if time.monotonic() > deadline:
            raise Failure(f"kubectl port-forward does not listen on {port} after {FORWARD_WITHIN:.0f} seconds: {log.read_text().strip()}")
        time.sleep(0.2)


def fetch(port: int, path: str) -> str:
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return str(answer.read().decode())
    except OSError as error:
        raise Failure(f"http://127.0.0.1:{port}{path} does not answer: {error}") from error


def default_folder() -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("DEMO_STATE") or cache / "metaflow-infra" / "demo")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cloud", choices=["azure"], default="azure")
    parser.add_argument("--state", type=pathlib.Path, default=default_folder(), help="folder for everything (%(default)s, or $DEMO_STATE)")
    after = parser.add_mutually_exclusive_group()
    after.add_argument("--keep", action="store_true", help="leave the emulator running")
    after.add_argument("--discard", action="store_true", help="remove the folder in the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = options.state.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    demo = None
    try:
        demo = Demo(options.cloud, folder)
        demo.run()
        demo.summary()
        if not options.discard:
            demo.hints(options.keep)
    except Failure as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted.", file=sys.stderr)
        return 130
    finally:
        if demo is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # tidying up is not cut short by a second Ctrl-C
            demo.close(keep=options.keep, discard=options.discard)
    return 0


if __name__ == "__main__":
    sys.exit(main())
