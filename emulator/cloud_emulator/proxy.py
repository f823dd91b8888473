"""The proxy in front of everything: a host name's TLS, and who answers it. What no part answers is refused; nothing ever leaves the machine."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import logging
import typing as t
import urllib.parse

from mitmproxy import http, options
from mitmproxy.addons import core, disable_h2c, next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.proxy import layer, layers, server_hooks

from .emulator import Emulator
from .faults import Rule
from .har import Traffic

Scope = dict[str, t.Any]
Receive = t.Callable[[], t.Awaitable[dict[str, t.Any]]]
Send = t.Callable[[dict[str, t.Any]], t.Awaitable[None]]
App = t.Callable[[t.Any, t.Any, t.Any], t.Awaitable[None]]
log = logging.getLogger(__name__)


class Upstream(t.Protocol):
    """Hosts whose requests are looked at, then passed on to a server of the emulator's."""

    def address_of(self, host: str) -> tuple[str, int] | None:
        """Where the server that stands for `host` listens, None where there is no such host."""

    async def check(self, flow: http.HTTPFlow) -> None:
        """Refuse the request by giving the flow a response, or leave it alone."""


class Router:
    """The addon that decides, by host name, what becomes of a connection and of each request."""

    def __init__(self, emulator: Emulator, apps: dict[str, App], upstreams: dict[str, Upstream], traffic: Traffic) -> None:
        self._emulator = emulator
        self._apps = apps
        self._upstreams = upstreams
        self._traffic = traffic
        self._running = asyncio.Event()
        self._forwarded: dict[tuple[str, int], str] = {}  # address of a server behind -> host name that it stands for

    def running(self) -> None:
        self._running.set()

    async def listening(self, master: Master) -> None:
        """Wait until the proxy listens. Raises RuntimeError where it can't."""
        await self._running.wait()
        if not t.cast(proxyserver.Proxyserver, master.addons.get("proxyserver")).listen_addrs():
            raise RuntimeError("the proxy cannot listen; is its port taken?")

    # Connections ---------------------------------------------------------------------------------------------------------------------

    def http_connect(self, flow: http.HTTPFlow) -> None:
        host, port = flow.request.host.lower(), flow.request.port
        tunnel = self._emulator.tunnels.get(host)
        if tunnel and port == 443:
            flow.request.host, flow.request.port = tunnel
        elif reason := self._refusal(host, port):
            flow.response = refuse(reason)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        if nextlayer.context.server.address in self._emulator.tunnels.values():
            nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        address = data.server.address
        if address in self._forwarded:
            data.server.sni = self._forwarded[t.cast(tuple[str, int], address)]
        elif address not in self._emulator.tunnels.values():
            data.server.error = "The emulator connects to nothing outside of itself."

    # Requests ------------------------------------------------------------------------------------------------------------------------

    async def request(self, flow: http.HTTPFlow) -> None:
        flow.metadata["url"] = flow.request.url
        host = flow.request.host.lower()
        if reason := self._refusal(host, flow.request.port):
            flow.response = refuse(reason)
            return
        if self._emulator.settings.latency:
            await asyncio.sleep(self._emulator.settings.latency)
        rule = self._emulator.faults.take(flow.request.method, host, flow.request.path.partition("?")[0])
        if rule and await self._fail(flow, rule):
            return
        if app := _match(self._apps, host):
            await serve(app, flow)
        elif upstream := _match(self._upstreams, host):
            await upstream.check(flow)
            if not flow.response:
                self._forward(flow, upstream, host)

    def response(self, flow: http.HTTPFlow) -> None:
        self._traffic.record(flow, flow.metadata.get("fault", ""))

    error = response

    async def _fail(self, flow: http.HTTPFlow, rule: Rule) -> bool:
        """Do what the fault rule asks for; True where that is all that happens to the request."""
        flow.metadata["fault"] = "fault"
        if rule.delay:
            await asyncio.sleep(rule.delay)
        if rule.drop:
            flow.kill()
            return True
        if rule.status is not None:
            status, headers, body = rule.answer()
            flow.response = answer(status, body, headers)
        return rule.status is not None

    def _forward(self, flow: http.HTTPFlow, upstream: Upstream, host: str) -> None:
        address = upstream.address_of(host)
        assert address is not None, "checked when the connection was made"
        self._forwarded[address] = host
        header = flow.request.host_header
        flow.request.host, flow.request.port = address
        flow.request.host_header = header  # signatures are made over the real host name

    def _refusal(self, host: str, port: int) -> str | None:
        if _match(self._apps, host) and port == 443:
            return None
        upstream = _match(self._upstreams, host)
        if upstream and port == 443:
            return None if upstream.address_of(host) else f"The emulator has no host {host}: there is no such storage account"
        if host in ("127.0.0.1", "localhost", "::1"):
            return "This is the cloud emulator's proxy, not a server: use it as HTTPS_PROXY, as `cloud-emulator env` prints it"
        known = ", ".join([*self._apps, *self._upstreams, *self._emulator.tunnels])
        if _match(self._apps, host) or upstream or host in self._emulator.tunnels:
            return f"The emulator answers for {host} on port 443 only, not on {port}"
        return f"The emulator does not answer for {host}; it answers for {known}"


