"""One request to Graph: what it names and brings, how it is answered and refused."""

from __future__ import annotations

import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..emulator import Emulator
from . import odata
from .tokens import Claims

Json = dict[str, t.Any]
#: what clients send back as they read it, and what is kept elsewhere
READ_ONLY = {"id", "appId", "tags", "passwordCredentials", "servicePrincipalType", "servicePrincipalNames", "createdDateTime", "deletedDateTime"}


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


def writable(body: Json, known: t.Mapping[str, t.Any]) -> Json:
    """The properties of a body that may be written. Raises GraphError on one that is not there at all."""
    found = {}
    for name, value in body.items():
        if "@odata" in name:
            continue
        if name == "passwordCredentials" and value:
            raise bad_request("Updating or creating password credentials with this request is not allowed; use addPassword.")
        if name not in known and name not in READ_ONLY:
            raise GraphError(400, "Request_BadRequest", f"Property '{name}' does not exist as a declared property or extension property.")
        if name in known:
            found[name] = value
    return found
