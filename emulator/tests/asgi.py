"""Calling an ASGI application in this process, where a test needs its own clock or a backend of its own."""

from __future__ import annotations

import asyncio
import json
import typing as t
import urllib.parse


class Answer(t.NamedTuple):
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> t.Any:
        return json.loads(self.body)


def call(app: t.Any, method: str, url: str, *, form: dict[str, str] | None = None, body: t.Any = None, token: str = "") -> Answer:
    """One request."""
    parts = urllib.parse.urlsplit(url)
    content = urllib.parse.urlencode(form).encode() if form else json.dumps(body).encode() if body is not None else b""
    headers = [(b"host", parts.netloc.encode())]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http",
        "method": method,
        "path": urllib.parse.unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "scheme": "https",
        "headers": headers,
        "server": (parts.hostname, 443),
    }
    start: dict[str, t.Any] = {}
    received = bytearray()

    async def receive() -> dict[str, t.Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, t.Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            received.extend(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, bytes(received))
