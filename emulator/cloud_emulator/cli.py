"""The command `cloud-emulator`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
import typing as t

from . import control
from .backends import programs
from .emulator import SEEDED, USER, Emulator
from .faults import Faults, change
from .har import Traffic, line_of
from .processes import Identity, Processes
from .settings import Settings
from .store import Store

PID_FILE = "daemon.json"
PATIENCE = 90.0  # seconds that `down` waits for an orderly end before it kills
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
LOCAL = ("NO_PROXY", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
CREDENTIALS = (*(f"{prefix}_CLIENT_{what}" for prefix in ("AZURE", "ARM") for what in ("ID", "SECRET")), "AZURE_USERNAME", "AZURE_PASSWORD")
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # the application that users sign in with
OUTSIDE = "CLOUD_EMULATOR_OUTSIDE"  # JSON: what of the environment `env` has covered, for what must reach the world outside


class Refusal(Exception):
    """Why a command cannot be done: one sentence."""


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run one command; the exit status (0, or 1 with one sentence on standard error)."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (Refusal, control.ControlError, ValueError) as error:
        print(f"cloud-emulator: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return 0


def default_state() -> pathlib.Path:
    """$CLOUD_EMULATOR_STATE, else a folder in the user's state directory."""
    if chosen := os.environ.get("CLOUD_EMULATOR_STATE"):
        return pathlib.Path(chosen)
    return pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state") / "cloud-emulator"


# up, down ----------------------------------------------------------------------------------------------------------------------------


def up(options: argparse.Namespace) -> None:
    state: pathlib.Path = options.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = state.resolve()
    with _locked(state):
        running = _running(state)
        if running:
            control.call(state, "ready", timeout=600)  # an `up` that was interrupted may have left it on its way
            print(f"The emulator runs already, at {running['proxy']}.")
        else:
            began = time.monotonic()
            running = _start(state)
            print(f"The emulator is up after {time.monotonic() - began:.1f} s, at {running['proxy']}.")
    extra = "" if state == default_state().resolve() else f" --state {shlex.quote(str(state))}"
    print(f'Point clients at it with: eval "$(cloud-emulator env{extra})"')


def _start(state: pathlib.Path) -> dict[str, t.Any]:
    reader, writer = os.pipe()
    log = os.open(state / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    start = os.lseek(log, 0, os.SEEK_END)
    try:
        subprocess.Popen(
            [sys.executable, "-m", "cloud_emulator.daemon", str(state), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_own_environment(),
            pass_fds=[writer],
            start_new_session=True,
        )
    finally:
        os.close(writer)
        os.close(log)
    with os.fdopen(reader) as stream:
        answered = stream.readline()  # ends also when the process does
    running = _running(state)
    if not answered or not running:
        with (state / "daemon.log").open() as file:
            file.seek(start)
            tail = file.read().strip().splitlines()[-15:]
        raise Refusal("the emulator did not start; the end of its log:\n" + "\n".join(tail))
    return running


def _own_environment() -> dict[str, str]:
    """The environment as it was before `env` was evaluated: the daemon's own downloads must not go through an emulator."""
    environment = dict(os.environ)
    if OUTSIDE in environment:
        covered = json.loads(environment.pop(OUTSIDE))
        for name in (*PROXIES, *LOCAL, *BUNDLES, "NODE_EXTRA_CA_CERTS"):
            environment.pop(name, None)
        environment.update(covered)
    return environment


def down(options: argparse.Namespace) -> None:
    state: pathlib.Path = options.state
    if not (state / "store.sqlite").exists():
        print("The emulator does not run.")
        return
    state = state.resolve()
    with _locked(state):
        running = _running(state)
        if running:
            daemon = Identity(running["pid"], running["started"])
            for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, 5.0)):
                if daemon.is_alive:
                    os.kill(daemon.pid, number)
                deadline = time.monotonic() + patience
                while daemon.is_alive and time.monotonic() < deadline:
                    time.sleep(0.1)
        store = Store(state / "store.sqlite")
        Processes(store, state).sweep()
        store.close()
        (state / PID_FILE).unlink(missing_ok=True)
    print("The emulator is down; its state stays." if running else "The emulator does not run.")


