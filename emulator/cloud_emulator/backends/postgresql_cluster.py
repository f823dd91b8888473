"""The files of one PostgreSQL server: data folder, settings, client authentication, certificate."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile

from . import npm
from .account import Account
from .postgresql_sql import SUPERUSER

# Small, and quick rather than safe from power cuts. What a user configures (ALTER SYSTEM) wins over these.
SETTINGS = """
shared_buffers = 16MB
max_wal_size = 256MB
max_connections = 60
max_worker_processes = 4
max_parallel_workers = 2
io_method = sync
jit = off
huge_pages = off
fsync = off
full_page_writes = off
timezone = UTC
log_timezone = UTC
log_line_prefix = '%m %u@%d '
password_encryption = scram-sha-256
"""


class Cluster:
    """What lies in `folder`. The `account` owns the data and runs the server."""

    def __init__(self, folder: pathlib.Path, account: Account) -> None:
        self.folder = folder
        self.account = account
        self.data = folder / "data"
        self.altered = self.data / "postgresql.auto.conf"  # what ALTER SYSTEM wrote
        self.hba = folder / "pg_hba.conf"
        self._certificate = folder / "server.crt"
        self._key = folder / "server.key"
        self.log = folder / "postgresql.log"

    def make(self) -> None:
        """Make the data folder from the template, unless it is there."""
        if self.data.exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.account.own(self.folder)
        copy = self.folder / "data.new"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(_template(self.account), copy, symlinks=True)
        self.account.own(copy)
        copy.rename(self.data)

    def authenticate(self, *, tls_only: bool) -> None:
        """Who may connect: with a password, over TLS (or over anything); and the emulator itself through the socket in its own folder."""
        kind = "hostssl" if tls_only else "host"
        self._write(self.hba, f"local all {SUPERUSER} trust\n{kind} all all all scram-sha-256\n")

    def certify(self, certificate: str, key: str) -> None:
        """The certificate and key, as PEM, that the server shows."""
        self._write(self._certificate, certificate)
        self._write(self._key, key)

    def socket_folder(self) -> pathlib.Path:
        """A folder for the server's local socket, for its owner alone; elsewhere where the path is longer than a socket's may be (107 bytes)."""
        folder = self.folder / "run"
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > 107:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="cloud-emulator-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        self.account.own(folder)
        return folder

    def command(self, ip: str, port: int, sockets: pathlib.Path) -> list[str]:
        """How the server is started. What stands here cannot be changed by ALTER SYSTEM."""
        options = {
            "listen_addresses": ip,
            "port": port,
            "unix_socket_directories": sockets,
            "unix_socket_permissions": "0700",
            "hba_file": self.hba,
            "ssl": "on",
            "ssl_cert_file": self._certificate,
            "ssl_key_file": self._key,
            "logging_collector": "off",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*self.account.prefix, str(npm.program(f"{npm.POSTGRESQL}/bin/postgres")), "-D", str(self.data), *arguments]

    def _write(self, path: pathlib.Path, content: str) -> None:
        temporary = path.with_name(f"{path.name}.new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
        self.account.own(temporary)
        temporary.replace(path)


def _template(account: Account) -> pathlib.Path:
    """A fresh data folder in the cache: initdb takes a second or two, copying what it made a tenth of that."""
    template = npm.folder() / f"initdb-{account.uid}"
    if template.exists():
        return template
    initdb = npm.program(f"{npm.POSTGRESQL}/bin/initdb")
    with tempfile.TemporaryDirectory(prefix=".initdb-", dir=npm.folder()) as temporary:
        work = pathlib.Path(temporary)
        account.own(work)
        options = ["-U", SUPERUSER, "-A", "reject", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        done = subprocess.run([*account.prefix, str(initdb), "-D", str(work / "data"), *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"PostgreSQL's initdb failed: {(done.stderr or done.stdout).strip()}")
        with (work / "data" / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        try:
            (work / "data").rename(template)
        except OSError:  # somebody else was quicker
            if not template.exists():
                raise
    return template
