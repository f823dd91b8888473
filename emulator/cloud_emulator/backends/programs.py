"""The Kubernetes programs: built with Go from the modules that emulator/kubernetes pins, once for each set of versions, into the user's cache folder.

`python -m cloud_emulator.backends.programs` builds what is missing. Nothing is downloaded but Go modules, checked against the committed go.sum.
Programs that are there already, such as the official releases, are taken from a folder that CLOUD_EMULATOR_PROGRAMS names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import typing as t

from .npm import MissingProgramError, cache

SOURCE = pathlib.Path(__file__).parents[2] / "kubernetes"
OWN_FOLDER = "CLOUD_EMULATOR_PROGRAMS"
KUBERNETES_VERSION = "1.34.4"
HELM_VERSION = "3.19.5"
CLIENTS = ("kubectl", "helm")
GO_VERSION = (1, 24)


@dataclasses.dataclass(frozen=True)
class Program:
    """What `go build` is told: the folder with the go.mod, the package, and the variables that hold the version."""

    name: str
    module: str
    package: str
    variables: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Its name in the folder of its versions; a program whose source lies here is another file whenever the source is another one."""
        if not self.package.startswith("./"):
            return self.name
        digest = hashlib.sha256()
        for path in sorted((SOURCE / self.module / self.package).glob("*.go")):
            digest.update(path.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:12]}"


_MINOR = KUBERNETES_VERSION.split(".")[1]
_KUBERNETES = tuple(
    f"{package}.{variable}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for variable, value in (("gitVersion", f"v{KUBERNETES_VERSION}"), ("gitMajor", "1"), ("gitMinor", _MINOR), ("gitTreeState", "clean"))
)
PROGRAMS = (
    Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", _KUBERNETES),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", _KUBERNETES),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", _KUBERNETES),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", _KUBERNETES),
    Program("helm", "kubernetes", "helm.sh/helm/v3/cmd/helm", (f"helm.sh/helm/v3/internal/version.version=v{HELM_VERSION}",)),
    Program("kubelet", "kubernetes", "./kubelet"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
)


def folder() -> pathlib.Path:
    """Where the programs lie once they are built. Its name changes with the versions."""
    if own := os.environ.get(OWN_FOLDER):
        return pathlib.Path(own)
    digest = hashlib.sha256()
    for path in sorted(path for pattern in ("*/go.mod", "*/go.sum") for path in SOURCE.glob(pattern)):
        digest.update(path.read_bytes())
    return cache() / "bin" / f"kubernetes-{KUBERNETES_VERSION}-{digest.hexdigest()[:12]}"


def clients() -> pathlib.Path:
    """A folder for the PATH, with the programs that people use themselves: kubectl and helm."""
    return folder() if os.environ.get(OWN_FOLDER) else folder() / "clients"


def program(name: str) -> str:
    """The path of a program. Raises MissingProgramError where it is not built."""
    path = _path(next(program for program in PROGRAMS if program.name == name))
    if not path.exists():
        raise MissingProgramError(f"{name} is not built: run `python -m cloud_emulator.backends.programs` (or `make programs`) first.")
    return str(path)


def _path(program: Program) -> pathlib.Path:
    found = folder()
    own = os.environ.get(OWN_FOLDER) and not (found / program.file).exists()
    return found / (program.name if own else program.file)


def build() -> pathlib.Path:
    """Build the programs that are missing, telling how far it is.

    Raises MissingProgramError without a fitting Go, RuntimeError where a build fails.
    """
    target = folder()
    if missing := [program for program in PROGRAMS if not _path(program).exists()]:
        if os.environ.get(OWN_FOLDER):
            raise MissingProgramError(f"{target} ({OWN_FOLDER}) lacks {', '.join(program.name for program in missing)}.")
        target.mkdir(parents=True, exist_ok=True)
        with _locked(target):  # somebody else may be building them
            missing = [program for program in missing if not _path(program).exists()]
            _build_all(missing, target)
    else:
        print(f"The Kubernetes programs are in {target}", flush=True)
    return target


def _build_all(missing: list[Program], target: pathlib.Path) -> None:
    go = _go()
    if missing:
        print(f"Building {len(missing)} Kubernetes programs (once, about 10 minutes on 2 cores) into {target}", flush=True)
    start = time.monotonic()
    for number, program in enumerate(missing, 1):
        with _Progress(f"[{number}/{len(missing)}] {program.name}", start):
            _build(go, program, target)


def _build(go: str, program: Program, target: pathlib.Path) -> None:
    temporary = target / f".{program.name}.{os.getpid()}"
    flags = " ".join(["-s -w", *(f"-X {variable}" for variable in program.variables)])
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(temporary), program.package]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    try:
        done = subprocess.run(command, cwd=SOURCE / program.module, env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program.name} could not be built (go build ended with {done.returncode}):\n{done.stderr.strip()[-3000:]}")
        temporary.replace(target / program.file)
        if program.name in CLIENTS:
            (target / "clients").mkdir(exist_ok=True)
            link = target / "clients" / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(f"../{program.file}")
    finally:
        temporary.unlink(missing_ok=True)


def _go() -> str:
    """The path of a Go that is new enough, or one that fetches it itself. Raises MissingProgramError."""
    wanted = ".".join(map(str, GO_VERSION))
    go = shutil.which("go")
    if go is None:
        raise MissingProgramError(
            f"Go was not found: install Go {wanted} or newer to build the Kubernetes programs, or name a folder that has them in {OWN_FOLDER}."
        )
    said = subprocess.run([go, "version"], text=True, capture_output=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < GO_VERSION:
        raise MissingProgramError(f"The Kubernetes programs need Go {wanted} or newer, and {go} says: {said.strip() or 'nothing'}.")
    return go


@contextlib.contextmanager
def _locked(target: pathlib.Path) -> t.Iterator[None]:
    with (target / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Somebody else is building the Kubernetes programs; waiting for that.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Progress:
    """A line at the beginning, every 15 seconds, and at the end of the block; `start` is when the whole work began (monotonic)."""

    def __init__(self, title: str, start: float) -> None:
        self._title, self._start = title, start

    def __enter__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._tell_once("building")
        self._thread.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self._tell_once("done")

    def _tell(self) -> None:
        while not self._over.wait(15):
            self._tell_once("building")

    def _tell_once(self, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"  {self._title}: {what}, {minutes}:{seconds:02d} min so far", flush=True)


def main() -> int:
    try:
        build()
    except (MissingProgramError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
