"""Entra ID's host names: discovery, tokens, and the issuers of clusters (the documents that federated credentials are verified with)."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
import urllib.parse
import uuid

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..clock import timestamp
from ..emulator import Emulator
from .entra_clients import Clients
from .entra_errors import EntraError, missing
from .entra_users import Users

LOGIN = "login.microsoftonline.com"
HOSTS = (LOGIN, "login.windows.net", "sts.windows.net", "*.oic.prod-aks.azure.com")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
UNCACHED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
Json = dict[str, t.Any]


def app(emulator: Emulator) -> Starlette:
    """The application behind Entra's host names."""
    entra = Entra(emulator)
    routes = [
        Route("/common/discovery/instance", entra.instance),
        Route("/{tenant}/discovery/keys", entra.keys),
        Route("/{tenant}/discovery/v2.0/keys", entra.keys),
        Route("/{tenant}/.well-known/openid-configuration", entra.configuration),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", entra.configuration),
        Route("/common/userrealm/{name}", entra.realm),
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
        self._clients = Clients(emulator)
        self._users = Users(emulator, self._clients)

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

    async def realm(self, request: Request) -> JSONResponse:
        """Whether a user's domain is this tenant's: clients ask before they send a password."""
        name = request.path_params["name"]
        managed = name.rpartition("@")[2].lower() == self._users.domain
        found = {"ver": "1.0", "account_type": "Managed" if managed else "Unknown", "domain_name": name.rpartition("@")[2]}
        return JSONResponse({**found, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"})

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
        """The token end point: each grant is answered by the part that knows it."""
        form = dict(urllib.parse.parse_qsl((await request.body()).decode()))
        self._tenant(request)
        if basic := request.headers.get("authorization", ""):
            form = {**_basic(basic), **form}
        for parameter in ("grant_type", "client_id"):
            if not form.get(parameter):
                raise missing(parameter)
        grant = form["grant_type"]
        if grant == "client_credentials":
            principal = self._clients.find(form["client_id"])
            authentication = await self._clients.authenticate(principal, form)
            audience = self._clients.audience(form)
            answer: Json = {"access_token": self._emulator.tokens.issue(principal, audience, authentication)}
        elif grant in ("password", "refresh_token"):
            audience, answer = self._users.sign_in(form)
        elif grant == "urn:ietf:params:oauth:grant-type:device_code":
            raise EntraError(400, "invalid_grant", 70000, "Provided value for the input parameter 'device_code' is not valid.")
        else:
            raise EntraError(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'.")
        if "/v2.0/" in request.url.path:
            return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, **answer}, headers=UNCACHED)
        expires = int(self._emulator.clock.now().timestamp()) + 3599
        times = {"expires_in": "3599", "ext_expires_in": "3599", "expires_on": str(expires), "not_before": str(expires - 3599)}
        return JSONResponse({"token_type": "Bearer", **times, "resource": audience, **answer}, headers=UNCACHED)

    async def devicecode(self, request: Request) -> JSONResponse:
        message = "Your sign-in was blocked by a Conditional Access policy that restricts the device code flow."
        raise EntraError(400, "access_denied", 530036, message)

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


def _basic(header: str) -> dict[str, str]:
    """client_id and client_secret of an Authorization header."""
    try:
        name, _, secret = base64.b64decode(header.partition(" ")[2], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise EntraError(401, "invalid_client", 7000218, "The Authorization header is not valid.") from error
    return {"client_id": urllib.parse.unquote(name), "client_secret": urllib.parse.unquote(secret)}
