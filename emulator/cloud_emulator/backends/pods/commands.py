"""Which local program stands for what an image would run."""

from __future__ import annotations

import os
import pathlib
import re
import sys
import typing as t

from ..kubernetes_api import Object
from ..stages import RUN_IMAGES
from .files import localise

SOURCE = "METAFLOW_SERVICE_SRC"  # a checkout of the real metadata service, to be run instead of the stand-in
PYTHON = "METAFLOW_SERVICE_PYTHON"  # the Python that has its requirements; else the checkout's own .venv, else the emulator's
STAND_IN = "cloud_emulator.backends.metaflow_service"
IMAGE_PYTHON, IMAGE_MIGRATIONS = "/opt/latest/bin/python3", "/root/run_goose.py"
PROGRAMS = {IMAGE_PYTHON: sys.executable}  # where our kubelet finds what `kubectl exec` asks for
MODULES = {"services.metadata_service.server": f"{STAND_IN}.server", "services.ui_backend_service.ui_server": f"{STAND_IN}.ui_server"}


def is_run(image: str) -> bool:
    """Whether there is a program here for this image."""
    return any(part in image for part in RUN_IMAGES)


def is_ui(image: str) -> bool:
    """Whether it is the image of the UI's pages."""
    return "metaflow_ui" in image


def command(container: Object, words: t.Sequence[str], paths: t.Mapping[str, str] | None = None) -> list[str]:
    """The words to run on this machine for a container's command and arguments (`words`, expanded; empty = what the image says).

    Where a word names a path in the container that is mounted, `paths` says where that is here; our own programs may lie below such a path.
    """
    if is_ui(container["image"]):
        return [sys.executable, "-m", f"{STAND_IN}.ui_static"]
    words = list(words) or [IMAGE_PYTHON, "-m", "services.metadata_service.server"]
    local: list[str] = []
    for word in words:
        local += ["-m", f"{STAND_IN}.run_goose"] if word == IMAGE_MIGRATIONS else [_translated(word, paths or {})]
    return local


def environment() -> dict[str, str]:
    """What the image itself sets, as far as it matters here, and where the real programs are if they are to be used."""
    found = {
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    if source := os.environ.get(SOURCE):
        found["PYTHONPATH"] = source
    return found


def _translated(word: str, paths: t.Mapping[str, str]) -> str:
    """Also inside of a shell's command line."""
    replacements = {IMAGE_PYTHON: _python(), IMAGE_MIGRATIONS: f"-m {STAND_IN}.run_goose", **({} if os.environ.get(SOURCE) else MODULES)}
    pattern = "|".join(re.escape(text) for text in replacements)
    parts = re.split(rf"(?<![\w./-])({pattern})(?![\w./-])", word)  # what stands between the programs, and, in every other place, the programs
    return "".join(replacements[part] if place % 2 else localise(part, paths) for place, part in enumerate(parts))


def _python() -> str:
    source = os.environ.get(SOURCE)
    if not source:
        return sys.executable
    own = pathlib.Path(source) / ".venv" / "bin" / "python"
    return os.environ.get(PYTHON) or (str(own) if own.exists() else sys.executable)