@contextlib.contextmanager
def _locked(state: pathlib.Path) -> t.Iterator[None]:
    """One `up` or `down` at a time."""
    with (state / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _running(state: pathlib.Path) -> dict[str, t.Any] | None:
    """pid, started and proxy of the daemon, or None where it does not run (a number given to another process since is not mistaken)."""
    try:
        record: dict[str, t.Any] = json.loads((state / PID_FILE).read_text())
    except (OSError, ValueError):
        return None
    return record if Identity(record["pid"], record["started"]).is_alive else None


# status, env -------------------------------------------------------------------------------------------------------------------------


def status(options: argparse.Namespace) -> None:
    state: pathlib.Path = options.state
    running = _running(state)
    report: dict[str, t.Any] = {
        "running": running is not None,
        "pid": running["pid"] if running else None,
        "proxy": running["proxy"] if running else None,
        "state": str(state),
        "resources": [],
        "processes": control.call(state, "status")["processes"] if running else [],
    }
    if (state / "store.sqlite").exists():
        store = Store(state / "store.sqlite")
        report["resources"] = [{"id": value.get("id", key), "type": value.get("type", "")} for key, value in store.items("resources")]
        store.close()
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"running at {running['proxy']}, process {running['pid']}" if running else "not running", f"(state in {state})")
    for title, lines in (
        ("resources", [resource["id"] for resource in report["resources"]]),
        ("processes", [f"{process['pid']:>7} {process['name']}" for process in report["processes"]]),
    ):
        print(f"{len(lines)} {title}" + ("" if not lines else ":"))
        for line in lines:
            print(f"  {line}")


def env(options: argparse.Namespace) -> None:
    state: pathlib.Path = options.state
    running = _running(state)
    if not running:
        raise Refusal("the emulator does not run; start it with `cloud-emulator up`")
    emulator = Emulator.open(state)
    values = environment(emulator, running["proxy"], options.principal)
    emulator.store.close()
    if options.format == "json":
        print(json.dumps(values, indent=2))
        return
    for name in [name for name in CREDENTIALS if name not in values]:  # of somebody else, from before
        print(f"unset {name}")
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")


def environment(emulator: Emulator, proxy_url: str, principal: str = SEEDED[0]) -> dict[str, str]:
    """What a client needs in its environment to find the emulator as it finds Azure, signed in as one of the seeded principals."""
    credentials = emulator.credentials[principal]
    covered = (*PROXIES, *LOCAL, *BUNDLES, "NODE_EXTRA_CA_CERTS")
    azure = {"TENANT_ID": emulator.tenant_id, "SUBSCRIPTION_ID": emulator.subscription_id}
    if principal == USER:
        person = {"AZURE_USERNAME": credentials["username"], "AZURE_PASSWORD": credentials["password"], "AZURE_CLIENT_ID": AZURE_CLI}
    else:
        person = {}
        azure |= {"CLIENT_ID": credentials["client_id"], "CLIENT_SECRET": credentials["client_secret"]}
    return {
        **dict.fromkeys(PROXIES, proxy_url),
        **dict.fromkeys(LOCAL, "127.0.0.1,localhost"),
        **dict.fromkeys(BUNDLES, str(emulator.certificates.bundle_path)),
        "NODE_EXTRA_CA_CERTS": str(emulator.certificates.ca_path),
        **{f"AZURE_{name}": value for name, value in azure.items()},
        **{f"ARM_{name}": value for name, value in azure.items()},
        **person,
        "PATH": _path_with_clients(),
        "CLOUD_EMULATOR_OBJECT_ID": credentials["object_id"],
        "CLOUD_EMULATOR_STATE": str(emulator.state),
        OUTSIDE: os.environ.get(OUTSIDE) or json.dumps({name: os.environ[name] for name in covered if name in os.environ}),
    }


