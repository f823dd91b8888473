"""The metadata service's calls: what Metaflow's client asks for while it runs a flow and while it reads results."""

from __future__ import annotations

import re
import time
import typing as t

from psycopg2.extras import Json
from starlette.routing import Route

from . import records
from .records import ARTIFACTS, FLOWS, METADATA, RUNS, STEPS, TASKS, Cursor, NotFoundError, Params, Row, Table
from .web import Call, Refused, route

HEARTBEAT_EVERY = 10  # seconds; a beat that comes sooner finds no row to write, and is answered with 404
WITH_HEARTBEATS = (2, 2, 12)  # the first Metaflow release whose runs and tasks are born with a heartbeat

FLOW = "/flows/{flow_id}"
RUN = FLOW + "/runs/{run_number}"
STEP = RUN + "/steps/{step_name}"
TASK = STEP + "/tasks/{task_id}"


def get(table: Table) -> Call:
    return lambda cursor, params, body: records.shown(records.one(cursor, table, params))


def listing(table: Table) -> Call:
    return lambda cursor, params, body: [records.shown(row) for row in records.find(cursor, table, params)]


def artifacts(cursor: Cursor, params: Params, body: t.Any) -> list[Row]:
    """Artifacts of a run, step or task: of the attempt that is asked for, else of each task's last one."""
    found = records.find(cursor, ARTIFACTS, params)
    return [records.shown(row) for row in (found if "attempt_id" in params else records.latest_attempts(found))]


def artifact(cursor: Cursor, params: Params, body: t.Any) -> Row:
    return records.shown(records.one(cursor, ARTIFACTS, params, order="attempt_id DESC"))


def add_flow(cursor: Cursor, params: Params, body: t.Any) -> Row | None:
    return records.add(cursor, FLOWS, {"flow_id": params["flow_id"], **_owner(body)})


def add_run(cursor: Cursor, params: Params, body: t.Any) -> Row:
    name = _name(body.get("run_number"), "run_id")
    return _added(cursor, RUNS, {"flow_id": params["flow_id"], "run_id": name, "last_heartbeat_ts": _first_beat(body), **_owner(body)})


def add_step(cursor: Cursor, params: Params, body: t.Any) -> Row:
    return _added(cursor, STEPS, {**_run(cursor, params), "step_name": params["step_name"], **_owner(body)})


def add_task(cursor: Cursor, params: Params, body: t.Any) -> Row:
    name = _name(body.get("task_id"), "task_name")
    place = {**_run(cursor, params), "step_name": params["step_name"], "task_name": name}
    return _added(cursor, TASKS, {**place, "last_heartbeat_ts": _first_beat(body), **_owner(body)})


def add_metadata(cursor: Cursor, params: Params, body: t.Any) -> Row:
    place = _task(cursor, params)
    for datum in body:
        fields = {name: datum.get(name, " ") for name in ("field_name", "value", "type")}
        records.add(cursor, METADATA, {**place, **fields, **_owner(datum)})
    return {"metadata_created": len(body)}


def add_artifacts(cursor: Cursor, params: Params, body: t.Any) -> Row:
    place, count = _task(cursor, params), 0
    for datum in body:
        fields = {name: datum.get(name, " ") for name in ("name", "location", "ds_type", "sha", "type", "content_type")}
        row = {**place, **fields, "attempt_id": datum.get("attempt_id", 0), **_owner(datum)}
        count += records.add(cursor, ARTIFACTS, row, skip_existing=True) is not None
    return {"artifacts_created": count}


def heartbeat(table: Table) -> Call:
    """Note that a run or task lives, at most every ten seconds. The answer is JSON inside of a JSON text, as the real service's."""

    def beat(cursor: Cursor, params: Params, body: t.Any) -> str:
        where, values = records.condition(params)
        now = int(time.time())
        due = "(last_heartbeat_ts IS NULL OR last_heartbeat_ts <= %s)"
        cursor.execute(f"UPDATE {table.name} SET last_heartbeat_ts = %s WHERE {where} AND {due}", [now, *values, now - HEARTBEAT_EVERY])  # noqa: S608
        if cursor.rowcount == 0:
            raise Refused(404, f'{{"wait_time_in_seconds": {HEARTBEAT_EVERY}}}')
        return f'{{"wait_time_in_seconds": {HEARTBEAT_EVERY}}}'

    return beat


