"""User-assigned identities and their federated credentials, with Microsoft's SDK."""

from __future__ import annotations

import concurrent.futures

import pytest
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure_clients import Arm, refused
from conftest import Client

ISSUER = "https://westus2.oic.prod-aks.azure.com/tenant/cluster/"
AUDIENCE = ["api://AzureADTokenExchange"]


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def client(arm: Arm) -> ManagedServiceIdentityClient:
    return arm.client(ManagedServiceIdentityClient)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group().rsplit("/", 1)[1]


@pytest.fixture
def identity(request: pytest.FixtureRequest, client: ManagedServiceIdentityClient, group: str) -> str:
    name = request.node.name.replace("[", "-").replace("]", "")[:60]
    client.user_assigned_identities.create_or_update(group, name, {"location": "westus2"})
    return name


def credential(subject: str = "system:serviceaccount:default:metaflow-task", issuer: str = ISSUER) -> dict:
    return {"properties": {"issuer": issuer, "subject": subject, "audiences": AUDIENCE}}


def test_an_identity_is_a_principal_while_it_exists(arm: Arm, client: ManagedServiceIdentityClient, group: str, identity: str):
    found = client.user_assigned_identities.get(group, identity)
    assert found.tenant_id == arm.emulator.tenant_id
    again = client.user_assigned_identities.create_or_update(group, identity, {"location": "westus2", "tags": {"a": "b"}})
    assert (again.principal_id, again.client_id, again.tags) == (found.principal_id, found.client_id, {"a": "b"})
    role = f"{arm.scope}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    assignment = f"{arm.scope}/providers/Microsoft.Authorization/roleAssignments/11111111-1111-4111-8111-111111111111"
    wanted = {"properties": {"roleDefinitionId": role, "principalId": found.principal_id}}
    answer = arm.call("PUT", assignment, wanted, version="2022-04-01")
    assert (answer.status_code, answer.json()["properties"]["principalType"]) == (201, "ServicePrincipal")
    arm.call("DELETE", assignment, version="2022-04-01")
    client.user_assigned_identities.delete(group, identity)
    assert arm.call("PUT", assignment, wanted, version="2022-04-01").json()["error"]["code"] == "PrincipalNotFound"
    client.user_assigned_identities.create_or_update(group, identity, {"location": "westus2"})
    assert client.user_assigned_identities.get(group, identity).principal_id != found.principal_id


def test_credentials_are_made_changed_listed_and_deleted(client: ManagedServiceIdentityClient, group: str, identity: str):
    credentials = client.federated_identity_credentials
    made = credentials.create_or_update(group, identity, "task", credential())
    assert (made.issuer, made.subject, made.audiences) == (ISSUER, credential()["properties"]["subject"], AUDIENCE)
    assert credentials.create_or_update(group, identity, "task", credential("system:serviceaccount:default:other")).subject.endswith("other")
    assert [each.name for each in credentials.list(group, identity)] == ["task"]
    credentials.delete(group, identity, "task")
    refused(lambda: credentials.get(group, identity, "task"), 404, "ResourceNotFound")


def test_issuer_and_subject_are_there_once(client: ManagedServiceIdentityClient, group: str, identity: str):
    client.federated_identity_credentials.create_or_update(group, identity, "one", credential())
    refused(lambda: client.federated_identity_credentials.create_or_update(group, identity, "two", credential()), 409, "Conflict")


@pytest.mark.parametrize("missing", ["issuer", "subject", "audiences"])
def test_a_credential_is_complete(client: ManagedServiceIdentityClient, group: str, identity: str, missing: str):
    wanted = credential()
    del wanted["properties"][missing]
    text = refused(lambda: client.federated_identity_credentials.create_or_update(group, identity, "part", wanted), 400, "BadRequest")
    assert f"'{missing}'" in text


def test_an_issuer_is_an_https_url(client: ManagedServiceIdentityClient, group: str, identity: str):
    wanted = credential(issuer="http://example.com")
    refused(lambda: client.federated_identity_credentials.create_or_update(group, identity, "plain", wanted), 400, "BadRequest")


def test_there_are_at_most_twenty(client: ManagedServiceIdentityClient, group: str, identity: str):
    credentials = client.federated_identity_credentials
    for number in range(20):
        credentials.create_or_update(group, identity, f"credential-{number}", credential(f"subject-{number}"))
    refused(
        lambda: credentials.create_or_update(group, identity, "too-many", credential("subject-20")), 400, "FederatedIdentityCredentialLimitExceeded"
    )


def test_two_writes_for_one_identity_at_once(arm: Arm, emulator: Client, group: str, identity: str):
    path = f"{arm.scope}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{identity}/federatedIdentityCredentials"
    callers = [Arm(emulator), arm]
    emulator.run("settings", "durations.federatedIdentityCredentials=2")
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            calls = [
                pool.submit(caller.call, "PUT", f"{path}/credential-{n}", credential(f"subject-{n}"), version="2024-11-30")
                for n, caller in enumerate(callers)
            ]
            answers = sorted((call.result() for call in calls), key=lambda answer: answer.status_code)
    finally:
        emulator.run("settings", "durations.federatedIdentityCredentials=")
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["error"]["code"] == "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"


def test_credentials_go_with_the_identity(client: ManagedServiceIdentityClient, group: str, identity: str):
    client.federated_identity_credentials.create_or_update(group, identity, "task", credential())
    client.user_assigned_identities.delete(group, identity)
    client.user_assigned_identities.create_or_update(group, identity, {"location": "westus2"})
    assert list(client.federated_identity_credentials.list(group, identity)) == []
