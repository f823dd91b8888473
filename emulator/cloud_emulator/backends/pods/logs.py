"""A container's output, written as container runtimes do it: one line each with time, stream and F (P for a part of a long line)."""

from __future__ import annotations

import asyncio
import datetime
import os
import pathlib

LONGEST = 16 * 1024


class Log:
    """The log of one run of a container."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0)
        self.last: list[str] = []  # the last lines, for messages

    async def follow(self, stream: asyncio.StreamReader, name: str) -> None:
        """Write what comes from a stream until it ends."""
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            self._write(name, [(b"F", line) for line in lines])
            while len(rest) >= LONGEST:
                self._write(name, [(b"P", rest[:LONGEST])])
                rest = rest[LONGEST:]
        if rest:
            self._write(name, [(b"F", rest)])

    def _write(self, name: str, lines: list[tuple[bytes, bytes]]) -> None:
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        if lines and not self._file.closed:
            self._file.write(b"".join(b" ".join((moment, name.encode(), tag, line)) + b"\n" for tag, line in lines))
        self.last = [*self.last, *(line.decode(errors="replace") for _, line in lines)][-20:]

    def close(self) -> None:
        self._file.close()
