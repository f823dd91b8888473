"""Users who sign in with a password, and stay signed in with refresh tokens."""

from __future__ import annotations

import base64
import datetime
import json
import typing as t

from ..emulator import USER_DOMAIN, Emulator
from .directory import Principal
from .entra_clients import Clients
from .entra_errors import EntraError, missing, unknown_application
from .tokens import TokenError

#: applications of Microsoft's that users of every tenant sign in with
PUBLIC_CLIENTS = {
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI",
    "1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell",
    "872cd9fa-d31f-45e0-9eab-6e460a02d1f1": "Visual Studio",
}
REFRESH = "urn:cloud-emulator:refresh"  # audience of refresh tokens, which no API takes
REFRESH_LIFETIME = datetime.timedelta(days=90)
Json = dict[str, t.Any]


class Users:
    """Sign-in of users."""

    domain = USER_DOMAIN

    def __init__(self, emulator: Emulator, clients: Clients) -> None:
        self._emulator = emulator
        self._clients = clients

    def sign_in(self, form: dict[str, str]) -> tuple[str, Json]:
        """The audience, and the tokens of an answer, for the grants password and refresh_token. Raises EntraError."""
        client = form["client_id"]
        if client not in PUBLIC_CLIENTS and self._emulator.directory.by_app_id(client) is None:
            raise unknown_application(client, self._emulator.tenant_id)
        user = self._by_password(form) if form["grant_type"] == "password" else self._by_refresh_token(form, client)
        audience = self._clients.audience(form, users=True)
        tokens = self._emulator.tokens
        answer: Json = {
            "scope": f"{audience.rstrip('/')}/user_impersonation {audience.rstrip('/')}/.default",
            "access_token": tokens.issue(user, audience, "0", client=client),
        }
        scope = form.get("scope", "").split()
        if "offline_access" in scope or "resource" in form:
            answer["refresh_token"] = tokens.issue(user, REFRESH, "0", REFRESH_LIFETIME, client=client)
        if "openid" in scope or "resource" in form:
            answer["id_token"] = tokens.issue_identity(user, client)
        if form.get("client_info"):
            identity = json.dumps({"uid": user.object_id, "utid": self._emulator.tenant_id})
            answer["client_info"] = base64.urlsafe_b64encode(identity.encode()).rstrip(b"=").decode()
        return audience, answer

    def _by_password(self, form: dict[str, str]) -> Principal:
        for parameter in ("username", "password"):
            if not form.get(parameter):
                raise missing(parameter)
        user = self._emulator.directory.by_user_name(form["username"])
        if user is None:
            message = (
                f"The user account {form['username']} does not exist in the {self._emulator.tenant_id} directory. To sign into this application, "
                "the account must be added to the directory."
            )
            raise EntraError(400, "invalid_grant", 50034, message)
        if self._emulator.directory.check_secret(user.object_id, form["password"]) != "ok":
            raise EntraError(400, "invalid_grant", 50126, "Error validating credentials due to invalid username or password.")
        return user

    def _by_refresh_token(self, form: dict[str, str], client: str) -> Principal:
        if not form.get("refresh_token"):
            raise missing("refresh_token")
        try:
            claims = self._emulator.tokens.verify(f"Bearer {form['refresh_token']}", [REFRESH])
        except TokenError as error:
            if error.code == "ExpiredAuthenticationToken":
                message = "The refresh token has expired due to inactivity."
                raise EntraError(400, "invalid_grant", 700082, message) from error
            raise EntraError(400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.") from error
        user = self._emulator.directory.by_object_id(claims["oid"])
        if user is None:
            message = "The user account does not exist in the directory, or has been deleted."
            raise EntraError(400, "invalid_grant", 50034, message)
        if claims["appid"] != client:
            message = "Provided grant is invalid or malformed: the refresh token was issued to another client."
            raise EntraError(400, "invalid_grant", 70000, message)
        return user
