"""The Resource Manager app: every request comes in here and is checked, routed and answered."""

from __future__ import annotations

import json
import re
import typing as t
import uuid

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as AppRoute

from . import access, requests
from .errors import ArmError, subscription_not_found
from .ids import ResourceId, parse
from .manager import ResourceManager
from .resource import Call, Principal, Provider, Route

METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]
API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-[a-z]+)?", re.IGNORECASE)
#: what the refusal of a malformed version lists; every well-formed one is accepted
VERSIONS = (
    "2026-10-01",
    "2026-08-01",
    "2026-03-01",
    "2025-10-01",
    "2025-08-01",
    "2025-04-01",
    "2024-11-01",
    "2024-06-01",
    "2022-12-01",
    "2022-04-01",
)
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
Authenticate = t.Callable[[Request], Principal]


class Application:
    """Answers requests for one `ResourceManager`; ``authenticate`` turns a bearer token into a principal or raises `ArmError`."""

    def __init__(self, manager: ResourceManager, authenticate: Authenticate) -> None:
        self.manager = manager
        self._authenticate = authenticate
        self._routes = [(provider, route) for provider in manager.providers.values() for route in provider.routes]

    def asgi(self) -> Starlette:
        """The app."""
        return Starlette(routes=[AppRoute("/{path:path}", self.answer, methods=METHODS)])

    async def answer(self, request: Request) -> Response:
        """Answer one request, with the headers that every answer carries."""
        request_id = str(uuid.uuid4())
        try:
            response = await self._dispatch(request)
        except ArmError as error:
            response = JSONResponse(error.body(), error.status, error.headers)
            if not error.flat:
                response.headers.setdefault("x-ms-failure-cause", "service")
        correlation = request.headers.get("x-ms-correlation-request-id", request_id)
        kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(request.method, "writes")
        response.headers.update(
            {
                "cache-control": "no-cache",
                "pragma": "no-cache",
                "x-content-type-options": "nosniff",
                "x-ms-request-id": request_id,
                "x-ms-correlation-request-id": correlation,
                "x-ms-routing-request-id": f"EMULATOR:{request_id}",
                f"x-ms-ratelimit-remaining-subscription-{kind}": {"reads": "1099", "writes": "799", "deletes": "799"}[kind],
            }
        )
        if "x-ms-client-request-id" in request.headers and request.headers.get("x-ms-return-client-request-id") == "true":
            response.headers["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
        if request.method == "HEAD":
            response.body = b""
        return response

    async def _dispatch(self, request: Request) -> Response:
        path = "/" + "/".join(segment for segment in request.scope["path"].split("/") if segment)
        provider, route, parameters = self._route(request.method, path)
        public = route is not None and route.public
        principal = Principal("", "") if public else self._authenticate(request)
        version = request.query_params.get("api-version", "")
        call = Call(self.manager, request, principal, version, parameters, await _json(request))
        if not public:
            _check_version(version)
        poll = self.manager.operations.poll(call, path)
        if poll is not None:
            return poll
        self._check_subscription(path)
        if provider is not None and route is not None:
            return await self._call_route(call, path, provider, route)
        resource_id = parse(path)
        if resource_id is None:
            raise ArmError(
                404, "InvalidResourceType" if "/providers/" in path.lower() else "NotFound", f"The path '{path}' names nothing that is known here."
            )
        return await requests.answer(call, self._spelled(resource_id, version))

    def _route(self, method: str, path: str) -> tuple[Provider | None, Route | None, dict[str, str]]:
        for provider, route in self._routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return provider, route, parameters
        return None, None, {}

    async def _call_route(self, call: Call, path: str, provider: Provider, route: Route) -> Response:
        if route.action is not None:
            scope = re.match(r"(?i)/subscriptions/[^/]+(/resourceGroups/[^/]+)?", path)
            access.require(self.manager.emulator, call.principal, route.action, scope[0] if scope else "/")
        if path.lower().startswith("/subscriptions/"):
            self.manager.require_registration(provider.namespace)
        answer = await route.handler(call)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def _check_subscription(self, path: str) -> None:
        match = re.match(r"(?i)/subscriptions/([^/]+)", path)
        if match is None:
            return
        if not GUID.fullmatch(match[1]):
            raise ArmError(400, "InvalidSubscriptionId", f"The provided subscription identifier '{match[1]}' is malformed or invalid.")
        if match[1].lower() != self.manager.emulator.subscription_id.lower():
            raise subscription_not_found(match[1])

    def _spelled(self, resource_id: ResourceId, version: str) -> ResourceId:
        """The id with the type's spelling; refuses unknown namespaces and types."""
        provider = self.manager.providers.get(resource_id.namespace.lower())
        if provider is None:
            raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{resource_id.namespace}' is invalid.")
        known = self.manager.types
        if resource_id.type.lower() in known:
            return resource_id.spelled(known[resource_id.type.lower()].type)
        owner = "/".join([resource_id.namespace, *resource_id.types[:-1]]).lower()
        if len(resource_id.types) > len(resource_id.names) and owner in known:  # an action, or a collection that doesn't exist
            return resource_id.spelled(f"{known[owner].type}/{resource_id.types[-1]}")
        relative = "/".join(resource_id.types)
        message = f"The resource type '{relative}' could not be found in the namespace '{provider.namespace}' for api version '{version}'."
        raise ArmError(404, "InvalidResourceType", message)


def _check_version(version: str) -> None:
    if not version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if not API_VERSION.fullmatch(version):
        message = f"The api-version '{version}' is invalid. The supported versions are '{','.join(VERSIONS)}'."
        raise ArmError(400, "InvalidApiVersionParameter", message)


async def _json(request: Request) -> t.Any:
    raw = await request.body()
    if not raw.strip():
        return None
    request.scope["raw_body"] = raw.decode(errors="replace")
    try:
        return json.loads(raw)
    except ValueError as error:
        message = f"The request content was invalid and could not be deserialized: '{error}'."
        raise ArmError(400, "InvalidRequestContent", message) from error
