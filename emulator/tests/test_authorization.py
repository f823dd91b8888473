"""Role assignments and definitions with Microsoft's SDK, and what they let a principal do."""

from __future__ import annotations

import uuid

import pytest
from azure.mgmt.authorization import AuthorizationManagementClient
from azure_clients import Arm, refused
from cloud_emulator.azure.authorization import NAMESPACE_OF_A_CLUSTER
from conftest import Client

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
IDENTITY = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def other(emulator: Client) -> Arm:
    return Arm(emulator, "data-scientist")


@pytest.fixture(scope="module")
def client(arm: Arm) -> AuthorizationManagementClient:
    return arm.client(AuthorizationManagementClient)


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture
def principal(other: Arm) -> str:
    return other.environment["CLOUD_EMULATOR_OBJECT_ID"]


def wanted(arm: Arm, role: str, principal: str, kind: str | None = "ServicePrincipal") -> dict:
    definition = f"{arm.scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return {"properties": {"roleDefinitionId": definition, "principalId": principal, **({"principalType": kind} if kind else {})}}


def test_an_assignment_is_made_repeated_read_and_deleted(arm: Arm, client: AuthorizationManagementClient, group: str, principal: str):
    name = str(uuid.uuid4())
    made = client.role_assignments.create(group, name, wanted(arm, READER, principal))
    assert (made.scope, made.principal_id, made.principal_type, made.type) == (
        group, principal, "ServicePrincipal", "Microsoft.Authorization/roleAssignments"
    )  # fmt: skip
    assert client.role_assignments.create(group, name, wanted(arm, READER, principal)).id == made.id
    assert client.role_assignments.get(group, name).id == made.id
    assert client.role_assignments.delete(group, name).id == made.id
    assert client.role_assignments.delete(group, name) is None
    refused(lambda: client.role_assignments.get(group, name), 404, "RoleAssignmentNotFound")


def test_the_same_assignment_under_another_name_is_refused(arm: Arm, client: AuthorizationManagementClient, group: str, principal: str):
    name = str(uuid.uuid4())
    client.role_assignments.create(group, name, wanted(arm, READER, principal))
    text = refused(lambda: client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, principal)), 409, "RoleAssignmentExists")
    assert name.replace("-", "") in text
    refused(lambda: client.role_assignments.create(group, name, wanted(arm, CONTRIBUTOR, principal)), 409, "RoleAssignmentUpdateNotPermitted")


def test_bad_assignments_are_refused(arm: Arm, client: AuthorizationManagementClient, group: str, principal: str):
    create = client.role_assignments.create
    refused(lambda: create(group, "no-guid", wanted(arm, READER, principal)), 400, "InvalidRoleAssignmentId")
    refused(lambda: create(group, str(uuid.uuid4()), wanted(arm, str(uuid.uuid4()), principal)), 400, "RoleDefinitionDoesNotExist")
    refused(lambda: create(group, str(uuid.uuid4()), wanted(arm, READER, "no-guid")), 400, "InvalidPrincipalId")
    refused(lambda: create(group, str(uuid.uuid4()), wanted(arm, READER, principal, "User")), 400, "UnmatchedPrincipalType")
    nowhere = f"{group}/{IDENTITY}/absent"
    refused(lambda: create(nowhere, str(uuid.uuid4()), wanted(arm, READER, principal)), 404, "ResourceNotFound")
    unknown = {"properties": {**wanted(arm, READER, principal)["properties"], "colour": "red"}}
    answer = arm.call("PUT", f"{group}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", unknown)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")


def test_an_unknown_principal_needs_its_type(arm: Arm, client: AuthorizationManagementClient, group: str):
    absent = str(uuid.uuid4())
    text = refused(lambda: client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, absent, None)), 400, "PrincipalNotFound")
    assert text.startswith(f"(PrincipalNotFound) Principal {absent.replace('-', '')} does not exist in the directory")
    assert client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, absent)).principal_type == "ServicePrincipal"


def test_a_new_principal_is_seen_after_the_replication_delay(arm: Arm, client: AuthorizationManagementClient, group: str, emulator: Client):
    emulator.run("settings", "replication_delay=3600")
    try:
        late = arm.make(f"{group}/{IDENTITY}/late-identity", {"location": "westus2"})["properties"]["principalId"]
    finally:
        emulator.run("settings", "replication_delay=")
    refused(lambda: client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, late, None)), 400, "PrincipalNotFound")
    assert client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, late))


def test_assignments_are_listed_above_at_and_below_a_scope(arm: Arm, client: AuthorizationManagementClient, group: str, principal: str):
    resource = arm.make(f"{group}/{IDENTITY}/scoped", {"location": "westus2"})["id"]
    made = client.role_assignments.create(resource, str(uuid.uuid4()), wanted(arm, READER, principal))
    owner = arm.environment["CLOUD_EMULATOR_OBJECT_ID"]

    def ids(scope: str, condition: str | None = None) -> list[str]:
        return [each.id for each in client.role_assignments.list_for_scope(scope, filter=condition)]

    assert made.id in ids(arm.scope)
    assert made.id in ids(group)
    assert made.id not in ids(group, "atScope()")
    assert made.id in ids(resource, "atScope()")
    assert ids(arm.scope, f"principalId eq '{principal}'").count(made.id) == 1
    assert made.id in ids(resource, f"atScope() and assignedTo('{principal}')")
    assert made.id not in ids(resource, f"principalId eq '{owner}'")
    assert [each.scope for each in client.role_assignments.list_for_scope(resource, filter=f"principalId eq '{owner}'")] == [arm.scope]
    refused(lambda: ids(resource, "colour eq 'red'"), 400, "InvalidFilter")
    arm.settle(arm.call("DELETE", resource))
    assert made.id not in ids(arm.scope)


