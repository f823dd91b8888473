"""Applications and managed identities that sign in with a secret or a cluster's token, and what tokens can be asked for."""

from __future__ import annotations

import re
import typing as t

import jwt

from ..emulator import Emulator
from . import graph_objects
from .directory import Principal
from .entra_errors import EntraError, missing, unknown_application

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FEDERATED = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
# Resources that every tenant knows: their address without a final slash, or their application id.
RESOURCES = {
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://graph.microsoft.com",
    "https://storage.azure.com",
    "https://ossrdbms-aad.database.windows.net",
    "https://vault.azure.net",
    "00000003-0000-0000-c000-000000000000",  # Microsoft Graph
    "6dae42f8-4368-4678-94ff-3960e28e3630",  # Azure Kubernetes Service's Entra server
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",  # Azure Resource Manager
}
BLOB_RESOURCE = re.compile(r"https://[a-z0-9]{3,24}\.blob\.core\.windows\.net", re.IGNORECASE)
Json = dict[str, t.Any]


class Clients:
    """Who may have a token as an application."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def find(self, app_id: str) -> Principal:
        """The principal with a client_id. Raises EntraError where there is none that was replicated."""
        principal = self._emulator.directory.by_app_id(app_id)
        if principal is None or not self._emulator.directory.visible(principal.object_id):
            raise unknown_application(app_id, self._emulator.tenant_id)
        return principal

    async def authenticate(self, principal: Principal, form: dict[str, str]) -> str:
        """Check who asks; the appidacr claim for how. Raises EntraError."""
        if assertion := form.get("client_assertion"):
            if form.get("client_assertion_type") != ASSERTION:
                raise missing("client_assertion_type")
            await self._check_assertion(principal, assertion)
            return "2"
        secret = form.get("client_secret")
        if not secret:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise EntraError(401, "invalid_client", 7000218, message)
        directory = self._emulator.directory
        result = directory.check_secret(principal.app_id, secret)
        if result == "wrong":  # service principals can have secrets of their own
            result = directory.check_secret(principal.object_id, secret)
        if result == "expired":
            message = (
                f"The provided client secret keys for app '{principal.app_id}' are expired. Visit the Azure portal to create new keys for your app: "
                "https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
            )
            raise EntraError(401, "invalid_client", 7000222, message)
        if result != "ok":
            message = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, "
                f"for a secret added to app '{principal.app_id}'."
            )
            raise EntraError(401, "invalid_client", 7000215, message)
        return "1"

    async def _check_assertion(self, principal: Principal, assertion: str) -> None:
        """Workload identity: a cluster's token in place of a secret, for a principal that trusts its issuer, subject and audience."""
        try:
            claims: Json = jwt.decode(assertion, options={"verify_signature": False})
            key_id = jwt.get_unverified_header(assertion).get("kid")
        except jwt.PyJWTError as error:
            raise EntraError(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from error
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        audiences = claims.get("aud", [])
        audiences = [audiences] if isinstance(audiences, str) else list(audiences)
        self._match_federated(principal, issuer, subject, audiences)
        keys = await self._emulator.kubernetes.jwks(issuer)
        found = [key for key in (keys or {}).get("keys", []) if key.get("kid") == key_id or key_id is None]
        if not found:
            message = f"Client assertion failed signature validation. The key was not found at the issuer '{issuer}'."
            raise EntraError(401, "invalid_client", 700027, message)
        try:
            options: t.Any = {"verify_aud": False}
            jwt.decode(assertion, jwt.PyJWK(found[0]).key, algorithms=["RS256", "ES256"], options=options)
        except jwt.ExpiredSignatureError as error:
            message = "Client assertion is not within its valid time range."
            raise EntraError(401, "invalid_client", 700024, message) from error
        except jwt.PyJWTError as error:
            raise EntraError(401, "invalid_client", 700027, "Client assertion failed signature validation.") from error

    def _match_federated(self, principal: Principal, issuer: str, subject: str, audiences: list[str]) -> None:
        trusted = self._federated(principal)
        if not trusted:
            message = f"The client '{principal.app_id}' has no configured federated identity credentials."
            raise EntraError(401, "invalid_client", 70025, message)
        advice = "Please check your federated identity credential Subject, Audience and Issuer."
        of_issuer = [credential for credential in trusted if credential["issuer"] == issuer]
        if not of_issuer:
            message = f"No matching federated identity record found for presented assertion issuer '{issuer}'."
            raise EntraError(401, "invalid_client", 700211, f"{message} {advice}")
        of_subject = [credential for credential in of_issuer if credential["subject"] == subject]
        if not of_subject:
            message = f"No matching federated identity record found for presented assertion subject '{subject}'."
            raise EntraError(401, "invalid_client", 700213, f"{message} {advice}")
        if not any(set(credential["audiences"]) & set(audiences) for credential in of_subject):
            message = f"No matching federated identity record found for presented assertion audience '{', '.join(audiences)}'."
            raise EntraError(401, "invalid_client", 700212, f"{message} {advice}")

    def _federated(self, principal: Principal) -> list[Json]:
        """issuer, subject and audiences that the principal trusts: of a managed identity in Resource Manager, of an application in Graph."""
        store = self._emulator.store
        if principal.resource_id:
            records = [value for _, value in store.items("resources", f"{principal.resource_id.lower()}/")]
            return [record["body"]["properties"] for record in records if record["type"].lower() == FEDERATED.lower()]
        application = self._emulator.directory.application_of(principal.app_id)
        return graph_objects.federated(self._emulator, application) if application else []

    def audience(self, form: dict[str, str], *, users: bool = False) -> str:
        """The resource that a token is asked for. Raises EntraError where the tenant knows no such resource."""
        scope = form.get("scope", "").split()
        audience = form.get("resource", "")
        if scope:
            suffixes = ("/.default", "/user_impersonation") if users else ("/.default",)
            wanted = [part for part in scope if part.endswith(suffixes)]
            if not wanted:
                message = f"The provided value for the input parameter 'scope' is not valid. The scope {' '.join(scope)} is not valid."
                raise EntraError(400, "invalid_scope", 1002012, message)
            audience = wanted[0].rpartition("/")[0]
        if not audience:
            raise missing("scope")
        bare = audience.rstrip("/").removeprefix("api://")
        known = bare.lower() in RESOURCES or BLOB_RESOURCE.fullmatch(bare) or self._emulator.directory.by_app_id(bare)
        if not known:
            message = (
                f"The resource principal named {audience} was not found in the tenant named {self._emulator.tenant_id}. This can happen if the "
                "application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
            )
            raise EntraError(400, "invalid_resource", 500011, message)
        return audience
