# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure's side of the wire, scripted: for module tests, where the module's own main() runs and only the wire and the clock are not real.

    def test_group_is_made(azure, run_module):
        azure.expect(
            Call("GET", f"{SUBSCRIPTION}/resourceGroups/rg", 404),
            Call("PUT", f"{SUBSCRIPTION}/resourceGroups/rg", 201, {"id": "…"}, body={"location": "westus2"}),
        )
        result = run_module(azure_resource, resources=[…])
        assert result["changed"]

Calls are expected in order. What a module does side by side is expected as `together([Call, Call], Call)`, where each list is a chain in order, and
the chains run in any order. At the end of a test every call must have been made, and no other.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import threading
import typing as t
import urllib.parse

import requests

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
CALLER = "33333333-3333-3333-3333-333333333333"
ARM = "https://management.azure.com"
ANY = object()


@dataclasses.dataclass
class Call:
    """A request that is expected (method, path without query, body, part of the query and of the headers), and what answers it."""

    method: str
    path: str
    status: int = 200
    json: t.Any = None
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: t.Any = ANY
    query: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    sent_headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    host: str = "management.azure.com"
    drop: bool = False
    """The connection breaks instead of an answer."""

    def fits(self, request: requests.PreparedRequest) -> bool:
        url = urllib.parse.urlsplit(t.cast("str", request.url))
        return (request.method, url.netloc, urllib.parse.unquote(url.path).lower()) == (self.method, self.host, self.path.lower())

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def together(*chains: Call | list[Call]) -> tuple[list[Call], ...]:
    """Chains of calls that run side by side, in any order."""
    return tuple([chain] if isinstance(chain, Call) else list(chain) for chain in chains)


def error(code: str, message: str = "No.", **more: t.Any) -> dict[str, t.Any]:
    return {"error": {"code": code, "message": message, **more}}


class Exchange(requests.adapters.BaseAdapter):
    """The wire: answers what is expected, and notes what is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[list[Call], ...]] = []
        self.faults: list[str] = []
        self.requests: list[requests.PreparedRequest] = []
        self.logins = 0
        self.lock = threading.Lock()

    def expect(self, *steps: Call | tuple[list[Call], ...]) -> None:
        self.steps += [together(step) if isinstance(step, Call) else step for step in steps]

    def send(self, request: requests.PreparedRequest, **kwargs: t.Any) -> requests.Response:
        with self.lock:
            url = urllib.parse.urlsplit(t.cast("str", request.url))
            login = self.login(url, request)
            if login:
                return login
            self.requests.append(request)
            call = self.take(request)
            if call is None:
                heads = " or ".join(str(chain[0]) for chain in self.steps[0] if chain) if self.steps else "nothing more"
                self.faults.append(f"{request.method} {url.path}?{url.query} was not expected; expected: {heads}; body {request.body!r}")
                return answer(request, 400, error("NotExpectedByTheTest", f"{request.method} {url.path}"))
            self.check(call, request, urllib.parse.parse_qs(url.query))
            if call.drop:
                raise requests.exceptions.ConnectionError("Connection reset by peer")
            return answer(request, call.status, call.json, call.headers)

    def take(self, request: requests.PreparedRequest) -> Call | None:
        while self.steps and not any(self.steps[0]):
            self.steps.pop(0)
        for chain in self.steps[0] if self.steps else ():
            if chain and chain[0].fits(request):
                return chain.pop(0)
        return None

    def check(self, call: Call, request: requests.PreparedRequest, query: dict[str, list[str]]) -> None:
        if call.body is not ANY:
            sent = json.loads(request.body) if request.body else None
            if sent != call.body:
                self.faults.append(f"{call} sent {json.dumps(sent)}, expected {json.dumps(call.body)}")
        for name, value in call.query.items():
            if query.get(name) != [value]:
                self.faults.append(f"{call} had {name}={query.get(name)}, expected {value}")
        for name, value in call.sent_headers.items():
            if request.headers.get(name) != value:
                self.faults.append(f"{call} had header {name}={request.headers.get(name)}, expected {value}")
        if call.host == "management.azure.com" and "api-version" not in query and "operation" not in call.path.lower():
            self.faults.append(f"{call} has no api-version")
        if not str(request.headers.get("Authorization", "")).startswith("Bearer "):
            self.faults.append(f"{call} carried no token")

    def login(self, url: urllib.parse.SplitResult, request: requests.PreparedRequest) -> requests.Response | None:
        """Entra's part: where things are, and a token."""
        if not url.netloc.startswith("login."):
            return None
        base = f"https://{url.netloc}/{TENANT}"
        if url.path.endswith("/openid-configuration"):
            found = {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
            return answer(request, 200, found)
        self.logins += 1
        return answer(request, 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token()})

    def close(self) -> None:
        pass

    def left(self) -> list[str]:
        return [str(call) for step in self.steps for chain in step for call in chain]


def token() -> str:
    part = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in ({"alg": "none"}, {"oid": CALLER, "tid": TENANT})]
    return ".".join([*part, "signature"])


def answer(request: requests.PreparedRequest, status: int, body: t.Any = None, headers: t.Mapping[str, str] | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code, response.request, response.url = status, request, t.cast("str", request.url)
    content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    response.headers = requests.structures.CaseInsensitiveDict({"Content-Type": "application/json", "x-ms-request-id": "req-1", **(headers or {})})
    response.raw = Raw(content)
    return response


class Raw(io.BytesIO):
    """As much of urllib3's response as requests and azure-core ask for."""

    enforce_content_length = False
    _original_response = None

    def stream(self, size: int = 65536, decode_content: bool | None = None) -> t.Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk

    def release_conn(self) -> None:
        pass


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.sleeps, self.lock = 0.0, list[float](), threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        with self.lock:
            self.now += seconds
            self.sleeps.append(seconds)
