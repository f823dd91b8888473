"""What a cluster's API server asks of the cloud: how to change pods, whose a token is, and what its user may do."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import typing as t

from .kubernetes_api import Object

log = logging.getLogger(__name__)
PORT = 9443
LARGEST = 8 * 1024 * 1024  # bytes of a request
Answer = t.Callable[[Object], t.Awaitable[Object]]  # a review -> its response or status


class Webhooks:
    """An HTTPS server on a cluster's own address. `answers`, by path, give what is added to a review."""

    def __init__(self, ip: str, answers: t.Mapping[str, Answer]) -> None:
        self._ip, self._answers = ip, answers
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, certificate: str, key: str) -> None:
        """Listen with the certificate and key in these files."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self._server = await asyncio.start_server(self._serve, self._ip, PORT, ssl=context)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:  # the API server keeps its connections
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                length = int(headers.get("content-length", "0"))
                if length > LARGEST:
                    return
                status, answer = await self._answer(head[0].split(" ")[1].partition("?")[0], await reader.readexactly(length))
                writer.write(b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError, IndexError):
            pass  # not the API server, or one that goes down
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, path: str, body: bytes) -> tuple[bytes, bytes]:
        if path not in self._answers:
            return b"404 Not Found", b"{}"
        review = json.loads(body)
        try:
            review |= await self._answers[path](review)
        except Exception as error:  # whatever it is, the API server must be told
            log.exception("webhook %s", path)
            return b"500 Internal Server Error", json.dumps({"message": str(error)}).encode()
        return b"200 OK", json.dumps(review).encode()