def _path_with_clients() -> str:
    """The PATH with kubectl and helm of the clusters' version in front."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    own = str(programs.clients())
    return os.pathsep.join([own, *(folder for folder in path if folder != own)])


# settings, faults, log ---------------------------------------------------------------------------------------------------------------


def settings(options: argparse.Namespace) -> None:
    changes = {}
    for text in options.changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise Refusal(f"'{text}' is not of the form NAME=VALUE")
        changes[name] = value
    if _running(options.state):
        values = control.call(options.state, "settings", changes=changes)
    else:
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = Settings(options.state / "settings.json")
        kept.update(changes)
        values = kept.all()
    for name, value in values.items():
        print(f"{name}={value}")


def faults(options: argparse.Namespace) -> None:
    text = ""
    if options.action in ("set", "add"):
        text = sys.stdin.read() if options.file == "-" else _read(options.file)
    if _running(options.state):
        rules = control.call(options.state, "faults", action=options.action, text=text)
    else:
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = Store(options.state / "store.sqlite")
        rules = change(Faults(store), options.action, text)
        store.close()
    if options.json:
        print(json.dumps(rules, indent=2))
        return
    if not rules:
        print("no fault rules")
    for number, rule in enumerate(rules, 1):
        left = "for ever" if rule["times"] is None else f"{rule['times']} left"
        after = f", after {rule['after']} more" if rule["after"] else ""
        effect = ", ".join(f"{name} {json.dumps(rule[name])}" for name in ("delay", "drop", "status", "operation_error") if rule[name])
        print(f"{number}. {rule['method']} {rule['path']}: {effect} ({left}{after})")


def log(options: argparse.Namespace) -> None:
    traffic = Traffic(options.state / "traffic.jsonl")
    if options.mark:
        print(datetime.datetime.now(datetime.UTC).isoformat())
    elif options.clear:
        traffic.clear()
    elif options.har:
        document = json.dumps(traffic.har(options.since, options.secrets), indent=1)
        with os.fdopen(os.open(options.har, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(document)
    else:
        for line in [line_of(entry) for entry in traffic.entries(options.since)][-options.lines :]:
            print(line)


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloud-emulator", description="Azure on one machine, behind the real host names, for unmodified clients.")
    common = argparse.ArgumentParser(add_help=False)
    state: dict[str, t.Any] = {"type": pathlib.Path, "help": f"folder that holds everything of one emulator ({default_state()})"}
    parser.add_argument("--state", default=default_state(), **state)
    common.add_argument("--state", default=argparse.SUPPRESS, **state)  # the same after the command, without undoing the one before
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: t.Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(run=run)
        return added

    command("up", up, "start the emulator in the background; does nothing where it runs")
    command("down", down, "stop it, with everything it started; the state stays")
    added = command("status", status, "whether it runs, what exists in it, its processes")
    added.add_argument("--json", action="store_true")
    added = command("env", env, "print what clients need in their environment")
    added.add_argument("--as", dest="principal", choices=(*SEEDED, USER), default=SEEDED[0], help="who to sign in as (%(default)s)")
    added.add_argument("--format", choices=("shell", "json"), default="shell")
    added = command("settings", settings, "print the settings, and change some first")
    added.add_argument("changes", nargs="*", metavar="NAME=VALUE", help="an empty value takes a setting back to its default")
    added = command("faults", faults, "make calls fail: set or add rules of a YAML file, list or clear them")
    actions = added.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("set", "put these rules in place of all others"),
        ("add", "add these rules"),
        ("clear", "forget all"),
        ("list", "what is left"),
    ):
        action = actions.add_parser(name, help=text, description=text, parents=[common])
        action.add_argument("--json", action="store_true")
        if name in ("set", "add"):
            action.add_argument("file", help="a YAML file, or - for standard input")
    added = command("log", log, "show the requests that were made")
    added.add_argument("--lines", "-n", type=int, default=50, help="how many of the last ones (%(default)s)")
    added.add_argument("--har", metavar="FILE", help="write a HAR file instead")
    added.add_argument("--since", metavar="TIME", default="", help="only what came from this time on (ISO 8601, as --mark prints it)")
    added.add_argument("--secrets", action="store_true", help="leave passwords, keys and tokens in the HAR file")
    added.add_argument("--mark", action="store_true", help="print the present time, for --since")
    added.add_argument("--clear", action="store_true", help="forget the requests made so far")
    return parser


if __name__ == "__main__":
    sys.exit(main())
