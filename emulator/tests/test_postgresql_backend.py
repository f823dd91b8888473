"""Real PostgreSQL servers, as a client on the network sees them."""

from __future__ import annotations

import asyncio
import pathlib
import typing as t

import psycopg2
import pytest
from cloud_emulator.backends.postgresql import PostgresqlBackend
from cloud_emulator.emulator import Emulator

KEY = "/subscriptions/s/resourcegroups/rg/providers/microsoft.dbforpostgresql/flexibleservers/psql-acme"
HOST = "psql-acme.metaflow.postgres.database.azure.com"
ADMIN, PASSWORD = "metaflow", "Quote'%s\"Slash/1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Emulator]:
    emulator = Emulator.open(tmp_path_factory.mktemp("state"))
    yield emulator
    emulator.processes.sweep()


@pytest.fixture(scope="module")
def backend(emulator: Emulator) -> PostgresqlBackend:
    backend = PostgresqlBackend(emulator)
    asyncio.run(backend.create(KEY, hostname=HOST, administrator=ADMIN, password=PASSWORD, version="17"))
    asyncio.run(backend.create_database(KEY, "flows"))
    return backend


@pytest.fixture
def connect(emulator: Emulator, backend: PostgresqlBackend) -> t.Callable[..., t.Any]:
    def connect(**changes: t.Any) -> t.Any:
        found = backend.address_of(HOST)
        assert found is not None
        options: dict[str, t.Any] = {"host": HOST, "hostaddr": found.ip, "port": found.port, "dbname": "flows", "user": ADMIN, "password": PASSWORD}
        options |= {"sslmode": "verify-full", "sslrootcert": str(emulator.certificates.ca_path)}
        connection = psycopg2.connect(**options | changes)
        connection.autocommit = True
        return connection

    return connect


