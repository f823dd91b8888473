"""Where everything that must survive `down` and `up` is kept: JSON values by collection and key, in one SQLite file."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import threading
import typing as t

Value = dict[str, t.Any]


class Store:
    """A small key-value store. Synchronous and quick (no call waits for the network); may be called from any thread.

    Values are copies: changing what `get` gave back changes nothing until it is `put` again.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._lock = threading.RLock()
        path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # WAL with NORMAL loses nothing when the process is killed, only (at worst) the last writes of a power cut.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS items (collection TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (collection, key))")

    def get(self, collection: str, key: str) -> Value | None:
        """The value kept under `key`, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM items WHERE collection = ? AND key = ?", (collection, key)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, collection: str, key: str, value: Value) -> None:
        """Keep `value`, which must be JSON, in place of what was there."""
        text = json.dumps(value, separators=(",", ":"))
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (collection, key, text))

    def delete(self, collection: str, key: str) -> bool:
        """Forget `key`; False where it was not there."""
        with self._lock:
            return self._db.execute("DELETE FROM items WHERE collection = ? AND key = ?", (collection, key)).rowcount > 0

    def items(self, collection: str, prefix: str = "") -> list[tuple[str, Value]]:
        """All keys that start with `prefix`, with their values, ordered by key."""
        query = "SELECT key, value FROM items WHERE collection = ? AND substr(key, 1, ?) = ? ORDER BY key"
        with self._lock:
            rows = self._db.execute(query, (collection, len(prefix), prefix)).fetchall()
        return [(key, json.loads(value)) for key, value in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()
