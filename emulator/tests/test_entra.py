"""Entra: discovery and tokens, with azure-identity and plain requests; workload identity with a cluster's key of the test's own."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import time
import typing as t

import jwt
import msal
import pytest
from asgi import call
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, EnvironmentCredential, WorkloadIdentityCredential
from azure_tokens import decoded
from cloud_emulator.azure import entra, entra_clients
from cloud_emulator.emulator import Emulator
from conftest import Client
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LOGIN = "https://login.microsoftonline.com"
ISSUER = "https://westus.oic.prod-aks.azure.com/tenant/cluster/"
SUBJECT = "system:serviceaccount:default:metaflow-service"
AUDIENCE = "api://AzureADTokenExchange"


def test_azure_identity_signs_in(emulator: Client) -> None:
    token = EnvironmentCredential().get_token("https://management.azure.com/.default").token
    keys = emulator.request("GET", f"{LOGIN}/{emulator.tenant_id}/discovery/v2.0/keys").json()
    claims = decoded(token, keys)
    assert claims["aud"] == "https://management.azure.com"
    assert claims["iss"] == f"https://sts.windows.net/{emulator.tenant_id}/"
    assert (claims["tid"], claims["appid"], claims["oid"]) == (
        emulator.tenant_id,
        emulator.env["AZURE_CLIENT_ID"],
        emulator.env["CLOUD_EMULATOR_OBJECT_ID"],
    )
    assert 3500 < claims["exp"] - time.time() < 3700


def test_a_double_slash_before_default_stays_in_the_audience(emulator: Client) -> None:
    token = EnvironmentCredential().get_token("https://management.core.windows.net//.default").token
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "https://management.core.windows.net/"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, "AADSTS700016"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000002"}, "Unable to get authority configuration"),  # MSAL's own words
    ],
)
def test_azure_identity_is_told_why_not(emulator: Client, change: dict[str, str], words: str) -> None:
    known = {name: emulator.env[f"AZURE_{name.upper()}"] for name in ("tenant_id", "client_id", "client_secret")}
    with pytest.raises(ClientAuthenticationError, match=words):
        ClientSecretCredential(**{**known, **change}).get_token("https://management.azure.com/.default")


def test_an_unknown_tenant(emulator: Client) -> None:
    url = f"{LOGIN}/00000000-0000-0000-0000-000000000002"
    answers = [
        emulator.request("GET", f"{url}/v2.0/.well-known/openid-configuration"),
        emulator.request("POST", f"{url}/oauth2/v2.0/token", data=form(emulator)),
    ]
    assert [(answer.status_code, answer.json()["error_codes"]) for answer in answers] == [(400, [90002])] * 2


def form(client: Client, **changes: str) -> dict[str, str]:
    credentials = {"client_id": client.env["AZURE_CLIENT_ID"], "client_secret": client.env["AZURE_CLIENT_SECRET"]}
    return {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default", **credentials, **changes}


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "password", "username": "a@b", "password": "c"}, 400, "invalid_grant", 50034),
        ({"grant_type": "password", "username": "operator@emulator.onmicrosoft.com", "password": "c"}, 400, "invalid_grant", 50126),
        ({"grant_type": "password"}, 400, "invalid_request", 900144),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"}, 400, "invalid_grant", 70000),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant", 9002313),
        ({"grant_type": "urn:x"}, 400, "unsupported_grant_type", 70003),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://nothing.example/.default"}, 400, "invalid_resource", 500011),
        ({"client_assertion": "x", "client_assertion_type": entra_clients.ASSERTION}, 401, "invalid_client", 50027),
    ],
)
def test_refusals_are_worded_as_entra_does(emulator: Client, changes: dict[str, str], status: int, error: str, number: int) -> None:
    answer = emulator.request("POST", f"{LOGIN}/{emulator.tenant_id}/oauth2/v2.0/token", data=form(emulator, **changes))
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["correlation_id"] in body["error_description"]


def test_the_older_end_point(emulator: Client) -> None:
    data = {**form(emulator), "resource": "https://storage.azure.com/"}
    del data["scope"]
    body = emulator.request("POST", f"{LOGIN}/{emulator.tenant_id}/oauth2/token", data=data).json()
    assert body["resource"] == "https://storage.azure.com/"
    assert int(body["expires_on"]) > time.time() + 3000


@pytest.mark.parametrize("version", ["", "/v2.0"])
def test_discovery_leads_to_the_token_and_the_keys(emulator: Client, version: str) -> None:
    found = emulator.request("GET", f"{LOGIN}/{emulator.tenant_id}{version}/.well-known/openid-configuration").json()
    assert emulator.request("POST", found["token_endpoint"], data=form(emulator)).status_code == 200
    assert emulator.request("GET", found["jwks_uri"]).json()["keys"]
    url = f"{LOGIN}/common/discovery/instance?api-version=1.1&authorization_endpoint={LOGIN}/{emulator.tenant_id}/oauth2/v2.0/authorize"
    assert emulator.tenant_id in emulator.request("GET", url).json()["tenant_discovery_endpoint"]


# Users ---------------------------------------------------------------------------------------------------------------------------------


def test_a_user_signs_in_and_stays_signed_in(emulator: Client) -> None:
    """MSAL, as `az login -u` uses it: a password once, then refresh tokens for whatever resource."""
    values = emulator.environment("operator")
    cache = msal.TokenCache()
    client = msal.PublicClientApplication(values["AZURE_CLIENT_ID"], authority=f"{LOGIN}/{emulator.tenant_id}", token_cache=cache)
    first = client.acquire_token_by_username_password(values["AZURE_USERNAME"], values["AZURE_PASSWORD"], ["https://management.azure.com/.default"])
    assert "access_token" in first, first
    (account,) = client.get_accounts()
    assert account["username"] == values["AZURE_USERNAME"]
    second = client.acquire_token_silent_with_error(["https://graph.microsoft.com/.default"], account)
    assert second["access_token"] != first["access_token"]
    answer = emulator.request("GET", "https://graph.microsoft.com/v1.0/me", headers={"Authorization": f"Bearer {second['access_token']}"})
    assert answer.json()["userPrincipalName"] == values["AZURE_USERNAME"]

    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"] if "refresh_token" in first else _cached(cache)}
    url = f"{LOGIN}/{emulator.tenant_id}/oauth2/v2.0/token"
    data = {**refresh, "client_id": values["AZURE_CLIENT_ID"], "scope": "https://storage.azure.com/.default"}
    assert emulator.request("POST", url, data=data).status_code == 200
    other = {**data, "client_id": emulator.env["AZURE_CLIENT_ID"]}
    assert emulator.request("POST", url, data=other).json()["error_codes"] == [70000]
    as_access = emulator.request("GET", "https://graph.microsoft.com/v1.0/me", headers={"Authorization": f"Bearer {refresh['refresh_token']}"})
    assert as_access.status_code == 401, "a refresh token opens nothing by itself"


def _cached(cache: msal.TokenCache) -> str:
    (found,) = cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    return str(found["secret"])


def test_the_device_code_flow_is_refused(emulator: Client) -> None:
    answer = emulator.request("POST", f"{LOGIN}/{emulator.tenant_id}/oauth2/v2.0/devicecode", data={"client_id": "x", "scope": "y"})
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [530036])


# Workload identity ---------------------------------------------------------------------------------------------------------------------


class Cluster:
    """What Entra asks of a cluster: its public keys. It signs the tokens of its service accounts with the private one."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)

    async def jwks(self, issuer_url: str) -> dict[str, t.Any] | None:
        if issuer_url != ISSUER:
            return None
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}

    def token(self, **changes: t.Any) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "iat": now, "exp": now + 3600, **changes}
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return jwt.encode(claims, pem, algorithm="RS256", headers={"kid": "one"})