def _match(table: dict[str, t.Any], host: str) -> t.Any:
    return next((value for pattern, value in table.items() if fnmatch.fnmatchcase(host, pattern)), None)


def refuse(reason: str) -> http.Response:
    """502 with the reason in the body and in the status line, which is all that clients show of a refused CONNECT."""
    response = http.Response.make(502, reason + ".\n", {"Content-Type": "text/plain; charset=utf-8", "X-Cloud-Emulator": "refused"})
    response.reason = reason
    return response


def answer(status: int, body: t.Any, headers: dict[str, str]) -> http.Response:
    """A response with a JSON body, or with a text as it is."""
    if isinstance(body, str):
        return http.Response.make(status, body, {"Content-Type": "text/plain; charset=utf-8", **headers})
    return http.Response.make(status, json.dumps(body), {"Content-Type": "application/json; charset=utf-8", **headers})


async def serve(app: App, flow: http.HTTPFlow) -> None:
    """Let an ASGI application answer the request of `flow`."""
    request = flow.request
    raw_path, _, query = request.data.path.partition(b"?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2" if request.is_http2 else "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": urllib.parse.unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", request.pretty_host.encode()), *((n.lower(), v) for n, v in request.headers.fields if n.lower() != b"host")],
        "client": ("127.0.0.1", 0),
        "server": (request.host, request.port),
        "state": {},
    }
    start: dict[str, t.Any] = {}
    body = bytearray()

    async def receive() -> dict[str, t.Any]:
        return {"type": "http.request", "body": request.content or b"", "more_body": False}

    async def send(message: dict[str, t.Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception:
        log.exception("%s %s failed", request.method, request.pretty_url)
        failed = {"error": {"code": "EmulatorFailure", "message": "The emulator failed on this request; see daemon.log in its state folder."}}
        flow.response = answer(500, failed, {})
        return
    flow.response = http.Response.make(start["status"], bytes(body) if request.method != "HEAD" else b"", start.get("headers", []))
    if start["status"] == 204 or request.method == "HEAD":
        flow.response.headers.pop("content-length", None)


def make_master(emulator: Emulator, router: Router, port: int) -> Master:
    """The proxy, set up to listen on loopback alone and to connect to nothing by itself; `run()` is its life."""
    opts = options.Options(listen_host="127.0.0.1", listen_port=port, mode=["regular"], confdir=str(emulator.certificates.folder))
    master = Master(opts, event_loop=asyncio.get_running_loop())
    master.addons.add(core.Core(), disable_h2c.DisableH2C(), proxyserver.Proxyserver(), router, next_layer.NextLayer(), tlsconfig.TlsConfig())
    opts.update(
        connection_strategy="lazy",
        upstream_cert=False,
        ssl_verify_upstream_trusted_ca=str(emulator.certificates.ca_path),
        validate_inbound_headers=False,
        rawtcp=False,
    )
    return master