def ask(connection: t.Any, query: str) -> list[t.Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_administrator_connects_over_verified_tls_and_makes_tables(connect: t.Callable[..., t.Any]) -> None:
    connection = connect()
    assert ask(connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    assert ask(connection, "CREATE TABLE runs (id serial); INSERT INTO runs DEFAULT VALUES RETURNING id") == [(1,)]
    assert ask(connection, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user") == [(False, True, True)]
    assert ask(connection, "SELECT pg_has_role('azure_pg_admin', 'member')") == [(True,)]


def test_certificate_carries_the_address_too(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    address = backend.address_of(HOST)
    assert address is not None
    assert ask(connect(host=address.ip), "SELECT 1") == [(1,)]


def test_other_name_fails_verification(connect: t.Callable[..., t.Any]) -> None:
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        connect(host="other.postgres.database.azure.com")


def test_wrong_password_and_the_services_own_superuser_are_refused(connect: t.Callable[..., t.Any]) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(password="wrong")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(user="azuresu")


def test_require_secure_transport(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        connect(sslmode="disable")
    asyncio.run(backend.configure(KEY, "require_secure_transport", "off"))
    try:
        assert ask(connect(sslmode="disable"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(False,)]
    finally:
        asyncio.run(backend.configure(KEY, "require_secure_transport", "ON"))
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        connect(sslmode="disable")


def test_password_change(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    asyncio.run(backend.set_password(KEY, ADMIN, "Another-1"))
    try:
        with pytest.raises(psycopg2.OperationalError):
            connect()
        assert ask(connect(password="Another-1"), "SELECT 1") == [(1,)]
    finally:
        asyncio.run(backend.set_password(KEY, ADMIN, PASSWORD))


def test_create_again_changes_neither_password_nor_data(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    address = asyncio.run(backend.create(KEY, hostname=HOST, administrator=ADMIN, password="Ignored-1", version="17"))
    assert address == backend.address_of(HOST)
    assert ask(connect(), "SELECT 1") == [(1,)]


def test_databases(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    asyncio.run(backend.create_database(KEY, "swedish", "UTF8", "sv_SE.utf8"))
    asyncio.run(backend.create_database(KEY, "swedish", "UTF8", "sv_SE.utf8"))
    assert ask(connect(dbname="swedish"), "SELECT name FROM (VALUES ('z'), ('ö'), ('a')) AS v(name) ORDER BY name") == [("a",), ("z",), ("ö",)]
    found = {database["name"]: database for database in asyncio.run(backend.databases(KEY))}
    assert set(found) == {"azure_maintenance", "azure_sys", "flows", "postgres", "swedish"}
    assert found["swedish"] == {"name": "swedish", "charset": "UTF8", "collation": "sv_SE.utf8"}
    busy = connect(dbname="swedish")
    asyncio.run(backend.drop_database(KEY, "swedish"))
    asyncio.run(backend.drop_database(KEY, "swedish"))
    assert "swedish" not in {database["name"] for database in asyncio.run(backend.databases(KEY))}
    busy.close()


@pytest.mark.parametrize(("charset", "collation"), [("NOPE", "en_US.utf8"), ("UTF8", "nonsense")])
def test_bad_charset_or_collation(backend: PostgresqlBackend, charset: str, collation: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)nope|nonsense"):
        asyncio.run(backend.create_database(KEY, "bad", charset, collation))


def test_services_databases_are_closed(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        connect(dbname="azure_maintenance")
    with pytest.raises(ValueError, match="belongs to the service"):
        asyncio.run(backend.drop_database(KEY, "azure_maintenance"))


def test_configure(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    asyncio.run(backend.configure(KEY, "log_min_duration_statement", "250"))
    assert ask(connect(), "SHOW log_min_duration_statement") == [("250ms",)]
    asyncio.run(backend.configure(KEY, "max_connections", "30"))  # needs a restart
    assert ask(connect(), "SHOW max_connections") == [("30",)]
    asyncio.run(backend.configure(KEY, "azure.accepted_password_auth_method", "scram-sha-256"))
    with pytest.raises(ValueError, match="invalid value"):
        asyncio.run(backend.configure(KEY, "log_min_duration_statement", "soon"))


def test_value_that_keeps_the_server_from_starting_is_taken_back(connect: t.Callable[..., t.Any], backend: PostgresqlBackend) -> None:
    with pytest.raises(ValueError, match="did not start"):
        asyncio.run(backend.configure(KEY, "shared_buffers", "8000GB"))
    assert ask(connect(), "SHOW shared_buffers") == [("16MB",)]


def test_stop_and_start(connect: t.Callable[..., t.Any], backend: PostgresqlBackend, emulator: Emulator) -> None:
    connection = connect()
    ask(connection, "CREATE TABLE kept AS SELECT 1 AS one; SELECT 1")
    asyncio.run(backend.stop_server(KEY))
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        connect()
    after_restart = PostgresqlBackend(emulator)
    asyncio.run(after_restart.start())  # stopped servers stay so
    assert not emulator.processes.running()
    asyncio.run(backend.start_server(KEY))
    assert ask(connect(), "SELECT one FROM kept") == [(1,)]


def test_comes_back_after_the_emulator_was_down(connect: t.Callable[..., t.Any], emulator: Emulator) -> None:
    ask(connect(), "CREATE TABLE persisted AS SELECT 2 AS two; SELECT 1")
    emulator.processes.sweep()
    assert not emulator.processes.running()
    asyncio.run(PostgresqlBackend(emulator).start())
    assert ask(connect(), "SELECT two FROM persisted") == [(2,)]


def test_two_servers_and_delete(tmp_path: pathlib.Path, emulator: Emulator, backend: PostgresqlBackend) -> None:
    other = PostgresqlBackend(emulator)
    address = asyncio.run(other.create("second", hostname="second.example.com", administrator="boss", password="Secret-123", version="16"))
    assert address.port == 5432
    assert address != backend.address_of(HOST)
    folders = set((emulator.state / "postgresql").iterdir())
    asyncio.run(other.delete("second"))
    asyncio.run(other.delete("second"))
    assert other.address_of("second.example.com") is None
    assert len(folders - set((emulator.state / "postgresql").iterdir())) == 1
    with pytest.raises(KeyError):
        asyncio.run(other.set_password("second", "boss", "Other-1234"))


def test_state_folder_with_a_long_path(tmp_path: pathlib.Path) -> None:
    """A socket's path may have 107 bytes; a folder's may be longer."""
    emulator = Emulator.open(tmp_path / ("long" * 30))
    backend = PostgresqlBackend(emulator)

    async def walk() -> list[dict[str, str]]:
        await backend.create("long", hostname="long.example.com", administrator="boss", password="Secret-123", version="16")
        try:
            return await backend.databases("long")
        finally:
            await backend.delete("long")

    assert {"name": "postgres", "charset": "UTF8", "collation": "en_US.utf8"} in asyncio.run(walk())
    assert not emulator.processes.running()