def mutate_tags(cursor: Cursor, params: Params, body: t.Any) -> Row:
    """Remove, then add tags of a run; tags that the system set stay."""
    lists = [body.get(name) if isinstance(body, dict) else None for name in ("tags_to_add", "tags_to_remove")]
    if not all(isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) for tags in lists):
        raise Refused(400, "tags_to_add and tags_to_remove must be lists of strings")
    added, removed = (set(tags) for tags in lists if tags is not None)
    run = records.one(cursor, RUNS, params)
    system = set(run["system_tags"] or [])
    if removed & system:
        raise Refused(422, "Cannot remove tags that are existing system tags: " + ", ".join(sorted(removed & system)))
    tags = sorted(set(run["tags"] or []) - removed | added - system)
    where, values = records.condition(params)
    cursor.execute(f"UPDATE runs_v3 SET tags = %s WHERE {where}", [Json(tags), *values])  # noqa: S608  no value
    return {"tags": tags}


def filtered_tasks(cursor: Cursor, params: Params, body: t.Any) -> list[str]:
    """Path specs of a step's tasks of which a metadata field matches a pattern (found anywhere in the value); all of them without one."""
    where, values = records.condition({name: params[name] for name in ("flow_id", "run_number", "step_name")})
    tests = {"metadata_field_name": "field_name = %s", "pattern": "value ~ %s"}
    asked = [name for name in tests if name in params]
    if asked:
        where += f" AND task_id IN (SELECT task_id FROM metadata_v3 WHERE {' AND '.join(tests[name] for name in asked)})"  # noqa: S608  no value
    cursor.execute(f"SELECT * FROM tasks_v3 WHERE {where} ORDER BY task_id", [*values, *(params[name] for name in asked)])  # noqa: S608  no value
    rows = [records.shown(dict(row)) for row in cursor.fetchall()]
    return [f"{row['flow_id']}/{row['run_number']}/{row['step_name']}/{row['task_id']}" for row in rows]


READS: tuple[tuple[str, Call], ...] = (
    ("/flows", listing(FLOWS)),
    (FLOW, get(FLOWS)),
    (FLOW + "/runs", listing(RUNS)),
    (RUN, get(RUNS)),
    (RUN + "/metadata", listing(METADATA)),
    (RUN + "/artifacts", artifacts),
    (RUN + "/steps", listing(STEPS)),
    (STEP, get(STEPS)),
    (STEP + "/tasks", listing(TASKS)),
    (STEP + "/filtered_tasks", filtered_tasks),
    (STEP + "/artifacts", artifacts),
    (TASK, get(TASKS)),
    (TASK + "/metadata", listing(METADATA)),
    (TASK + "/artifacts", artifacts),
    (TASK + "/artifacts/{artifact_name}", artifact),
    (TASK + "/artifacts/{artifact_name}/attempt/{attempt_id}", artifact),
    (TASK + "/attempt/{attempt_id}/artifacts", artifacts),
)
WRITES: tuple[tuple[str, str, Call], ...] = (
    ("POST", FLOW, add_flow),
    ("POST", FLOW + "/run", add_run),
    ("POST", RUN + "/heartbeat", heartbeat(RUNS)),
    ("PATCH", RUN + "/tag/mutate", mutate_tags),
    ("POST", STEP + "/step", add_step),
    ("POST", STEP + "/task", add_task),
    ("POST", TASK + "/heartbeat", heartbeat(TASKS)),
    ("POST", TASK + "/metadata", add_metadata),
    ("POST", TASK + "/artifact", add_artifacts),
)


def routes(*, read_only: bool = False) -> list[Route]:
    """The service's routes; the UI backend serves the read-only ones, too."""
    reads = [route("GET", path, call) for path, call in READS]
    return reads if read_only else reads + [route(method, path, call) for method, path, call in WRITES]


def _added(cursor: Cursor, table: Table, values: Row) -> Row:
    added = records.add(cursor, table, values)
    assert added is not None  # only rows that are to be skipped are None
    return records.shown(added)


def _owner(body: Row) -> Row:
    return {name: body.get(name) for name in ("user_name", "tags", "system_tags")}


def _name(value: str | None, what: str) -> str | None:
    if value and str(value).isnumeric():
        raise Refused(400, {"message": f"provided {what} may not be a numeric"})
    return value or None


def _run(cursor: Cursor, params: Params) -> Row:
    try:
        row = records.one(cursor, RUNS, {name: params[name] for name in ("flow_id", "run_number")})
    except NotFoundError:
        raise Refused(400, {"message": "need to register run_id first"}) from None
    return {name: row[name] for name in records.RUN}


def _task(cursor: Cursor, params: Params) -> Row:
    try:
        row = records.one(cursor, TASKS, params)
    except NotFoundError:
        raise Refused(400, {"message": "need to register run_id and task_id first"}) from None
    return {name: row[name] for name in records.TASK}


def _first_beat(body: Row) -> int | None:
    versions = [re.match(r"metaflow_version:(\d+)\.(\d+)\.(\d+)", tag) for tag in body.get("system_tags") or []]
    beats = any(found and tuple(int(part) for part in found.groups()) >= WITH_HEARTBEATS for found in versions)
    return int(time.time()) if beats else None
