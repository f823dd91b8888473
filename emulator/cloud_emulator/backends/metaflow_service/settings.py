"""The database's address out of the environment, as the two kinds of real programs read it: they differ where TLS is concerned."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlencode

import psycopg2
import psycopg2.extensions

PREFIX = "MF_METADATA_DB_"
MODES = ("allow", "prefer", "require", "verify-ca", "verify-full")
Environment = t.Mapping[str, str]


def service_dsn(environ: Environment) -> str:
    """How the services connect: a whole DSN where it is given and can be read, else its parts.

    Without one of MODES nothing is said about TLS, so that libpq prefers it; a root certificate's name is in MF_METADATA_DB_SSL_ROOT_CERT_PATH.
    """
    dsn = environ.get(f"{PREFIX}DSN")
    if dsn is not None:
        try:
            psycopg2.extensions.parse_dsn(dsn)
            return dsn
        except psycopg2.ProgrammingError:
            pass  # the real service, too, goes on with the parts
    parts = _parts(environ)
    options = {"host": parts["HOST"], "port": parts["PORT"], "user": parts["USER"], "password": parts["PSWD"], "dbname": parts["NAME"]}
    mode = environ.get(f"{PREFIX}SSL_MODE")
    if mode in MODES:
        options |= {"sslmode": mode, **_files(environ, {"sslcert": "SSL_CERT_PATH", "sslkey": "SSL_KEY_PATH", "sslrootcert": "SSL_ROOT_CERT_PATH"})}
    return str(psycopg2.extensions.make_dsn(**options))


def migration_dsn(environ: Environment) -> str:
    """How the migrations connect: an address whose password is quoted but for its slashes (one with a slash cannot be used).

    Without one of MODES TLS is switched off; a root certificate's name is in MF_METADATA_DB_SSL_ROOT_CERT.
    """
    parts = _parts(environ)
    mode = environ.get(f"{PREFIX}SSL_MODE")
    query = {"sslmode": "disable"}
    if mode in MODES:
        query = {"sslmode": mode, **_files(environ, {"sslcert": "SSL_CERT_PATH", "sslkey": "SSL_KEY_PATH", "sslrootcert": "SSL_ROOT_CERT"})}
    address = f"{quote(parts['USER'])}:{quote(parts['PSWD'])}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
    return f"postgresql://{address}?{urlencode(query)}"


def number(environ: Environment, name: str, default: int) -> int:
    """A number out of the environment."""
    return int(environ.get(name) or default)


def _parts(environ: Environment) -> dict[str, str]:
    defaults = {"HOST": "localhost", "PORT": "5432", "USER": "postgres", "PSWD": "postgres", "NAME": "postgres"}
    return {name: environ.get(PREFIX + name, default) for name, default in defaults.items()}


def _files(environ: Environment, names: dict[str, str]) -> dict[str, str]:
    return {option: environ[PREFIX + name] for option, name in names.items() if environ.get(PREFIX + name)}