def test_built_in_roles_are_found_by_name_and_by_id(arm: Arm, client: AuthorizationManagementClient, group: str):
    found = list(client.role_definitions.list(group, filter="roleName eq 'Storage Blob Data Contributor'"))
    assert [role.name for role in found] == [BLOB_CONTRIBUTOR]
    assert "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write" in found[0].permissions[0].data_actions
    assert client.role_definitions.get(arm.scope, READER).role_name == "Reader"
    refused(lambda: client.role_definitions.get(arm.scope, str(uuid.uuid4())), 404, "RoleDefinitionDoesNotExist")


def test_a_role_of_ones_own(arm: Arm, client: AuthorizationManagementClient, other: Arm, group: str, principal: str):
    name = str(uuid.uuid4())
    permission = {"actions": ["Microsoft.ManagedIdentity/*/read"], "notActions": []}
    role = {"properties": {"roleName": f"Identity looker {name}", "assignableScopes": [arm.scope], "permissions": [permission]}}
    answer = arm.call("PUT", f"{arm.scope}/providers/Microsoft.Authorization/roleDefinitions/{name}", role)
    assert (answer.status_code, answer.json()["properties"]["type"]) == (201, "CustomRole")
    again = arm.call("PUT", f"{arm.scope}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid4()}", role)
    assert again.json()["error"]["code"] == "RoleDefinitionWithSameNameExists"
    assert other.call("GET", f"{group}/{IDENTITY}").status_code == 403
    assignment = client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, name, principal))
    assert other.call("GET", f"{group}/{IDENTITY}").status_code == 200
    refused(lambda: client.role_definitions.delete(arm.scope, name), 400, "RoleDefinitionHasAssignments")
    client.role_assignments.delete_by_id(assignment.id)
    assert client.role_definitions.delete(arm.scope, name).role_name == role["properties"]["roleName"]


def test_rights_follow_the_assignments(arm: Arm, client: AuthorizationManagementClient, other: Arm, group: str, principal: str):
    path = f"{group}/{IDENTITY}/mine"
    refusal = other.call("PUT", path, {"location": "westus2"})
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert refusal.json()["error"]["message"] == (
        f"The client '{other.environment['AZURE_CLIENT_ID']}' with object id '{principal}' does not have authorization to perform action "
        f"'Microsoft.ManagedIdentity/userAssignedIdentities/write' over scope '{path}' or the scope is invalid. If access was recently granted, "
        "please refresh your credentials."
    )
    reader = client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, principal))
    assert other.call("GET", group).status_code == 200
    assert [each["id"] for each in other.call("GET", "/subscriptions").json()["value"]] == [arm.scope]
    assert other.call("PUT", path, {"location": "westus2"}).status_code == 403
    client.role_assignments.delete_by_id(reader.id)
    client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, CONTRIBUTOR, principal))
    assert other.call("PUT", path, {"location": "westus2"}).status_code == 201
    mine = f"{group}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    assert other.call("PUT", mine, wanted(arm, READER, principal)).json()["error"]["code"] == "AuthorizationFailed"
    granted = other.call("GET", f"{group}/providers/Microsoft.Authorization/permissions").json()["value"]
    assert "Microsoft.Authorization/*/Write" in granted[0]["notActions"]
    assert other.call("PUT", f"{arm.scope}/resourceGroups/not-mine", {"location": "westus2"}).status_code == 403


def test_lists_of_the_subscription_show_what_the_caller_may_read(
    arm: Arm, client: AuthorizationManagementClient, other: Arm, group: str, principal: str
):
    identity = arm.make(f"{group}/{IDENTITY}/listed", {"location": "westus2"})["id"]
    hidden = arm.group()
    client.role_assignments.create(group, str(uuid.uuid4()), wanted(arm, READER, principal))
    seen = [each["id"] for each in other.call("GET", f"{arm.scope}/resourceGroups").json()["value"]]
    assert group in seen
    assert hidden not in seen
    assert identity in [each["id"] for each in other.call("GET", f"{arm.scope}/resources").json()["value"]]
    assert other.call("GET", hidden).status_code == 403


def test_the_scope_of_a_cluster_s_namespace_is_looked_up_as_the_cluster():
    cluster = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks"
    assert NAMESPACE_OF_A_CLUSTER.sub(r"\1", f"{cluster}/namespaces/default") == cluster
    assert NAMESPACE_OF_A_CLUSTER.sub(r"\1", f"{cluster}/agentPools/default") == f"{cluster}/agentPools/default"
