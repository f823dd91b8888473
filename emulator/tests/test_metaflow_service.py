"""The stand-in for the Metaflow services, on a real PostgreSQL server that insists on TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys
import textwrap
import time
import typing as t

import psycopg2
import pytest
import requests
from cloud_emulator.backends.postgresql import PostgresqlBackend
from cloud_emulator.emulator import Emulator

KEY, HOST, PASSWORD = "server", "psql-acme.postgres.database.azure.com", "Pass@word:%1"
PACKAGE = "cloud_emulator.backends.metaflow_service"
METAFLOW_PYTHON = pathlib.Path(__file__).parents[2] / ".venv/bin/python"

Environment = dict[str, str]


@dataclasses.dataclass
class Site:
    """A database server, and the environments of the pods on it."""

    emulator: Emulator
    backend: PostgresqlBackend

    def environment(self, database: str = "metaflow", **changes: str) -> Environment:
        address = self.backend.address_of(HOST)
        assert address is not None
        ca = str(self.emulator.certificates.ca_path)
        settings = {"HOST": HOST, "PORT": str(address.port), "USER": "metaflow", "PSWD": PASSWORD, "NAME": database}
        settings |= {"SSL_MODE": "verify-full", "SSL_ROOT_CERT_PATH": ca, "SSL_ROOT_CERT": ca, **changes}
        environment = {f"MF_METADATA_DB_{name}": value for name, value in settings.items() if value}
        base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**base, **environment, "PGHOSTADDR": address.ip, "MF_SERVICE_CONNECTION_RETRY_WAITTIME_SECONDS": "0"}

    def ask(self, query: str, database: str = "metaflow") -> list[t.Any]:
        address = self.backend.address_of(HOST)
        assert address is not None
        connection = psycopg2.connect(host=address.ip, user="metaflow", password=PASSWORD, dbname=database, sslmode="require")
        with contextlib.closing(connection), connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def run(module: str, environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"{PACKAGE}.{module}", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


class Service:
    """A running program of the package."""

    def __init__(self, module: str, environment: Environment, port_name: str, host_name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {**environment, port_name: str(port), host_name: "127.0.0.1"}
        self.process = subprocess.Popen([sys.executable, "-m", f"{PACKAGE}.{module}"], env=environment)
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    return
            except OSError:
                assert self.process.poll() is None, f"{module} ended with {self.process.returncode}"
                assert time.monotonic() < deadline, f"{module} does not listen"
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def call(self, method: str, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        answer = requests.request(method, self.url + path, json=body, timeout=10)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    emulator = Emulator.open(tmp_path_factory.mktemp("state"))
    backend = PostgresqlBackend(emulator)

    async def create() -> None:
        await backend.create(KEY, hostname=HOST, administrator="metaflow", password=PASSWORD, version="17")
        for database in ("metaflow", "empty", "older"):
            await backend.create_database(KEY, database)

    asyncio.run(create())
    yield Site(emulator, backend)
    emulator.processes.sweep()


@pytest.fixture(scope="module")
def migrated(site: Site) -> Site:
    done = run("run_goose", site.environment())
    assert done.returncode == 0, done.stderr
    assert "successfully migrated database to version: 20230118020300" in done.stdout
    return site


@pytest.fixture(scope="module")
def service(migrated: Site) -> t.Iterator[Service]:
    service = Service("server", migrated.environment(), "MF_METADATA_PORT", "MF_METADATA_HOST")
    yield service
    service.stop()


@pytest.fixture(scope="module")
def ui(migrated: Site) -> t.Iterator[Service]:
    environment = {**migrated.environment(), "PATH_PREFIX": "/api", "ORIGIN_TO_ALLOW_CORS_FROM": "http://ui.example"}
    ui = Service("ui_server", environment, "MF_UI_METADATA_PORT", "MF_UI_METADATA_HOST")
    yield ui
    ui.stop()


def test_migrations_again_do_nothing(migrated: Site) -> None:
    done = run("run_goose", migrated.environment())
    assert done.returncode == 0
    assert "no migrations to run. current version: 20230118020300" in done.stdout
    assert migrated.ask("SELECT count(*), max(version_id) FROM goose_db_version") == [(12, 20230118020300)]
    owners = migrated.ask("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("metaflow",)]


def test_migrations_of_an_older_schema(site: Site) -> None:
    goose = "CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint, is_applied boolean, tstamp timestamp DEFAULT now())"
    site.ask(f"{goose}; INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true); SELECT 1", "older")
    skipped = run("run_goose", site.environment("older"), "--only-if-empty-db")
    assert skipped.returncode == 0
    assert site.ask("SELECT to_regclass('flows_v3')", "older") == [(None,)]
    assert run("run_goose", site.environment("older"), "--wait", "30").returncode == 0
    assert site.ask("SELECT max(version_id) FROM goose_db_version", "older") == [(20230118020300,)]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"SSL_MODE": ""}, "no encryption"),  # goose then says sslmode=disable, which the server refuses
        ({"SSL_ROOT_CERT": ""}, "root.crt"),  # the name that only the services know
        ({"PSWD": "wrong"}, "password authentication failed"),
        ({"HOST": "other.postgres.database.azure.com"}, "does not match host name"),
    ],
)
def test_migrations_cannot_connect(site: Site, changes: dict[str, str], error: str) -> None:
    done = run("run_goose", site.environment("empty", **changes))
    assert done.returncode == 1
    assert error in done.stderr


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"SSL_ROOT_CERT_PATH": ""}, "root.crt"),
        ({"PSWD": "wrong"}, "password authentication failed"),
        ({}, "run the migrations"),
    ],
)
@pytest.mark.parametrize("module", ["server", "ui_server"])
def test_service_ends_where_the_database_is_of_no_use(site: Site, module: str, changes: dict[str, str], error: str) -> None:
    done = run(module, {**site.environment("empty", **changes), "MF_SERVICE_CONNECTION_RETRIES": "1"})
    assert done.returncode == 1
    assert error in done.stderr


def test_service_without_a_mode_prefers_tls(migrated: Site) -> None:
    service = Service("server", migrated.environment(SSL_MODE=""), "MF_METADATA_PORT", "MF_METADATA_HOST")
    try:
        assert service.call("GET", "/healthcheck")[0] == 200
    finally:
        service.stop()


def test_admin_calls(service: Service) -> None:
    ping = requests.get(f"{service.url}/ping", timeout=10)
    assert (ping.text, ping.headers["METADATA_SERVICE_VERSION"]) == ("pong", "2.5.1")
    assert requests.get(f"{service.url}/version", timeout=10).text == "2.5.1"
    assert service.call("GET", "/healthcheck")[0] == 200


def test_run_steps_tasks_artifacts_and_metadata(service: Service) -> None:
    person = {"user_name": "ada", "tags": ["mine"], "system_tags": ["metaflow_version:2.19.39"]}
    assert service.call("GET", "/flows/F") == (404, {})
    assert service.call("POST", "/flows/F/run", person)[0] == 404  # no such flow
    assert service.call("POST", "/flows/F", person)[0] == 200
    assert service.call("POST", "/flows/F", person)[0] == 409
    status, first = service.call("POST", "/flows/F/run", person)
    assert (status, type(first["run_number"]), first["tags"]) == (200, int, ["mine"])
    assert service.call("POST", "/flows/F/run", {**person, "run_number": "mine"})[1]["run_number"] == "mine"
    assert service.call("POST", "/flows/F/run", {**person, "run_number": "7"})[0] == 400
    run = f"/flows/F/runs/{first['run_number']}"
    assert [row["run_number"] for row in service.call("GET", "/flows/F/runs")[1]] == [first["run_number"], "mine"]
    assert service.call("POST", "/flows/F/runs/999999/steps/start/step", person)[0] == 400
    assert service.call("POST", f"{run}/steps/start/step", person)[0] == 200
    assert service.call("POST", f"{run}/steps/nostep/task", person)[0] == 404
    task = service.call("POST", f"{run}/steps/start/task", person)[1]
    path = f"{run}/steps/start/tasks/{task['task_id']}"
    assert service.call("GET", path)[1]["step_name"] == "start"
    named = service.call("POST", f"{run}/steps/start/task", {**person, "task_id": "named"})[1]
    assert service.call("GET", f"{run}/steps/start/tasks/named")[1] == named
    artifacts = [
        {"name": name, "location": "x", "ds_type": "azure", "sha": "s", "attempt_id": attempt} for name, attempt in (("a", 0), ("a", 1), ("b", 0))
    ]
    assert service.call("POST", f"{path}/artifact", artifacts) == (200, {"artifacts_created": 3})
    assert service.call("POST", f"{path}/artifact", artifacts) == (200, {"artifacts_created": 0})
    assert [(row["name"], row["attempt_id"]) for row in service.call("GET", f"{path}/artifacts")[1]] == [("a", 1)]
    assert [row["name"] for row in service.call("GET", f"{path}/attempt/0/artifacts")[1]] == ["a", "b"]
    assert service.call("GET", f"{path}/artifacts/a")[1]["attempt_id"] == 1
    assert service.call("GET", f"{path}/artifacts/a/attempt/0")[1]["attempt_id"] == 0
    assert service.call("GET", f"{path}/artifacts/c")[0] == 404
    assert service.call("POST", f"{run}/steps/start/tasks/999999/metadata", [])[0] == 400
    assert service.call("POST", f"{path}/metadata", [{"field_name": "attempt", "value": "1", "type": "attempt"}]) == (200, {"metadata_created": 1})
    assert service.call("GET", f"{path}/metadata")[1][0]["value"] == "1"
    found = service.call("GET", f"{run}/steps/start/filtered_tasks?metadata_field_name=attempt&pattern=^1$")
    assert found == (200, [f"F/{first['run_number']}/start/{task['task_id']}"])
    assert service.call("GET", f"{run}/steps/start/filtered_tasks?metadata_field_name=attempt&pattern=2")[1] == []


def test_heartbeat_within_ten_seconds_of_the_last_one(service: Service, migrated: Site) -> None:
    service.call("POST", "/flows/Beats", {})
    number = service.call("POST", "/flows/Beats/run", {"system_tags": ["metaflow_version:2.19.39"]})[1]["run_number"]
    assert service.call("POST", f"/flows/Beats/runs/{number}/heartbeat", {})[0] == 404
    migrated.ask(f"UPDATE runs_v3 SET last_heartbeat_ts = last_heartbeat_ts - 11 WHERE run_number = {number} RETURNING 1")
    assert service.call("POST", f"/flows/Beats/runs/{number}/heartbeat", {}) == (200, '{"wait_time_in_seconds": 10}')


def test_tag_mutation(service: Service) -> None:
    service.call("POST", "/flows/Tags", {})
    number = service.call("POST", "/flows/Tags/run", {"tags": ["old"], "system_tags": ["sys"]})[1]["run_number"]
    path = f"/flows/Tags/runs/{number}/tag/mutate"
    assert service.call("PATCH", path, {"tags_to_add": ["new", "sys"], "tags_to_remove": ["old"]}) == (200, {"tags": ["new"]})
    assert service.call("PATCH", path, {"tags_to_add": [], "tags_to_remove": ["sys"]})[0] == 422
    assert service.call("PATCH", path, {"tags_to_add": "x"})[0] == 400
    assert service.call("PATCH", "/flows/Tags/runs/999999/tag/mutate", {"tags_to_add": [], "tags_to_remove": []})[0] == 404


def test_survives_a_restart_of_the_database(service: Service, migrated: Site) -> None:
    asyncio.run(migrated.backend.stop_server(KEY))
    assert service.call("GET", "/healthcheck")[0] == 500
    assert requests.get(f"{service.url}/ping", timeout=10).text == "pong"
    asyncio.run(migrated.backend.start_server(KEY))
    assert service.call("GET", "/healthcheck")[0] == 200


def test_ui_backend(service: Service, ui: Service, migrated: Site) -> None:
    service.call("POST", "/flows/Shown", {"user_name": "ada"})
    number = service.call("POST", "/flows/Shown/run", {"user_name": "ada"})[1]["run_number"]
    assert requests.get(f"{ui.url}/api/ping", timeout=10).text == "pong"
    assert ui.call("GET", "/api/status") == (200, {"cache": {}})
    assert ui.call("GET", "/api/features")[0] == 200
    assert "Shown" in [row["flow_id"] for row in ui.call("GET", "/api/flows")[1]["data"]]
    assert [row["run_number"] for row in ui.call("GET", "/api/flows/Shown/runs")[1]["data"]] == [number]
    assert ui.call("GET", f"/api/metadata/flows/Shown/runs/{number}")[1]["user_name"] == "ada"
    assert requests.post(f"{ui.url}/api/metadata/flows/Other", json={}, timeout=10).status_code == 405
    assert requests.get(f"{ui.url}/ping", timeout=10).status_code == 404
    allowed = requests.get(f"{ui.url}/api/ping", headers={"Origin": "http://ui.example"}, timeout=10)
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://ui.example"
    assert "Access-Control-Allow-Origin" not in requests.get(f"{ui.url}/api/ping", headers={"Origin": "http://evil.example"}, timeout=10).headers
    assert migrated.ask("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'notify_ui_%'") == [(6,)]


def test_ui_static() -> None:
    environment = {"PATH": os.environ["PATH"], "METAFLOW_SERVICE": "http://localhost:8083/api"}
    static = Service("ui_static", environment, "PORT", "HOST")
    try:
        answer = requests.get(f"{static.url}/anything", timeout=10)
        assert answer.status_code == 200
        assert "http://localhost:8083/api" in answer.text
    finally:
        static.stop()


FLOW = """
from metaflow import FlowSpec, retry, step, current

