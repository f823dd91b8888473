"""How the command line talks to the running emulator: one JSON object each way over a Unix socket in the state folder."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import socket
import typing as t

Handler = t.Callable[[dict[str, t.Any]], t.Awaitable[t.Any]]
NAME = "control.sock"
LIMIT = 16 * 1024 * 1024  # bytes of one message


class ControlError(Exception):
    """The emulator refused a command; the message is one sentence."""


async def serve(state: pathlib.Path, handlers: dict[str, Handler]) -> asyncio.AbstractServer:
    """Answer commands until the server that is returned is closed. Only the owner of the state may connect."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            message = json.loads(await reader.readline())
            try:
                reply = {"result": await handlers[message["command"]](message)}
            except ValueError as error:
                reply = {"error": str(error)}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        finally:
            writer.close()

    (state / NAME).unlink(missing_ok=True)
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(answer, _short(folder), limit=LIMIT)
    finally:
        os.umask(before)
        os.close(folder)


def call(state: pathlib.Path, command: str, timeout: float = 60, **arguments: t.Any) -> t.Any:
    """The running emulator's answer to a command. Raises ControlError where it refuses, OSError where it cannot be reached."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(_short(folder))
            connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                reply = json.loads(stream.readline())
    finally:
        os.close(folder)
    if "error" in reply:
        raise ControlError(reply["error"])
    return reply["result"]


def _short(folder: int) -> str:
    """The socket's path by the open folder: the path itself may be longer than the 108 bytes that a socket's may have."""
    return f"/proc/self/fd/{folder}/{NAME}"
