"""Microsoft Graph, with azure-core's pipeline (as Microsoft's clients send) and, where a clock must move, in this process."""

from __future__ import annotations

import datetime
import pathlib
import typing as t
import uuid

import pytest
from asgi import call
from azure.core import PipelineClient
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.identity import ClientSecretCredential, EnvironmentCredential
from cloud_emulator.azure import graph
from cloud_emulator.clock import Clock
from cloud_emulator.emulator import Emulator
from conftest import Client

SCOPE = "https://graph.microsoft.com/.default"


class Graph:
    """Calls on Microsoft Graph, signed in as the deployer."""

    def __init__(self) -> None:
        policies = [RetryPolicy(retry_total=0), BearerTokenCredentialPolicy(EnvironmentCredential(), SCOPE)]
        self._client: t.Any = PipelineClient("https://graph.microsoft.com", policies=policies)

    def __call__(self, method: str, path: str, body: t.Any = None, *, status: int, version: str = "v1.0", **options: t.Any) -> t.Any:
        answer: HttpResponse = self._client.send_request(HttpRequest(method, f"https://graph.microsoft.com/{version}{path}", json=body, **options))
        assert answer.status_code == status, answer.text()
        return answer.json() if answer.content else None


@pytest.fixture
def ask(emulator: Client) -> Graph:
    return Graph()


def test_an_application_with_principal_and_secret_can_sign_in(ask: Graph, emulator: Client) -> None:
    name = f"app-{uuid.uuid4()}"
    application = ask("POST", "/applications", {"displayName": name}, status=201)
    for path in ("appRoles", "identifierUris", "passwordCredentials", "web.redirectUris", "spa.redirectUris", "publicClient.redirectUris"):
        value = application
        for part in path.split("."):
            value = value[part]
        assert value == [], path
    principal = ask("POST", "/servicePrincipals", {"appId": application["appId"]}, status=201)
    assert principal["id"] not in (application["id"], application["appId"])
    secret = ask("POST", f"/applications/{application['id']}/addPassword", {"passwordCredential": {"displayName": "rbac"}}, status=200)
    assert secret["hint"] == secret["secretText"][:3]
    (kept,) = ask("GET", f"/applications/{application['id']}", status=200)["passwordCredentials"]
    assert kept["keyId"] == secret["keyId"]
    assert kept["secretText"] is None
    assert secret["secretText"].encode() not in (emulator.state / "store.sqlite").read_bytes()

    credential = ClientSecretCredential(emulator.tenant_id, application["appId"], secret["secretText"])
    assert credential.get_token(SCOPE).token
    ask("POST", f"/applications(appId='{application['appId']}')/removePassword", {"keyId": secret["keyId"]}, status=204)
    with pytest.raises(Exception, match="AADSTS7000215"):
        ClientSecretCredential(emulator.tenant_id, application["appId"], secret["secretText"]).get_token(SCOPE)


def test_a_service_principal_has_secrets_of_its_own(ask: Graph, emulator: Client) -> None:
    application = ask("POST", "/applications", {"displayName": f"app-{uuid.uuid4()}"}, status=201)
    path = f"/servicePrincipals/{ask('POST', '/servicePrincipals', {'appId': application['appId']}, status=201)['id']}"
    secret = ask("POST", f"{path}/addPassword", {"passwordCredential": {"displayName": "own"}}, status=200)
    (kept,) = ask("GET", path, status=200)["passwordCredentials"]
    assert (kept["keyId"], kept["displayName"], kept["secretText"]) == (secret["keyId"], "own", None)
    assert ask("GET", f"/applications/{application['id']}", status=200)["passwordCredentials"] == []
    assert ClientSecretCredential(emulator.tenant_id, application["appId"], secret["secretText"]).get_token(SCOPE).token
    ask("POST", f"{path}/removePassword", {"keyId": secret["keyId"]}, status=204)
    assert ask("GET", path, status=200)["passwordCredentials"] == []
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        ClientSecretCredential(emulator.tenant_id, application["appId"], secret["secretText"]).get_token(SCOPE)


