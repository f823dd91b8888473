"""What the service's superuser does inside a PostgreSQL server. Each function takes a psycopg2 cursor in autocommit mode."""

from __future__ import annotations

import re
import typing as t

from psycopg2 import errors, sql

Cursor = t.Any  # psycopg2 has no types of its own

SUPERUSER = "azuresu"  # the service's own superuser, as it is called on Azure
ADMIN_GROUP = "azure_pg_admin"
SYSTEM_DATABASES = ("azure_maintenance", "azure_sys")  # the service's own, closed to users; beside `postgres`
GRANTED = "pg_monitor, pg_signal_backend, pg_checkpoint, pg_use_reserved_connections, pg_create_subscription"


def bootstrap(cursor: Cursor, administrator: str, password: str) -> None:
    """Make what a new server has on Azure, as far as it is missing: the group of administrators, its first member, the service's databases."""
    _create(cursor, sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(ADMIN_GROUP)))
    cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(GRANTED), sql.Identifier(ADMIN_GROUP)))
    cursor.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(sql.Identifier(ADMIN_GROUP)))
    for name in SYSTEM_DATABASES:
        _create(cursor, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (administrator,))
    if cursor.fetchone() is None:
        set_administrator(cursor, administrator, password)


def set_administrator(cursor: Cursor, administrator: str, password: str) -> None:
    """Set the administrator's password; make the role where it is missing: no superuser, but may make databases and roles."""
    role = sql.Identifier(administrator)
    _create(cursor, sql.SQL("CREATE ROLE {}").format(role))
    cursor.execute(sql.SQL("ALTER ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD {}").format(role, sql.Literal(password)))
    cursor.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(ADMIN_GROUP), role))


def create_database(cursor: Cursor, name: str, charset: str, collation: str, owner: str) -> None:
    """Make a database, unless it exists. A collation of the system's library that this machine lacks is taken from ICU."""
    locale = _locale(cursor, collation)
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} {}")
    _create(cursor, statement.format(sql.Identifier(name), sql.Identifier(owner), sql.Literal(charset), locale))


def drop_database(cursor: Cursor, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def databases(cursor: Cursor) -> list[tuple[str, str]]:
    """Name and character set of each database that is no template."""
    cursor.execute("SELECT datname, pg_encoding_to_char(encoding) FROM pg_database WHERE NOT datistemplate ORDER BY datname")
    return t.cast(list[tuple[str, str]], cursor.fetchall())


def configure(cursor: Cursor, name: str, value: str) -> bool | None:
    """Set a parameter: True where the server must be restarted for it, None where PostgreSQL has no such parameter."""
    cursor.execute("SELECT context = 'postmaster' FROM pg_settings WHERE name = %s", (name,))
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    reload(cursor)
    return bool(row[0])


def reload(cursor: Cursor) -> None:
    """Have the server read its files again."""
    cursor.execute("SELECT pg_reload_conf()")


def _locale(cursor: Cursor, collation: str) -> sql.Composable:
    cursor.execute(
        "SELECT 1 FROM pg_collation WHERE collprovider = 'c' AND replace(lower(collname), '-', '') = replace(lower(%s), '-', '')", (collation,)
    )
    if cursor.fetchone() is not None:
        return sql.SQL("LOCALE {}").format(sql.Literal(collation))
    known = re.fullmatch(r"([a-z]{2,3})[_-]([A-Z]{2})(\.(?i:utf-?8))?", collation)
    if known is None:
        raise ValueError(f'invalid LC_COLLATE locale name: "{collation}"')
    return sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {} LC_COLLATE 'C' LC_CTYPE 'C'").format(sql.Literal(f"{known[1]}-{known[2]}"))


def _create(cursor: Cursor, statement: sql.Composable) -> None:
    try:
        cursor.execute(statement)
    except (errors.DuplicateObject, errors.DuplicateDatabase):
        return
