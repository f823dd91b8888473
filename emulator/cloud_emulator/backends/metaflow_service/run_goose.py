"""The migrations, as the real image's run_goose.py runs them: exit 0 when the schema is up to date, also when nothing was to be done."""

from __future__ import annotations

import argparse
import os
import sys
import time
import typing as t

import psycopg2

from . import schema
from .settings import migration_dsn


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run_goose.py")
    parser.add_argument("--only-if-empty-db", action="store_true", help="do nothing where migrations ran before, even older ones")
    parser.add_argument("--wait", type=int, default=0, metavar="SECONDS", help="how long to wait for the database")
    options = parser.parse_args(arguments)
    try:
        connection = _connect(migration_dsn(os.environ), options.wait)
        with connection, connection.cursor() as cursor:
            return _up(cursor, options.only_if_empty_db)
    except psycopg2.Error as error:
        print(f"goose run: {str(error).strip()}", file=sys.stderr)
        return 1


def _connect(dsn: str, wait: int) -> t.Any:
    deadline = time.monotonic() + wait
    while True:
        try:
            return psycopg2.connect(dsn, connect_timeout=10)
        except psycopg2.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(1)


def _up(cursor: t.Any, only_if_empty: bool) -> int:
    before = schema.version(cursor)
    if before is not None and only_if_empty:
        print(f"goose_db_version exists (version {before}): skipping migrations, as asked by --only-if-empty-db")
        return 0
    missing = schema.migrate(cursor)
    for number in missing:
        print(f"OK   {number}")
    newest = schema.version(cursor)
    print(f"goose: successfully migrated database to version: {newest}" if missing else f"goose: no migrations to run. current version: {newest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