def test_only_users_have_a_me(ask: Graph, emulator: Client) -> None:
    for path in ("/me", "/me/ownedObjects"):
        assert "delegated authentication flow" in ask("GET", path, status=400)["error"]["message"]
    user = emulator.environment("operator")
    names = {"client_id": "AZURE_CLIENT_ID", "username": "AZURE_USERNAME", "password": "AZURE_PASSWORD"}
    form = {"grant_type": "password", "scope": SCOPE, **{name: user[variable] for name, variable in names.items()}}
    answer = emulator.request("POST", f"https://login.microsoftonline.com/{emulator.tenant_id}/oauth2/v2.0/token", data=form)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    owner = {"owners@odata.bind": [f"https://graph.microsoft.com/v1.0/directoryObjects/{user['CLOUD_EMULATOR_OBJECT_ID']}"]}
    made = ask("POST", "/applications", {"displayName": "mine", **owner}, status=201)
    owned = emulator.request("GET", "https://graph.microsoft.com/v1.0/me/ownedObjects", headers=headers).json()["value"]
    assert [(value["id"], value["@odata.type"]) for value in owned] == [(made["id"], "#microsoft.graph.application")]


def test_upsert_by_unique_name(ask: Graph) -> None:
    unique = f"unique-{uuid.uuid4()}"
    path, prefer = f"/applications(uniqueName='{unique}')", {"Prefer": "create-if-missing"}
    assert ask("PATCH", path, {"displayName": "a"}, status=404)["error"]["code"] == "Request_ResourceNotFound"
    made = ask("PATCH", path, {"displayName": "a"}, headers=prefer, status=201)
    assert made["uniqueName"] == unique
    assert ask("PATCH", path, {"displayName": "b"}, headers=prefer, status=204) is None
    found = ask("GET", path, status=200)
    assert (found["id"], found["displayName"]) == (made["id"], "b")
    ask("PATCH", f"/applications/{made['id']}", {"uniqueName": "other"}, status=400)

    principal_path = f"/servicePrincipals(appId='{made['appId']}')"
    principal = ask("PATCH", principal_path, {"displayName": "a"}, headers=prefer, status=201)
    ask("PATCH", principal_path, {"displayName": "a", "tags": ["x"]}, headers=prefer, status=204)
    assert ask("GET", principal_path, status=200)["tags"] == ["x"]

    ask("DELETE", f"/applications/{made['id']}", status=204)
    ask("GET", path, status=404)
    ask("GET", f"/servicePrincipals/{principal['id']}", status=404)
    again = ask("PATCH", path, {"displayName": "a"}, headers=prefer, status=400)
    assert again["error"]["code"] == "Request_MultipleObjectsWithSameKeyValue", "the name is taken until the deleted one is purged"
    assert made["id"] in [value["id"] for value in ask("GET", "/directory/deletedItems/microsoft.graph.application", status=200)["value"]]
    assert ask("POST", f"/directory/deletedItems/{made['id']}/restore", status=200)["id"] == made["id"]
    assert ask("GET", f"/servicePrincipals/{principal['id']}", status=200)["appId"] == made["appId"]
    ask("DELETE", f"/applications/{made['id']}", status=204)
    ask("DELETE", f"/directory/deletedItems/{made['id']}", status=204)
    ask("GET", f"/directory/deletedItems/{made['id']}", status=404)
    ask("PATCH", path, {"displayName": "a"}, headers=prefer, status=201)


