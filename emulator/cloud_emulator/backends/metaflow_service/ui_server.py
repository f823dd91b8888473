"""The UI backend: `python -m cloud_emulator.backends.metaflow_service.ui_server`, configured as the real one by the environment."""

from __future__ import annotations

import os
import sys
import typing as t

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from . import metadata, records
from .database import Database
from .records import Cursor, Params, Table
from .settings import number
from .web import Call, answer, ping, route, serve, version


async def features(request: Request) -> Response:
    """The feature switches of the environment: on unless FEATURE_X_DISABLE is set."""
    switches = {name: value not in ("1", "true", "t") for name, value in os.environ.items() if name.startswith("FEATURE_")}
    return answer(200, {name.removesuffix("_DISABLE"): on for name, on in switches.items()})


async def status(request: Request) -> Response:
    """The state of the caches, of which this backend has none."""
    return answer(200, {"cache": {}})


async def empty(request: Request) -> Response:
    return answer(200, [])


def page(table: Table, *, single: bool = False) -> Call:
    """Rows in the envelope that the web pages expect, newest first, `_limit` and `_page` as they ask."""

    def call(cursor: Cursor, params: Params, body: t.Any) -> dict[str, t.Any]:
        if single:
            return {"data": records.shown(records.one(cursor, table, params)), "status": 200}
        limit, this = min(int(params.get("_limit", 10)), 100), int(params.get("_page", 1))
        rows = [records.shown(row) for row in records.find(cursor, table, params, order="ts_epoch DESC")]
        data = rows[(this - 1) * limit : this * limit]
        last = max(1, -(-len(rows) // limit))
        pages = {"self": this, "first": 1, "prev": max(1, this - 1), "next": this + 1 if this < last else None, "last": last}
        return {"data": data, "status": 200, "pages": pages, "query": {"_limit": limit, "_page": this}}

    return call


def routes() -> list[BaseRoute]:
    admin = [Route("/ping", ping), Route("/version", version), Route("/features", features), Route("/status", status)]
    admin += [Route(path, empty) for path in ("/links", "/notifications", "/plugin")]
    flow, run, step = "/flows/{flow_id}", "/flows/{flow_id}/runs/{run_number}", "/flows/{flow_id}/runs/{run_number}/steps/{step_name}"
    pages = [
        ("/flows", page(records.FLOWS)),
        (flow, page(records.FLOWS, single=True)),
        ("/runs", page(records.RUNS)),
        (f"{flow}/runs", page(records.RUNS)),
        (run, page(records.RUNS, single=True)),
        (f"{run}/steps", page(records.STEPS)),
        (f"{run}/tasks", page(records.TASKS)),
        (f"{step}/tasks", page(records.TASKS)),
    ]
    return [*admin, *(route("GET", path, call) for path, call in pages), Mount("/metadata", routes=metadata.routes(read_only=True))]


def app() -> Starlette:
    """The application. Raises UnusableDatabaseError where the database is of no use; only the tables' owner may make the triggers."""
    prefix = os.environ.get("PATH_PREFIX", "").rstrip("/")
    origins = [origin for origin in os.environ.get("ORIGIN_TO_ALLOW_CORS_FROM", "*").split(",") if origin]
    cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET"], expose_headers=["*"])
    application = Starlette(routes=[Mount(prefix, routes=routes())] if prefix else routes(), middleware=[cors])
    application.state.database = Database(triggers=os.environ.get("DB_TRIGGER_CREATE", "1") == "1")
    return application


if __name__ == "__main__":
    host = os.environ.get("MF_UI_METADATA_HOST", "0.0.0.0")  # noqa: S104  as the real one
    sys.exit(serve(app, host, number(os.environ, "MF_UI_METADATA_PORT", 8083)))
