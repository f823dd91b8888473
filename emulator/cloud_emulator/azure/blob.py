"""Blob storage's host names: who may do what is decided here, as Azure decides it; the data itself is Azurite's."""

from __future__ import annotations

import re
import typing as t
import urllib.parse
import uuid
from xml.sax.saxutils import escape

from mitmproxy import http

from ..clock import timestamp
from ..emulator import Emulator
from .arm import access
from .tokens import TokenError

SUFFIX = ".blob.core.windows.net"
ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINERS = f"{ACCOUNT}/blobServices/containers"
BLOBS = f"{CONTAINERS}/blobs"
CHALLENGE = "Bearer authorization_uri=https://login.microsoftonline.com/{}/oauth2/authorize resource_id=https://storage.azure.com"
Json = dict[str, t.Any]


class Permission(t.NamedTuple):
    """What an operation on the data needs of a role, and below the account whether it is a data action."""

    action: str
    data: bool


class Blobs:
    """The upstream for `<account>.blob.core.windows.net`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def address_of(self, host: str) -> tuple[str, int] | None:
        """Where the account's Azurite listens, None where there is no such account."""
        address = self._emulator.azurite.address_of(host.removesuffix(SUFFIX))
        return (address.ip, address.port) if address else None

    async def check(self, flow: http.HTTPFlow) -> None:
        """Refuse what Azure would refuse before it looks at the data."""
        name = flow.request.host.lower().removesuffix(SUFFIX)
        account = self._account(name)
        if account is None:
            return  # being made or deleted just now: Azurite answers
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(flow.request.path).query, keep_blank_values=True))
        authorization = flow.request.headers.get("authorization")
        properties = account["body"].get("properties", {})
        if authorization and authorization.lower().startswith("bearer "):
            self._check_bearer(flow, account, query, authorization)
        elif authorization or ("sig" in query and "skoid" not in query):
            if properties.get("allowSharedKeyAccess") is False:
                message = "Key based authentication is not permitted on this storage account."
                flow.response = refusal(self._emulator, 403, "KeyBasedAuthenticationNotPermitted", message)
        elif "sig" in query:
            self._check_role(flow, account, query, query["skoid"])
        elif not properties.get("allowBlobPublicAccess"):
            message = "Public access is not permitted on this storage account."
            flow.response = refusal(self._emulator, 409, "PublicAccessNotPermitted", message)

    def _check_bearer(self, flow: http.HTTPFlow, account: Json, query: dict[str, str], authorization: str) -> None:
        audiences = ("https://storage.azure.com", f"https://{flow.request.host.lower()}", "e406a681-f3d4-42a8-90b6-c2b029497af1")
        try:
            claims = self._emulator.tokens.verify(authorization, audiences)
        except TokenError as error:
            message = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
            headers = {"WWW-Authenticate": CHALLENGE.format(self._emulator.tenant_id)}
            flow.response = refusal(self._emulator, 401, "InvalidAuthenticationInfo", message, headers, detail=str(error))
            return
        self._check_role(flow, account, query, claims["oid"])

    def _check_role(self, flow: http.HTTPFlow, account: Json, query: dict[str, str], object_id: str) -> None:
        container = urllib.parse.unquote(urllib.parse.urlsplit(flow.request.path).path).strip("/").partition("/")[0]
        permission = needed(flow.request.method, urllib.parse.urlsplit(flow.request.path).path, query)
        scope = f"{account['id']}/blobServices/default" + (f"/containers/{container}" if container else "")
        allowed = access.data_allowed if permission.data else access.allowed
        if not allowed(self._emulator, object_id, permission.action, scope):
            message = "This request is not authorized to perform this operation using this permission."
            flow.response = refusal(self._emulator, 403, "AuthorizationPermissionMismatch", message)

    def _account(self, name: str) -> Json | None:
        for _, value in self._emulator.store.items("resources"):
            if value["type"].lower() == ACCOUNT.lower() and value["id"].rpartition("/")[2].lower() == name:
                return value
        return None


def needed(method: str, path: str, query: t.Mapping[str, str]) -> Permission:
    """The action that an operation needs, as the reference of the Blob service lists them ("Authorization" of each operation)."""
    component, is_blob = query.get("comp", ""), path.strip("/").count("/") > 0
    if component == "userdelegationkey":
        return Permission(f"{ACCOUNT}/blobServices/generateUserDelegationKey/action", False)
    if component == "batch":
        return Permission(f"{BLOBS}/delete", True)
    if component == "tags":
        return Permission(f"{BLOBS}/tags/{'read' if method == 'GET' else 'write'}", True)
    if is_blob or (query.get("restype") != "container" and path.strip("/") and component not in ("list", "properties", "stats")):
        verb = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(method, "write")
        return Permission(f"{BLOBS}/{verb}", True)
    if query.get("restype") == "container":
        if component == "list":
            return Permission(f"{BLOBS}/read", True)
        verb = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(method, "write")
        return Permission(f"{CONTAINERS}/{verb}", False)
    if component == "list":
        return Permission(f"{CONTAINERS}/read", False)
    return Permission(f"{ACCOUNT}/blobServices/{'read' if method in ('GET', 'HEAD') else 'write'}", False)


def refusal(
    emulator: Emulator, status: int, code: str, message: str, headers: t.Mapping[str, str] | None = None, detail: str | None = None
) -> http.Response:
    """An error as the Blob service writes it."""
    request_id = str(uuid.uuid4())
    text = f"{message}\nRequestId:{request_id}\nTime:{timestamp(emulator.clock.now())}"
    inner = f"<AuthenticationErrorDetail>{escape(detail)}</AuthenticationErrorDetail>" if detail else ""
    body = f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{escape(text)}</Message>{inner}</Error>'
    fields = {"Content-Type": "application/xml", "x-ms-error-code": code, "x-ms-request-id": request_id, "x-ms-version": "2025-07-05"}
    response = http.Response.make(status, body.encode(), {**fields, **(headers or {})})
    response.reason = re.sub(r"\s+", " ", message)
    return response
