"""How the services answer: JSON, the service's version in a header, and the status that a database error stands for."""

from __future__ import annotations

import json
import logging
import os
import sys
import typing as t

import psycopg2
import uvicorn
from psycopg2 import errors
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from . import VERSION
from .database import Database, UnusableDatabaseError
from .records import Cursor, NotFoundError, Params

HEADERS = {"METADATA_SERVICE_VERSION": VERSION}
LOGGER = logging.getLogger("metaflow_service")
Call = t.Callable[[Cursor, Params, t.Any], t.Any]


class Refused(Exception):
    """A call ends with this status and body."""

    def __init__(self, status: int, body: t.Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def answer(status: int, body: t.Any) -> Response:
    """JSON, under the content type that the real service gives it."""
    return Response(json.dumps(body), status, HEADERS, media_type="application/json")


def route(method: str, path: str, call: Call) -> Route:
    """A route whose call has a transaction of its own, the address' and the query's parameters, and the body."""

    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return answer(400, {"message": "the body is not JSON"})
        params = {**request.query_params, **request.path_params}
        return await run_in_threadpool(_run, request.app.state.database, call, params, body, method)

    return Route(path, endpoint, methods=[method])


def _run(database: Database, call: Call, params: Params, body: t.Any, method: str) -> Response:
    try:
        with database.cursor(serializable=method == "PATCH") as cursor:
            return answer(200, call(cursor, params, body))
    except Refused as refused:
        return answer(refused.status, refused.body)
    except NotFoundError:
        return answer(404, {})
    except errors.SerializationFailure:
        return answer(409, "Conflicting concurrent tag mutation, please retry")
    except psycopg2.Error as error:
        status = {errors.UniqueViolation: 409, errors.ForeignKeyViolation: 404}.get(type(error), 500)
        if status == 500:
            LOGGER.exception("Exception occurred")
        return answer(status, {"err_msg": {"pgerror": error.pgerror, "pgcode": error.pgcode}})


async def ping(request: Request) -> Response:
    return PlainTextResponse("pong", headers=HEADERS)


async def version(request: Request) -> Response:
    return PlainTextResponse(VERSION, headers=HEADERS)


def healthcheck(request: Request) -> Response:
    """200 as long as the database answers, else 500; the body is JSON inside of a JSON text, as the real service's."""
    try:
        with request.app.state.database.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        return answer(500, json.dumps({"status": "DOWN", "err_msg": str(error).strip()}))
    return answer(200, json.dumps({"status": "UP"}))


def serve(make: t.Callable[[], t.Any], host: str, port: int) -> int:
    """Serve an application until it is told to stop; 1, with one line in the log, where the database is of no use."""
    level = os.environ.get("LOGLEVEL", "INFO").upper()
    logging.basicConfig(level=level, format="%(levelname)s:%(name)s:%(message)s", stream=sys.stderr)
    try:
        application = make()
    except UnusableDatabaseError as error:
        LOGGER.critical("%s", error)
        return 1
    uvicorn.run(application, host=host, port=port, log_level=level.lower(), access_log=False, server_header=False)
    return 0
