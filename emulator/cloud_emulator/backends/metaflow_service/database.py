"""Connections to the database: a small pool, opened as the services open theirs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import typing as t

import psycopg2
import psycopg2.extras
import psycopg2.pool

from . import schema
from .settings import number, service_dsn

LOGGER = logging.getLogger("AsyncPostgresDB:global")
Cursor = t.Any  # psycopg2 has no types of its own


class UnusableDatabaseError(Exception):
    """The database cannot be reached, or lacks the tables; the message says which."""


class Database:
    """A pool of connections, one transaction for each use. Raises UnusableDatabaseError when it is made, psycopg2.Error later."""

    def __init__(self, *, triggers: bool) -> None:
        environ = os.environ
        most = number(environ, "MF_METADATA_DB_POOL_MAX", 10)
        self._pool = self._open(service_dsn(environ), min(number(environ, "MF_METADATA_DB_POOL_MIN", 1), most), most)
        self._free = threading.BoundedSemaphore(most)
        with self.cursor() as cursor:
            missing = schema.missing_tables(cursor)
            if missing:
                raise UnusableDatabaseError(f"The database has no table {', '.join(missing)}: run the migrations (run_goose.py) first.")
            if triggers:
                try:
                    schema.make_triggers(cursor)
                except psycopg2.Error as error:
                    raise UnusableDatabaseError(f"The triggers cannot be made: {str(error).strip()}") from error

    @contextlib.contextmanager
    def cursor(self, *, serializable: bool = False) -> t.Iterator[Cursor]:
        """A cursor whose rows are read by column name or number. Committed at the end of the block, rolled back where it raises."""
        with self._free:
            connection = self._connection()
            try:
                connection.set_session(isolation_level="SERIALIZABLE" if serializable else "DEFAULT")
                with connection, connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
                    yield cursor
            finally:
                self._pool.putconn(connection, close=bool(connection.closed))

    def _connection(self) -> t.Any:
        """A connection that answers: those from before a restart of the server are thrown away."""
        while True:
            connection = self._pool.getconn()
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return connection
            except psycopg2.Error:
                self._pool.putconn(connection, close=True)

    @staticmethod
    def _open(dsn: str, least: int, most: int) -> psycopg2.pool.ThreadedConnectionPool:
        retries = number(os.environ, "MF_SERVICE_CONNECTION_RETRIES", 3)
        for attempt in range(1, retries + 1):
            try:
                pool = psycopg2.pool.ThreadedConnectionPool(least, most, dsn)
            except psycopg2.OperationalError as error:
                LOGGER.error("Connection failed (%d of %d): %s", attempt, retries, str(error).strip())
                if attempt == retries:
                    raise UnusableDatabaseError(f"The database cannot be reached: {str(error).strip()}") from error
                time.sleep(number(os.environ, "MF_SERVICE_CONNECTION_RETRY_WAITTIME_SECONDS", 1))
            else:
                LOGGER.info("Connection established. Pool min: %d max: %d", least, most)
                return pool
        raise UnusableDatabaseError("MF_SERVICE_CONNECTION_RETRIES allows no attempt.")
