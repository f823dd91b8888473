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
from . import graph_objects as objects
from . import odata
from .tokens import Claims, TokenError

AUDIENCES = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
KEY = re.compile(r"(?P<set>applications|servicePrincipals)\((?P<name>\w+)='(?P<value>[^']*)'\)", re.IGNORECASE)
Json = dict[str, t.Any]
Handler = t.Callable[["Call"], t.Awaitable[Response]]


class GraphError(Exception):
    """A refusal in Graph's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def not_found(object_id: str) -> GraphError:
    message = f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", message)


def bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)


class Call:
    """One request: what it names, who makes it, what it brings."""

    def __init__(self, emulator: Emulator, request: Request, claims: Claims, segments: list[str], body: Json) -> None:
        self.emulator, self.request, self.claims, self.segments, self.body = emulator, request, claims, segments, body
        self.version = segments.pop(0)
        self.base = f"https://graph.microsoft.com/{self.version}"

    @property
    def creates_missing(self) -> bool:
        return "create-if-missing" in self.request.headers.get("prefer", "").lower()

    def one(self, value: Json, kind: str, status: int = 200) -> JSONResponse:
        """An answer with one object."""
        shown = {"@odata.context": f"{self.base}/$metadata#{kind}/$entity", **odata.select(value, self.request.query_params.get("$select", ""))}
        return JSONResponse(shown, status)

    def many(self, values: list[Json], kind: str) -> JSONResponse:
        """An answer with the objects that the query asks for, in pages of $top (100)."""
        query = self.request.query_params
        try:
            found = [value for value in values if "$filter" not in query or odata.matches(query["$filter"], value)]
        except odata.FilterError as error:
            raise GraphError(400, "Request_UnsupportedQuery", str(error)) from error
        size, start = max(1, min(999, int(query.get("$top", "100")))), int(query.get("$skiptoken", "0") or 0)
        page = [odata.select(value, query.get("$select", "")) for value in found[start : start + size]]
        answer: Json = {"@odata.context": f"{self.base}/$metadata#{kind}", "value": page}
        if query.get("$count", "").lower() == "true":
            answer["@odata.count"] = len(found)
        if start + size < len(found):
            answer["@odata.nextLink"] = str(self.request.url.include_query_params(**{"$skiptoken": start + size}))
        return JSONResponse(answer)


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
        raise GraphError(
            400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
        ) from error
    if not isinstance(body, dict):
        raise bad_request("A JSON object was expected in the request's body.")
    call = Call(emulator, request, claims, segments, body)
    shape = []
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


# Applications --------------------------------------------------------------------------------------------------------------------------


def _application(call: Call, key: str) -> Json:
    """The application that a path names by object id, `appid='…'` or `uniquename='…'`. Raises GraphError, also while not replicated."""
    value = objects.find_application(call.emulator, key)
    if value is None or value["_visible_from"] > call.emulator.clock.now().timestamp():
        raise not_found(key.partition("=")[2].strip("'") or key)
    return value


async def list_applications(call: Call) -> Response:
    now = call.emulator.clock.now().timestamp()
    values = [value for _, value in call.emulator.store.items("applications") if value["_visible_from"] <= now]
    return call.many([objects.show_application(call.emulator, value) for value in values], "applications")


async def create_application(call: Call) -> Response:
    if not call.body.get("displayName"):
        raise (
            bad_request("The property 'displayName' is required for 'Application'.")
            if "displayName" not in call.body
            else bad_request("Invalid value specified for property 'displayName' of resource 'Application'.")
        )
    return call.one(objects.show_application(call.emulator, _new_application(call, call.body)), "applications", 201)


def _new_application(call: Call, body: Json, unique_name: str | None = None) -> Json:
    properties = _writable(body, objects.APPLICATION)
    unique_name = unique_name or properties.get("uniqueName")
    if unique_name and objects.find_application(call.emulator, f"uniquename='{unique_name}'", deleted=True):
        raise GraphError(400, "Request_MultipleObjectsWithSameKeyValue", "Another object with the same value for property uniqueName already exists.")
    references = body.get("owners@odata.bind") or []
    owners = [reference.rstrip("/").rpartition("/")[2] for reference in references] or [call.claims["oid"]]
    properties |= {"uniqueName": unique_name, "_owners": owners}
    return call.emulator.directory.add_application(properties.pop("displayName"), **properties)


async def get_application(call: Call, key: str) -> Response:
    return call.one(objects.show_application(call.emulator, _application(call, key)), "applications")


async def patch_application(call: Call, key: str) -> Response:
    name, _, unique_name = key.partition("=")
    if name == "uniquename" and call.creates_missing and objects.find_application(call.emulator, key) is None:
        if not call.body.get("displayName"):
            raise bad_request("The property 'displayName' is required for 'Application'.")
        value = _new_application(call, call.body, unique_name.strip("'"))
        return call.one(objects.show_application(call.emulator, value), "applications", 201)
    value = _application(call, key)
    changes = _writable(call.body, objects.APPLICATION)
    if value.get("uniqueName") and changes.get("uniqueName", value["uniqueName"]) != value["uniqueName"]:
        raise bad_request("Property 'uniqueName' cannot be changed once it is set.")
    call.emulator.store.put("applications", value["id"], {**value, **changes})
    return Response(status_code=204)


async def delete_application(call: Call, key: str) -> Response:
    value = _application(call, key)
    call.emulator.store.delete("applications", value["id"])
    call.emulator.store.put("deleted_applications", value["id"], {**value, "deletedDateTime": timestamp(call.emulator.clock.now())})
    if principal := call.emulator.directory.by_app_id(value["appId"]):  # the home tenant's service principal goes with it
        objects.delete_principal(call.emulator, principal)
    return Response(status_code=204)


async def add_password(call: Call, key: str) -> Response:
    value = _application(call, key)
    wanted = call.body.get("passwordCredential") or {}
    if "secretText" in wanted:
        raise bad_request("Property secretText in payload has a value that does not match schema.")
    app_id = value["appId"]
    secret = call.emulator.directory.add_secret(app_id, wanted.get("displayName"), wanted.get("endDateTime"), wanted.get("startDateTime"))
    return JSONResponse({"@odata.context": f"{call.base}/$metadata#microsoft.graph.passwordCredential", **secret})


async def remove_password(call: Call, key: str) -> Response:
    value = _application(call, key)
    key_id = str(call.body.get("keyId", ""))
    if not call.emulator.directory.remove_secret(value["appId"], key_id):
        raise bad_request(f"No password credential found with keyId '{key_id}'.")
    return Response(status_code=204)


async def list_owners(call: Call, key: str) -> Response:
    return call.many(objects.shown(call.emulator, _application(call, key)["_owners"]), "directoryObjects")


async def add_owner(call: Call, key: str) -> Response:
    value = _application(call, key)
    object_id = str(call.body.get("@odata.id", "")).rstrip("/").rpartition("/")[2]
    if not call.emulator.directory.visible(object_id):
        raise not_found(object_id)
    if object_id in value["_owners"]:
        raise bad_request("One or more added object references already exist for the following modified properties: 'owners'.")
    call.emulator.store.put("applications", value["id"], {**value, "_owners": [*value["_owners"], object_id]})
    return Response(status_code=204)


async def remove_owner(call: Call, key: str, object_id: str) -> Response:
    value = _application(call, key)
    if object_id not in value["_owners"]:
        raise not_found(object_id)
    call.emulator.store.put("applications", value["id"], {**value, "_owners": [owner for owner in value["_owners"] if owner != object_id]})
    return Response(status_code=204)


# Federated credentials of applications -----------------------------------------------------------------------------------------------


async def list_federated(call: Call, key: str) -> Response:
    return call.many(objects.federated(call.emulator, _application(call, key)), "federatedIdentityCredentials")


async def create_federated(call: Call, key: str) -> Response:
    value = _application(call, key)
    missing = [name for name in ("name", "issuer", "subject", "audiences") if not call.body.get(name)]
    if missing:
        raise bad_request(f"The property '{missing[0]}' is required for 'FederatedIdentityCredential'.")
    existing = objects.federated(call.emulator, value)
    if any(other["name"] == call.body["name"] for other in existing):
        message = f"FederatedIdentityCredential with name {call.body['name']} already exists."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    if any((other["issuer"], other["subject"]) == (call.body["issuer"], call.body["subject"]) for other in existing):
        message = "FederatedIdentityCredential with issuer and subject combination already exists on this app."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    made = {"id": str(uuid.uuid4()), "description": None, **{name: call.body.get(name) for name in objects.FEDERATED}}
    call.emulator.store.put("federated", f"{value['id']}/{made['id']}", made)
    return call.one(made, "federatedIdentityCredentials", 201)


def _federated(call: Call, key: str, name: str) -> tuple[str, Json]:
    value = _application(call, key)
    for credential in objects.federated(call.emulator, value):
        if name in (credential["id"], credential["name"]):
            return f"{value['id']}/{credential['id']}", credential
    raise not_found(name)


async def get_federated(call: Call, key: str, name: str) -> Response:
    return call.one(_federated(call, key, name)[1], "federatedIdentityCredentials")


async def patch_federated(call: Call, key: str, name: str) -> Response:
    path, value = _federated(call, key, name)
    call.emulator.store.put("federated", path, {**value, **{n: v for n, v in call.body.items() if n in objects.FEDERATED and n != "name"}})
    return Response(status_code=204)


async def delete_federated(call: Call, key: str, name: str) -> Response:
    call.emulator.store.delete("federated", _federated(call, key, name)[0])
    return Response(status_code=204)


# Deleted applications ------------------------------------------------------------------------------------------------------------------


async def list_deleted(call: Call, kind: str) -> Response:
    deleted = call.emulator.store.items("deleted_applications") if kind.lower().endswith("application") else []
    return call.many([objects.show_application(call.emulator, value) for _, value in deleted], "applications")


async def get_deleted(call: Call, object_id: str) -> Response:
    return call.one(objects.show_application(call.emulator, _deleted(call, object_id)), "directoryObjects")


async def restore(call: Call, object_id: str) -> Response:
    value = _deleted(call, object_id)
    value.pop("deletedDateTime", None)
    call.emulator.store.delete("deleted_applications", object_id)
    call.emulator.store.put("applications", object_id, value)
    objects.restore_principal(call.emulator, value["appId"])
    return call.one({"@odata.type": "#microsoft.graph.application", **objects.show_application(call.emulator, value)}, "directoryObjects")


async def purge(call: Call, object_id: str) -> Response:
    value = _deleted(call, object_id)
    call.emulator.store.delete("deleted_applications", object_id)
    for collection, prefix in (("secrets", value["appId"]), ("federated", object_id), ("deleted_principals", value["appId"])):
        for key, _ in call.emulator.store.items(collection, prefix):
            call.emulator.store.delete(collection, key)
    return Response(status_code=204)


def _deleted(call: Call, object_id: str) -> Json:
    value = call.emulator.store.get("deleted_applications", object_id)
    if value is None:
        raise not_found(object_id)
    return value


# Service principals --------------------------------------------------------------------------------------------------------------------


def _principal(call: Call, key: str) -> t.Any:
    principal = objects.find_principal(call.emulator, key)
    if principal is None or principal.kind == "User" or not call.emulator.directory.visible(principal.object_id):
        raise not_found(key.partition("=")[2].strip("'") or key)
    return principal


async def list_principals(call: Call) -> Response:
    directory = call.emulator.directory
    visible = [principal for principal in directory.all() if principal.kind != "User" and directory.visible(principal.object_id)]
    return call.many([objects.show_principal(call.emulator, principal) for principal in visible], "servicePrincipals")


async def create_principal(call: Call) -> Response:
    app_id = str(call.body.get("appId") or "").lower()
    if not app_id:
        raise bad_request("The property 'appId' is required for 'ServicePrincipal'.")
    return _new_principal(call, app_id)


def _new_principal(call: Call, app_id: str) -> Response:
    application = call.emulator.directory.application_of(app_id)
    if application is None or application["_visible_from"] > call.emulator.clock.now().timestamp():
        raise bad_request(f"The appId '{app_id}' of the service principal does not reference a valid application object.")
    if call.emulator.directory.by_app_id(app_id):
        message = f"The service principal cannot be created, updated, or restored because the service principal name {app_id} is already in use."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    principal = call.emulator.directory.add_service_principal(application["displayName"], app_id)
    principal.extra = _writable(call.body, objects.PRINCIPAL)
    principal.tags = list(call.body.get("tags") or [])
    call.emulator.directory.update(principal)
    return call.one(objects.show_principal(call.emulator, principal), "servicePrincipals", 201)


async def get_principal(call: Call, key: str) -> Response:
    return call.one(objects.show_principal(call.emulator, _principal(call, key)), "servicePrincipals")


async def patch_principal(call: Call, key: str) -> Response:
    name, _, app_id = key.partition("=")
    if name == "appid" and call.creates_missing and objects.find_principal(call.emulator, key) is None:
        return _new_principal(call, app_id.strip("'").lower())
    principal = _principal(call, key)
    principal.extra |= _writable(call.body, objects.PRINCIPAL)
    principal.tags = list(call.body.get("tags", principal.tags) or [])
    call.emulator.directory.update(principal)
    return Response(status_code=204)


async def delete_principal(call: Call, key: str) -> Response:
    objects.delete_principal(call.emulator, _principal(call, key))
    return Response(status_code=204)


async def empty_list(call: Call, key: str) -> Response:
    _principal(call, key)
    return call.many([], "directoryObjects")


# The rest ------------------------------------------------------------------------------------------------------------------------------


async def get_by_ids(call: Call) -> Response:
    wanted = call.body.get("ids") or []
    return call.many(objects.shown(call.emulator, [str(object_id) for object_id in wanted]), "directoryObjects")


async def get_object(call: Call, object_id: str) -> Response:
    found = objects.shown(call.emulator, [object_id])
    if not found:
        raise not_found(object_id)
    return call.one(found[0], "directoryObjects")


async def me(call: Call) -> Response:
    raise bad_request("/me request is only valid with delegated authentication flow.")


async def list_users(call: Call) -> Response:
    users = [principal.object_id for principal in call.emulator.directory.all() if principal.kind == "User"]
    return call.many(objects.shown(call.emulator, users), "users")


async def organization(call: Call) -> Response:
    return call.many([objects.organization(call.emulator)], "organization")


def _writable(body: Json, known: t.Mapping[str, t.Any]) -> Json:
    """The properties of a body that may be written. Raises GraphError on one that is not there at all."""
    found = {}
    for name, value in body.items():
        if "@odata" in name:
            continue
        if name == "passwordCredentials" and value:
            raise bad_request("Updating or creating password credentials with this request is not allowed; use addPassword.")
        if name not in known and name not in ("passwordCredentials", "appId", "id", "accountEnabled", "tags"):
            raise GraphError(400, "Request_BadRequest", f"Property '{name}' does not exist as a declared property or extension property.")
        if name in known:
            found[name] = value
    return found


ROUTES: list[tuple[str, str, t.Callable[..., t.Awaitable[Response]]]] = [
    ("GET", "applications", list_applications),
    ("POST", "applications", create_application),
    ("GET", "applications/*", get_application),
    ("PATCH", "applications/*", patch_application),
    ("DELETE", "applications/*", delete_application),
    ("POST", "applications/*/addPassword", add_password),
    ("POST", "applications/*/removePassword", remove_password),
    ("GET", "applications/*/owners", list_owners),
    ("POST", "applications/*/owners/$ref", add_owner),
    ("DELETE", "applications/*/owners/*/$ref", remove_owner),
    ("GET", "applications/*/federatedIdentityCredentials", list_federated),
    ("POST", "applications/*/federatedIdentityCredentials", create_federated),
    ("GET", "applications/*/federatedIdentityCredentials/*", get_federated),
    ("PATCH", "applications/*/federatedIdentityCredentials/*", patch_federated),
    ("DELETE", "applications/*/federatedIdentityCredentials/*", delete_federated),
    ("GET", "directory/deletedItems/*", list_deleted),  # …/microsoft.graph.application; an object id is told apart below
    ("DELETE", "directory/deletedItems/*", purge),
    ("POST", "directory/deletedItems/*/restore", restore),
    ("GET", "servicePrincipals", list_principals),
    ("POST", "servicePrincipals", create_principal),
    ("GET", "servicePrincipals/*", get_principal),
    ("PATCH", "servicePrincipals/*", patch_principal),
    ("DELETE", "servicePrincipals/*", delete_principal),
    ("GET", "servicePrincipals/*/owners", empty_list),
    ("GET", "servicePrincipals/*/appRoleAssignments", empty_list),
    ("GET", "servicePrincipals/*/memberOf", empty_list),
    ("GET", "servicePrincipals/*/transitiveMemberOf", empty_list),
    ("POST", "directoryObjects/getByIds", get_by_ids),
    ("GET", "directoryObjects/*", get_object),
    ("GET", "me", me),
    ("GET", "users", list_users),
    ("GET", "organization", organization),
]
