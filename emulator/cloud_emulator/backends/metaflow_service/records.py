"""Reading and writing the tables: which part of an address picks which column, and what of a row is shown."""

from __future__ import annotations

import time
import typing as t

from psycopg2.extras import Json

Cursor = t.Any  # psycopg2 has no types of its own
Params = t.Mapping[str, str]
Row = dict[str, t.Any]

OWNER = ("user_name", "ts_epoch", "tags", "system_tags")
RUN = ("flow_id", "run_number", "run_id")
TASK = (*RUN, "step_name", "task_id", "task_name")


class Table(t.NamedTuple):
    """A table: its columns, and what orders its rows."""

    name: str
    columns: tuple[str, ...]
    order: str


FLOWS = Table("flows_v3", ("flow_id", *OWNER), "ts_epoch")
RUNS = Table("runs_v3", (*RUN, *OWNER, "last_heartbeat_ts"), "run_number")
STEPS = Table("steps_v3", (*RUN, "step_name", *OWNER), "ts_epoch")
TASKS = Table("tasks_v3", (*TASK, *OWNER, "last_heartbeat_ts"), "task_id")
METADATA = Table("metadata_v3", (*TASK, "id", "field_name", "value", "type", *OWNER), "id")
ARTIFACTS = Table(
    "artifact_v3", (*TASK, "name", "location", "ds_type", "sha", "type", "content_type", "attempt_id", *OWNER), "task_id, attempt_id, name"
)


class NotFoundError(Exception):
    """No row has this address."""


def find(cursor: Cursor, table: Table, params: Params, *, order: str | None = None, limit: int | None = None) -> list[Row]:
    """The rows at an address, whole."""
    where, values = condition(params)
    tail = f" LIMIT {limit}" if limit else ""
    cursor.execute(f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where} ORDER BY {order or table.order}{tail}", values)  # noqa: S608  no value
    return [dict(row) for row in cursor.fetchall()]


def one(cursor: Cursor, table: Table, params: Params, *, order: str | None = None) -> Row:
    """The first row at an address. Raises NotFoundError."""
    for row in find(cursor, table, params, order=order, limit=1):
        return row
    raise NotFoundError


def add(cursor: Cursor, table: Table, values: Row, *, skip_existing: bool = False) -> Row | None:
    """Insert a row and return it; None for one that exists and is to be skipped."""
    row = {**values, "ts_epoch": int(time.time() * 1000)}
    row |= {name: Json(row.get(name)) for name in ("tags", "system_tags")}
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    conflict = "ON CONFLICT DO NOTHING" if skip_existing else ""
    cursor.execute(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {conflict} RETURNING {', '.join(table.columns)}",  # noqa: S608  no value
        list(row.values()),
    )
    added = cursor.fetchone()
    return dict(added) if added else None


def condition(params: Params) -> tuple[str, list[str]]:
    """The WHERE clause for an address. Runs and tasks go by their number or, where it is none, by the name that their client gave them."""
    columns = {
        "flow_id": "flow_id",
        "run_number": "run_number" if params.get("run_number", "").isnumeric() else "run_id",
        "step_name": "step_name",
        "task_id": "task_id" if params.get("task_id", "").isnumeric() else "task_name",
        "artifact_name": "name",
        "attempt_id": "attempt_id",
    }
    chosen = [(column, params[name]) for name, column in columns.items() if name in params]
    return " AND ".join(f"{column} = %s" for column, _ in chosen) or "TRUE", [value for _, value in chosen]


def shown(row: Row) -> Row:
    """A row as answers show it: the client's own name, where there is one, in place of the number."""
    visible = {name: value for name, value in row.items() if name not in ("run_id", "task_name")}
    for number, name in (("run_number", "run_id"), ("task_id", "task_name")):
        if row.get(name) is not None:
            visible[number] = row[name]
    return visible


def latest_attempts(artifacts: list[Row]) -> list[Row]:
    """Of each task's artifacts, those of its last attempt."""
    last: dict[int, int] = {}
    for artifact in artifacts:
        last[artifact["task_id"]] = max(artifact["attempt_id"], last.get(artifact["task_id"], 0))
    return [artifact for artifact in artifacts if artifact["attempt_id"] == last[artifact["task_id"]]]
