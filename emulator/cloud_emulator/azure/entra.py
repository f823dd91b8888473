"""Entra ID's host names: discovery, tokens, and the issuers of clusters (the documents that federated credentials are verified with)."""

from __future__ import annotations

import base64
import re
import typing as t
import urllib.parse
import uuid

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..clock import timestamp
from ..emulator import Emulator
from . import graph_objects
from .directory import Principal

LOGIN = "login.microsoftonline.com"
HOSTS = (LOGIN, "login.windows.net", "sts.windows.net", "*.oic.prod-aks.azure.com")
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
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


class EntraError(Exception):
    """A refusal in the words of Entra; `number` is that of AADSTS."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.number, self.message = status, error, number, message


def app(emulator: Emulator) -> Starlette:
    """The application behind Entra's host names."""
    entra = Entra(emulator)
    routes = [
        Route("/common/discovery/instance", entra.instance),
        Route("/{tenant}/discovery/keys", entra.keys),
        Route("/{tenant}/discovery/v2.0/keys", entra.keys),
        Route("/{tenant}/.well-known/openid-configuration", entra.configuration),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", entra.configuration),
        Route("/{tenant}/oauth2/token", entra.token, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/token", entra.token, methods=["POST"]),
        Route("/{tenant}/oauth2/devicecode", entra.devicecode, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/devicecode", entra.devicecode, methods=["POST"]),
        # Clusters' issuers: https://<region>.oic.prod-aks.azure.com/<tenant>/<cluster>/
        Route("/{tenant}/{cluster}/.well-known/openid-configuration", entra.cluster_configuration),
        Route("/{tenant}/{cluster}/openid/v1/jwks", entra.cluster_keys),
    ]
    return Starlette(routes=routes, exception_handlers={EntraError: entra.refuse})  # type: ignore[dict-item]


class Entra:
    """The tenant's end points."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    # Discovery -----------------------------------------------------------------------------------------------------------------------

    async def instance(self, request: Request) -> JSONResponse:
        tenant = re.sub(r"^https://[^/]+/([^/]+)/.*", r"\1", request.query_params.get("authorization_endpoint", f"https://{LOGIN}/common/"))
        networks = {"preferred_network": LOGIN, "preferred_cache": "login.windows.net", "aliases": [LOGIN, "login.windows.net", "sts.windows.net"]}
        endpoint = f"https://{LOGIN}/{tenant}/.well-known/openid-configuration"
        return JSONResponse({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [networks]})

    async def configuration(self, request: Request) -> JSONResponse:
        tenant = self._tenant(request)
        base = f"https://{LOGIN}/{tenant}"
        v2 = "/v2.0" if "/v2.0/" in request.url.path else ""
        oauth = f"{base}/oauth2{v2}"
        return JSONResponse(
            {
                "token_endpoint": f"{oauth}/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                "jwks_uri": f"{base}/discovery{v2}/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "token id_token", "token"],
                "scopes_supported": ["openid"],
                "issuer": f"{base}/v2.0" if v2 else self._emulator.tokens.issuer,
                "authorization_endpoint": f"{oauth}/authorize",
                "device_authorization_endpoint": f"{oauth}/devicecode",
                "end_session_endpoint": f"{oauth}/logout",
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"],
                "tenant_region_scope": None,
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": "graph.microsoft.com",
            }
        )

    async def keys(self, request: Request) -> JSONResponse:
        return JSONResponse(self._emulator.tokens.jwks())

    async def cluster_configuration(self, request: Request) -> JSONResponse:
        issuer, _ = await self._cluster(request)
        return JSONResponse(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def cluster_keys(self, request: Request) -> JSONResponse:
        return JSONResponse((await self._cluster(request))[1])

    async def _cluster(self, request: Request) -> tuple[str, Json]:
        host = request.headers["host"].partition(":")[0]
        issuer = f"https://{host}/{request.path_params['tenant']}/{request.path_params['cluster']}/"
        keys = await self._emulator.kubernetes.jwks(issuer)
        if keys is None:
            raise EntraError(404, "not_found", 0, f"No cluster has the issuer {issuer}")
        return issuer, keys

    # Tokens --------------------------------------------------------------------------------------------------------------------------

    async def token(self, request: Request) -> JSONResponse:
        form = dict(urllib.parse.parse_qsl((await request.body()).decode()))
        self._tenant(request)
        if basic := request.headers.get("authorization", ""):
            name, _, secret = base64.b64decode(basic.partition(" ")[2]).decode().partition(":")
            form = {"client_id": name, "client_secret": secret, **form}
        grant = form.get("grant_type", "")
        if not grant:
            raise EntraError(400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.")
        if not form.get("client_id"):
            raise EntraError(400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'.")
        if grant == "client_credentials":
            principal = self._principal(form["client_id"])
            authentication = await self._authenticate(principal, form)
            return self._answer(request, principal, form, authentication)
        self._principal(form["client_id"], public=True)
        raise _grant_refused(grant, form)

    async def devicecode(self, request: Request) -> JSONResponse:
        message = "The tenant's policy does not allow the device code flow: this tenant has no users who could enter a code."
        raise EntraError(400, "access_denied", 530036, message)

    def _principal(self, app_id: str, public: bool = False) -> Principal:
        principal = self._emulator.directory.by_app_id(app_id)
        if principal is None or (not public and not self._emulator.directory.visible(principal.object_id)):
            message = (
                f"Application with identifier '{app_id}' was not found in the directory '{self._emulator.tenant_id}'. This can happen if the "
                "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have "
                "sent your authentication request to the wrong tenant."
            )
            if public and app_id in PUBLIC_CLIENTS:
                return Principal("", app_id, PUBLIC_CLIENTS[app_id], "Application")
            raise EntraError(400, "unauthorized_client", 700016, message)
        return principal

    async def _authenticate(self, principal: Principal, form: dict[str, str]) -> str:
        """Check who asks; the appidacr claim for how. Raises EntraError."""
        if assertion := form.get("client_assertion"):
            if form.get("client_assertion_type") != ASSERTION:
                raise EntraError(400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_assertion_type'.")
            await self._check_assertion(principal, assertion)
            return "2"
        secret = form.get("client_secret")
        if not secret:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise EntraError(401, "invalid_client", 7000218, message)
        result = self._emulator.directory.check_secret(principal.app_id, secret)
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

    def _answer(self, request: Request, principal: Principal, form: dict[str, str], authentication: str) -> JSONResponse:
        audience = self._audience(form)
        token = self._emulator.tokens.issue(principal, audience, authentication)
        if "/v2.0/" in request.url.path:
            return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}, headers=UNCACHED)
        expires = int(self._emulator.clock.now().timestamp()) + 3599
        answer = {
            "token_type": "Bearer",
            "expires_in": "3599",
            "ext_expires_in": "3599",
            "expires_on": str(expires),
            "not_before": str(expires - 3599),
        }
        return JSONResponse({**answer, "resource": audience, "access_token": token}, headers=UNCACHED)

    def _audience(self, form: dict[str, str]) -> str:
        scope = form.get("scope", "").split()
        audience = form.get("resource", "")
        if scope:
            wanted = [part for part in scope if part.endswith("/.default")]
            if not wanted:
                message = f"The provided value for the input parameter 'scope' is not valid. The scope {' '.join(scope)} is not valid."
                raise EntraError(400, "invalid_scope", 1002012, message)
            audience = wanted[0].removesuffix("/.default")
        if not audience:
            raise EntraError(400, "invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")
        bare = audience.rstrip("/").removeprefix("api://")
        known = bare.lower() in RESOURCES or BLOB_RESOURCE.fullmatch(bare) or self._emulator.directory.by_app_id(bare)
        if not known:
            message = (
                f"The resource principal named {audience} was not found in the tenant named {self._emulator.tenant_id}. This can happen if the "
                "application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
            )
            raise EntraError(400, "invalid_resource", 500011, message)
        return audience

    def _tenant(self, request: Request) -> str:
        tenant: str = request.path_params["tenant"]
        if tenant.lower() not in (self._emulator.tenant_id, "common", "organizations"):
            if not GUID.fullmatch(tenant) and "." not in tenant:
                message = f"Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
                raise EntraError(400, "invalid_request", 900023, message)
            message = (
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. "
                "Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
            )
            raise EntraError(400, "invalid_request" if request.method == "POST" else "invalid_tenant", 90002, message)
        return self._emulator.tenant_id if GUID.fullmatch(tenant) else tenant

    async def refuse(self, request: Request, error: EntraError) -> JSONResponse:
        """The answer to a refused call, with the trace that Entra adds to each."""
        trace, correlation = str(uuid.uuid4()), request.headers.get("client-request-id", str(uuid.uuid4()))
        moment = timestamp(self._emulator.clock.now())[:19].replace("T", " ") + "Z"
        body = {
            "error": error.error,
            "error_description": f"AADSTS{error.number}: {error.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}",
            "error_codes": [error.number],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://{LOGIN}/error?code={error.number}",
        }
        return JSONResponse(body, error.status, UNCACHED)


UNCACHED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
PUBLIC_CLIENTS = {"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI", "1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell"}
REFUSED: dict[str, tuple[str, int, str]] = {
    "refresh_token": ("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."),
    "authorization_code": ("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."),
    "password": ("invalid_grant", 50126, "Error validating credentials due to invalid username or password."),
    "urn:ietf:params:oauth:grant-type:device_code": ("invalid_grant", 70000, "Provided value for the input parameter 'device_code' is not valid."),
}


def _grant_refused(grant: str, form: dict[str, str]) -> EntraError:
    if grant in REFUSED:
        return EntraError(400, *REFUSED[grant])
    return EntraError(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'.")
