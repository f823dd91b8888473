"""Microsoft Graph: applications, service principals, secrets, owners, deleted items. Served alike as v1.0 and beta."""

from __future__ import annotations

import json
import re
import typing as t
import uuid

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..clock import timestamp
from ..emulator import Emulator
from . import graph_applications as applications
from . import graph_federated as federated
from . import graph_principals as principals
from .graph_call import Call, GraphError, bad_request
from .tokens import TokenError

AUDIENCES = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
KEY = re.compile(r"(?P<set>applications|servicePrincipals)\((?P<name>\w+)='(?P<value>[^']*)'\)", re.IGNORECASE)


def app(emulator: Emulator) -> Starlette:
    """The application behind graph.microsoft.com."""

    async def answer(request: Request) -> Response:
        request_id = str(uuid.uuid4())
        try:
            response = await _dispatch(emulator, request)
        except GraphError as error:
            response = _refusal(emulator, request, request_id, error)
        except TokenError as error:
            response = _refusal(emulator, request, request_id, GraphError(401, "InvalidAuthenticationToken", str(error)))
        if isinstance(response, JSONResponse):
            response.headers["content-type"] = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
            response.headers["odata-version"] = "4.0"
        client_request_id = request.headers.get("client-request-id", request_id)
        response.headers.update({"request-id": request_id, "client-request-id": client_request_id, "cache-control": "no-cache"})
        return response

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PATCH", "DELETE", "PUT"])])


async def _dispatch(emulator: Emulator, request: Request) -> Response:
    claims = emulator.tokens.verify(request.headers.get("authorization"), AUDIENCES)
    segments = [segment for segment in request.scope["path"].split("/") if segment]  # clients double slashes
    if not segments or segments[0].lower() not in ("v1.0", "beta"):
        raise GraphError(400, "BadRequest", f"Invalid version: {segments[0] if segments else ''}")
    raw = await request.body()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        message = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
        raise GraphError(400, "BadRequest", message) from error
    if not isinstance(body, dict):
        raise bad_request("A JSON object was expected in the request's body.")
    call = Call(emulator, request, claims, segments, body)
    shape: list[str] = []
    for segment in call.segments:
        match = KEY.fullmatch(segment)
        shape += [match["set"].lower(), f"{match['name'].lower()}='{match['value']}'"] if match else [segment]
    for method, pattern, handler in ROUTES:
        arguments = _fit(pattern, shape) if method == request.method else None
        if arguments is not None:
            return await handler(call, *arguments)
    if any(_fit(pattern, shape) is not None for _, pattern, _ in ROUTES):
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    raise GraphError(400, "BadRequest", f"Resource not found for the segment '{call.segments[0] if call.segments else ''}'.")


def _fit(pattern: str, shape: list[str]) -> list[str] | None:
    wanted = pattern.split("/")
    if len(wanted) != len(shape):
        return None
    arguments = []
    for want, got in zip(wanted, shape, strict=True):
        if want == "*":
            arguments.append(got)
        elif want.lower() != got.lower():
            return None
    return arguments


def _refusal(emulator: Emulator, request: Request, request_id: str, error: GraphError) -> JSONResponse:
    inner = {
        "date": timestamp(emulator.clock.now())[:19],
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
    }
    return JSONResponse({"error": {"code": error.code, "message": error.message, "innerError": inner}}, error.status)


ROUTES: list[tuple[str, str, t.Callable[..., t.Awaitable[Response]]]] = [
    ("GET", "applications", applications.list_applications),
    ("POST", "applications", applications.create_application),
    ("GET", "applications/*", applications.get_application),
    ("PATCH", "applications/*", applications.patch_application),
    ("DELETE", "applications/*", applications.delete_application),
    ("POST", "applications/*/addPassword", applications.add_password),
    ("POST", "applications/*/removePassword", applications.remove_password),
    ("GET", "applications/*/owners", applications.list_owners),
    ("POST", "applications/*/owners/$ref", applications.add_owner),
    ("DELETE", "applications/*/owners/*/$ref", applications.remove_owner),
    ("GET", "applications/*/federatedIdentityCredentials", federated.list_federated),
    ("POST", "applications/*/federatedIdentityCredentials", federated.create_federated),
    ("GET", "applications/*/federatedIdentityCredentials/*", federated.get_federated),
    ("PATCH", "applications/*/federatedIdentityCredentials/*", federated.patch_federated),
    ("DELETE", "applications/*/federatedIdentityCredentials/*", federated.delete_federated),
    ("GET", "directory/deletedItems/*", applications.get_deleted),
    ("DELETE", "directory/deletedItems/*", applications.purge),
    ("POST", "directory/deletedItems/*/restore", applications.restore),
    ("GET", "servicePrincipals", principals.list_principals),
    ("POST", "servicePrincipals", principals.create_principal),
    ("GET", "servicePrincipals/*", principals.get_principal),
    ("PATCH", "servicePrincipals/*", principals.patch_principal),
    ("DELETE", "servicePrincipals/*", principals.delete_principal),
    ("POST", "servicePrincipals/*/addPassword", principals.add_password),
    ("POST", "servicePrincipals/*/removePassword", principals.remove_password),
    ("GET", "servicePrincipals/*/owners", principals.empty_list),
    ("GET", "servicePrincipals/*/appRoleAssignments", principals.empty_list),
    ("GET", "servicePrincipals/*/memberOf", principals.empty_list),
    ("GET", "servicePrincipals/*/transitiveMemberOf", principals.empty_list),
    ("POST", "directoryObjects/getByIds", principals.get_by_ids),
    ("GET", "directoryObjects/*", principals.get_object),
    ("GET", "me", principals.me),
    ("GET", "me/ownedObjects", principals.owned_objects),
    ("GET", "users", principals.list_users),
    ("GET", "users/*", principals.get_user),
    ("GET", "organization", principals.organization),
]
