"""The emulator as the demo uses it: through its command, in a state folder of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv-emulator" / "bin"


class Failure(Exception):
    """Why the demo ends: one sentence."""


class Emulator:
    """One emulator with its state in `state`."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        if not (BIN / "cloud-emulator").exists():
            raise Failure("The emulator is not installed: run `make setup` (or `make demo`, which does).")

    def command(self, *arguments: str) -> str:
        """Run the emulator's command and give back what it printed. Raises Failure with its own words.

        Ctrl-C takes effect only when the command has ended: half an `up` could not be taken down again.
        """
        command = [str(BIN / "cloud-emulator"), *arguments, "--state", str(self.state)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
            try:
                output, errors = process.communicate()
            except BaseException:
                process.communicate()
                raise
        if process.returncode:
            raise Failure((errors or output).strip())
        return str(output)

    def environment(self, principal: str) -> dict[str, str]:
        """This process' environment, plus what a user of a cloud has: a proxy, a CA bundle and credentials. Nothing of Metaflow's is inherited."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("METAFLOW_")}
        return {**own, **json.loads(self.command("env", "--as", principal, "--format", "json"))}

    def status(self) -> dict[str, t.Any]:
        return t.cast(dict[str, t.Any], json.loads(self.command("status", "--json")))

    def forget(self) -> None:
        """Stop it, and remove its state."""
        if self.state.exists():
            self.command("down")
            shutil.rmtree(self.state)


def kubectl() -> str:
    """The kubectl that was built for the emulator, else the machine's."""
    code = "from cloud_emulator.backends.programs import folder; print(folder())"
    built = pathlib.Path(subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, check=True).stdout.strip()) / "kubectl"
    found = str(built) if built.exists() else shutil.which("kubectl")
    if found is None:
        raise Failure("There is no kubectl: run `make programs`.")
    return found