@pytest.fixture
def local(tmp_path: pathlib.Path) -> Emulator:
    made = Emulator.open(tmp_path / "state")
    made.kubernetes = Cluster()  # type: ignore[assignment]
    return made


IDENTITY = "/subscriptions/s/resourcegroups/g/providers/microsoft.managedidentity/userassignedidentities/i"
TRUST = {"issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE]}


def exchange(local: Emulator, app_id: str, assertion: str) -> tuple[int, dict[str, t.Any]]:
    data = {
        "grant_type": "client_credentials",
        "client_id": app_id,
        "scope": "https://storage.azure.com/.default",
        "client_assertion_type": entra_clients.ASSERTION,
        "client_assertion": assertion,
    }
    answer = call(entra.app(local), "POST", f"{LOGIN}/{local.tenant_id}/oauth2/v2.0/token", form=data)
    return answer.status, answer.json()


def test_a_clusters_token_stands_for_a_managed_identity(local: Emulator) -> None:
    principal = local.directory.add_managed_identity("i", IDENTITY)
    key = f"{IDENTITY}/federatedidentitycredentials/f"
    local.store.put("resources", key, {"id": key, "type": entra_clients.FEDERATED, "body": {"properties": TRUST}})
    status, body = exchange(local, principal.app_id, local.kubernetes.token())  # type: ignore[attr-defined]
    assert status == 200, body
    claims = decoded(body["access_token"], local.tokens.jwks())
    assert (claims["oid"], claims["xms_mirid"], claims["appidacr"]) == (principal.object_id, IDENTITY, "2")


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": "https://elsewhere/"}, 700211),
        ({"sub": "system:serviceaccount:default:other"}, 700213),
        ({"aud": "https://kubernetes.default.svc"}, 700212),
        ({"exp": int(time.time()) - 10}, 700024),
    ],
)
def test_a_token_that_is_not_trusted_is_refused(local: Emulator, changes: dict[str, t.Any], number: int) -> None:
    app_id = local.credentials["deployer"]["client_id"]
    application = local.directory.application_of(app_id)
    assert application
    assert exchange(local, app_id, local.kubernetes.token())[1]["error_codes"] == [70025]  # type: ignore[attr-defined]
    local.store.put("federated", f"{application['id']}/f", TRUST)
    assert exchange(local, app_id, local.kubernetes.token())[0] == 200  # type: ignore[attr-defined]
    status, body = exchange(local, app_id, local.kubernetes.token(**changes))  # type: ignore[attr-defined]
    assert (status, body["error_codes"]) == (401, [number])