def test_owners(ask: Graph, emulator: Client) -> None:
    owner = emulator.env["CLOUD_EMULATOR_OBJECT_ID"]
    other = emulator.environment("data-scientist")["CLOUD_EMULATOR_OBJECT_ID"]
    binding = {"owners@odata.bind": [f"https://graph.microsoft.com/v1.0/directoryObjects/{owner}"]}
    application = ask("POST", "/applications", {"displayName": "owned", **binding}, status=201)
    path = f"/applications/{application['id']}/owners"
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{other}"}
    ask("POST", f"{path}/$ref", reference, status=204)
    ask("POST", f"{path}/$ref", reference, status=400)
    ask("POST", f"{path}/$ref", {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{uuid.uuid4()}"}, status=404)
    assert [value["id"] for value in ask("GET", path, status=200)["value"]] == [owner, other]
    ask("DELETE", f"{path}/{owner}/$ref", status=204)
    (left,) = ask("GET", path, status=200)["value"]
    assert (left["id"], left["@odata.type"]) == (other, "#microsoft.graph.servicePrincipal")


def test_the_calls_of_terraforms_azuread(ask: Graph, emulator: Client) -> None:
    owner = emulator.env["CLOUD_EMULATOR_OBJECT_ID"]
    binding = {"owners@odata.bind": [f"https://graph.microsoft.com/v1.0/directoryObjects/{owner}"]}
    application = ask("POST", "/applications", {"displayName": "terraform", "signInAudience": "AzureADMyOrg", "tags": [], **binding}, status=201)
    path = f"/applications/{application['id']}"
    for name in (f"TERRAFORM_UPDATE_{uuid.uuid4()}", "terraform"):  # its way of seeing that a change has arrived
        ask("PATCH", path, {"displayName": name}, status=204)
        assert ask("GET", path, status=200)["displayName"] == name
    ask("DELETE", f"{path}/owners/{owner}/$ref", status=204)
    assert ask("GET", f"{path}/owners", status=200)["value"] == []
    assert ask("GET", f"/servicePrincipals?$filter=appId eq '{application['appId']}'", status=200)["value"] == []
    principal = ask("POST", "/servicePrincipals", {"appId": application["appId"], "accountEnabled": True, "tags": []}, status=201)
    ask("PATCH", f"/servicePrincipals/{principal['id']}", {"description": "", "notes": None}, status=204)
    shown = ask("GET", f"/servicePrincipals/{principal['id']}?$select=samlMetadataUrl", status=200, version="beta")
    assert shown["samlMetadataUrl"] is None
    secret = ask("POST", f"{path}/addPassword", {"passwordCredential": {"displayName": "password"}}, status=200)
    assert [kept["keyId"] for kept in ask("GET", path, status=200)["passwordCredentials"]] == [secret["keyId"]]
    ask("POST", f"{path}/removePassword", {"keyId": secret["keyId"]}, status=204)
    for gone in (f"/servicePrincipals/{principal['id']}", path):
        ask("DELETE", gone, status=204)
        ask("GET", gone, status=404)


def test_filters_that_clients_send(ask: Graph, emulator: Client) -> None:
    app_id = emulator.env["AZURE_CLIENT_ID"]
    for path in (
        f"//servicePrincipals?$filter=servicePrincipalNames/any(c:c eq '{app_id}')",
        "/servicePrincipals?$filter=displayName eq 'deployer'",
        f"/servicePrincipals?$filter=appId eq '{app_id}'",
        f"//applications?$filter=appId eq '{app_id}'",
        "/applications?$filter=startswith(displayName,'deploy') and appId ne null".replace(" and appId ne null", ""),
        f"/applications?$filter=appId in ('{app_id}', 'x') and displayName eq 'deployer'&$count=true",
        "/applications?$filter=displayName eq 'deployer' or displayName eq 'it''s'&$select=appId",
    ):
        assert [value["appId"] for value in ask("GET", path, status=200)["value"]] == [app_id], path
    assert ask("GET", "/applications?$filter=displayName eq 'nobody'", status=200)["value"] == []
    unsupported = ask("GET", "/applications?$filter=endswith(displayName,'x')", status=400)
    assert unsupported["error"]["code"] == "Request_UnsupportedQuery"


def test_lists_come_in_pages(ask: Graph) -> None:
    page = ask("GET", "/applications?$top=1", status=200)
    following = ask("GET", page["@odata.nextLink"].removeprefix("https://graph.microsoft.com/v1.0"), status=200)
    assert page["value"][0]["id"] != following["value"][0]["id"]


def test_federated_credentials(ask: Graph) -> None:
    application = ask("POST", "/applications", {"displayName": "federated"}, status=201)
    path = f"/applications/{application['id']}/federatedIdentityCredentials"
    body = {"name": "c", "issuer": "https://i/", "subject": "system:serviceaccount:a:b", "audiences": ["api://AzureADTokenExchange"]}
    made = ask("POST", path, body, status=201)
    assert {name: made[name] for name in body} == body
    ask("POST", path, body, status=409)
    ask("POST", path, {**body, "name": "d"}, status=409)
    ask("POST", path, {"name": "e"}, status=400)
    ask("PATCH", f"{path}/{made['id']}", {"subject": "other"}, status=204)
    assert ask("GET", f"{path}/c", status=200)["subject"] == "other"
    ask("DELETE", f"{path}/{made['id']}", status=204)
    assert ask("GET", path, status=200)["value"] == []


def test_bad_input(ask: Graph) -> None:
    assert "displayName" in ask("POST", "/applications", {}, status=400)["error"]["message"]
    assert "'colour'" in ask("POST", "/applications", {"displayName": "x", "colour": "red"}, status=400)["error"]["message"]
    ask("POST", "/applications", {"displayName": "x", "passwordCredentials": [{"secretText": "mine"}]}, status=400)
    missing = ask("POST", "/servicePrincipals", {"appId": str(uuid.uuid4())}, status=400)
    assert "does not reference a valid application object" in missing["error"]["message"]
    error = ask("GET", f"/applications/{uuid.uuid4()}", status=404)["error"]
    assert error["code"] == "Request_ResourceNotFound"
    assert set(error["innerError"]) == {"date", "request-id", "client-request-id"}
    ask("GET", "/me", status=400)
    ask("PUT", "/applications", {}, status=405)
    ask("GET", "/planets", status=400)


def test_a_second_principal_of_an_application_is_refused(ask: Graph, emulator: Client) -> None:
    ask("POST", "/servicePrincipals", {"appId": emulator.env["AZURE_CLIENT_ID"]}, status=409)


def test_directory_objects(ask: Graph, emulator: Client) -> None:
    object_id = emulator.env["CLOUD_EMULATOR_OBJECT_ID"]
    (found,) = ask("POST", "/directoryObjects/getByIds", {"ids": [object_id, str(uuid.uuid4())]}, status=200)["value"]
    assert (found["id"], found["@odata.type"]) == (object_id, "#microsoft.graph.servicePrincipal")
    assert ask("GET", f"/directoryObjects/{object_id}", status=200)["displayName"] == "deployer"
    assert ask("GET", "/organization", status=200)["value"][0]["id"] == emulator.tenant_id


def test_a_token_for_something_else_is_refused(emulator: Client) -> None:
    token = emulator.token("https://management.azure.com")
    answer = emulator.request("GET", "https://graph.microsoft.com/v1.0/applications", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


class MovedClock(Clock):
    """A clock that tests move."""

    ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        return super().now() + self.ahead


def test_new_objects_are_seen_with_a_delay(tmp_path: pathlib.Path) -> None:
    clock = MovedClock()
    local = Emulator.open(tmp_path / "state", clock)
    local.settings.update({"replication_delay": "20"})
    deployer = local.directory.by_app_id(local.credentials["deployer"]["client_id"])
    assert deployer
    app = graph.app(local)

    def ask(method: str, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        token = local.tokens.issue(deployer, "https://graph.microsoft.com")
        answer = call(app, method, f"https://graph.microsoft.com/v1.0{path}", body=body, token=token)
        return answer.status, answer.json() if answer.body else None

    status, application = ask("POST", "/applications", {"displayName": "late"})
    assert status == 201
    assert ask("GET", f"/applications/{application['id']}")[0] == 404
    assert ask("POST", f"/applications/{application['id']}/addPassword", {})[0] == 404
    status, refused = ask("POST", "/servicePrincipals", {"appId": application["appId"]})
    assert (status, refused["error"]["code"]) == (400, "Request_BadRequest")
    clock.ahead += datetime.timedelta(seconds=21)
    assert ask("GET", f"/applications/{application['id']}")[0] == 200
    status, principal = ask("POST", "/servicePrincipals", {"appId": application["appId"]})
    assert status == 201
    assert ask("GET", f"/servicePrincipals/{principal['id']}")[0] == 404
    assert principal["id"] not in [value["id"] for value in ask("GET", "/servicePrincipals")[1]["value"]]
    clock.ahead += datetime.timedelta(seconds=21)
    assert ask("GET", f"/servicePrincipals/{principal['id']}")[0] == 200
