#!/usr/bin/env python3
"""Run a command, and kill it with all that it started as soon as the emulator has a cluster: killed_run.py COMMAND ..."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

PATIENCE = 300  # seconds


def has_cluster() -> bool:
    status = subprocess.run(["cloud-emulator", "status", "--json"], check=True, capture_output=True, text=True)
    return any(resource["type"].lower().endswith("/managedclusters") for resource in json.loads(status.stdout)["resources"])


def main() -> None:
    process = subprocess.Popen(sys.argv[1:], start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while not has_cluster():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"There was no cluster before the command ended ({process.poll()}) or {PATIENCE} seconds were over.")
        time.sleep(0.5)
    if process.poll() is not None:
        sys.exit("The command ended by itself.")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    print("killed")


if __name__ == "__main__":
    main()