def test_a_forged_token_is_refused(local: Emulator) -> None:
    app_id = local.credentials["deployer"]["client_id"]
    application = local.directory.application_of(app_id)
    assert application
    local.store.put("federated", f"{application['id']}/f", TRUST)
    status, body = exchange(local, app_id, Cluster().token())
    assert (status, body["error_codes"]) == (401, [700027])
    unsigned = jwt.encode({**TRUST, "iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE}, None, algorithm="none", headers={"kid": "one"})
    assert exchange(local, app_id, unsigned)[1]["error_codes"] == [700027]


def test_a_clusters_issuer_publishes_its_keys(local: Emulator) -> None:
    app = entra.app(local)
    found = call(app, "GET", f"{ISSUER}.well-known/openid-configuration").json()
    assert found["issuer"] == ISSUER
    assert call(app, "GET", found["jwks_uri"]).json()["keys"][0]["kid"] == "one"
    assert call(app, "GET", ISSUER.replace("cluster", "other") + "openid/v1/jwks").status == 404


def test_a_principal_that_is_not_replicated_cannot_sign_in(local: Emulator) -> None:
    local.settings.update({"replication_delay": "60"})
    principal = local.directory.add_managed_identity("late", IDENTITY)
    assert exchange(local, principal.app_id, local.kubernetes.token())[1]["error_codes"] == [700016]  # type: ignore[attr-defined]


def test_workload_identity_credential_reads_its_file(emulator: Client, tmp_path: pathlib.Path) -> None:
    """Microsoft's own client asks as the test above does: refused here only because nothing trusts this issuer."""
    file = tmp_path / "token"
    file.write_text(Cluster().token())
    credential = WorkloadIdentityCredential(tenant_id=emulator.tenant_id, client_id=emulator.env["AZURE_CLIENT_ID"], token_file_path=str(file))
    with pytest.raises(ClientAuthenticationError, match="AADSTS70025"):
        credential.get_token("https://storage.azure.com/.default")


def test_the_secret_may_come_in_the_authorization_header(emulator: Client) -> None:
    data = form(emulator)
    basic = base64.b64encode(f"{data.pop('client_id')}:{data.pop('client_secret')}".encode()).decode()
    answer = emulator.request("POST", f"{LOGIN}/{emulator.tenant_id}/oauth2/v2.0/token", data=data, headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 200


def test_an_expired_secret_is_called_expired(local: Emulator) -> None:
    app_id = local.credentials["deployer"]["client_id"]
    past = (local.clock.now() - datetime.timedelta(days=1)).isoformat()
    secret = local.directory.add_secret(app_id, start=(local.clock.now() - datetime.timedelta(days=2)).isoformat(), end=past)["secretText"]
    data = {"grant_type": "client_credentials", "client_id": app_id, "client_secret": secret, "scope": "https://storage.azure.com/.default"}
    body = call(entra.app(local), "POST", f"{LOGIN}/{local.tenant_id}/oauth2/v2.0/token", form=data).json()
    assert body["error_codes"] == [7000222]