class Joined(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.each, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def each(self):
        if self.input == 1 and current.retry_count == 0:
            raise RuntimeError("the first attempt")
        self.square = self.input ** 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(i.square for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("total", self.total)

if __name__ == "__main__":
    Joined()
"""

READ = """
from metaflow import Flow, namespace
namespace(None)
run = Flow("Joined").latest_run
assert run.successful and run.finished, run
assert run.data.total == 5, run.data.total
assert [task["square"].data for task in sorted(run["each"], key=lambda t: t.id)] in ([1, 4], [4, 1])
attempts = sorted(task.current_attempt for task in run["each"])
assert attempts == [0, 1], attempts
run.add_tag("seen")
assert "seen" in Flow("Joined").latest_run.user_tags
run.remove_tag("seen")
assert "seen" not in Flow("Joined").latest_run.user_tags
assert "total 5" in run["end"].task.stdout
assert [t.pathspec for t in run["join"].task.parent_tasks], "no parents"
print("read", run.pathspec)
"""


@pytest.mark.skipif(not METAFLOW_PYTHON.exists(), reason="Metaflow is in the other environment (make setup)")
def test_a_real_flow(service: Service, tmp_path: pathlib.Path) -> None:
    (tmp_path / "flow.py").write_text(textwrap.dedent(FLOW))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "USER": "ada", "METAFLOW_SERVICE_URL": service.url}
    environment |= {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_DEFAULT_DATASTORE": "local"}
    environment |= {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path), "METAFLOW_HOME": str(tmp_path)}
    for command in (["flow.py", "--no-pylint", "run"], ["-c", READ]):
        done = subprocess.run([METAFLOW_PYTHON, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "read Joined/" in done.stdout
