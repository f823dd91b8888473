"""Blob storage: who may do what, with azure-storage-blob on accounts that azure-mgmt-storage made."""

from __future__ import annotations

import collections.abc
import datetime
import time
import uuid

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobClient, BlobServiceClient, ContainerSasPermissions, generate_container_sas
from cloud_emulator.azure.blob import needed
from conftest import Client

GROUP = "rg-blob"
CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor
READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader


class Account:
    """A storage account with a container, and clients of both principals."""

    def __init__(self, emulator: Client) -> None:
        self.emulator = emulator
        self.name = f"st{uuid.uuid4().hex[:12]}"
        self.url = f"https://{self.name}.blob.core.windows.net"
        owner = self.credential("deployer")
        self.management = StorageManagementClient(owner, emulator.subscription_id)
        resources = ResourceManagementClient(owner, emulator.subscription_id)
        resources.providers.register("Microsoft.Storage")
        while resources.providers.get("Microsoft.Storage").registration_state != "Registered":
            time.sleep(0.2)
        resources.resource_groups.create_or_update(GROUP, {"location": "westus"})
        body = {"location": "westus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        self.id = str(self.management.storage_accounts.begin_create(GROUP, self.name, body).result().id)
        self.management.blob_containers.create(GROUP, self.name, "box", {})
        self.container_id = f"{self.id}/blobServices/default/containers/box"

    def credential(self, principal: str) -> ClientSecretCredential:
        values = self.emulator.environment(principal)
        return ClientSecretCredential(values["AZURE_TENANT_ID"], values["AZURE_CLIENT_ID"], values["AZURE_CLIENT_SECRET"])

    def blobs(self, principal: str) -> BlobServiceClient:
        return BlobServiceClient(self.url, self.credential(principal), retry_total=0)

    def key(self) -> str:
        return str(self.management.storage_accounts.list_keys(GROUP, self.name)["keys"][0]["value"])

    def assign(self, role: str, scope: str, principal: str = "data-scientist") -> str:
        """Give a role; the assignment's id."""
        client = AuthorizationManagementClient(self.credential("deployer"), self.emulator.subscription_id)
        properties = {
            "role_definition_id": f"/subscriptions/{self.emulator.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role}",
            "principal_id": self.emulator.environment(principal)["CLOUD_EMULATOR_OBJECT_ID"],
            "principal_type": "ServicePrincipal",
        }
        return str(client.role_assignments.create(scope, str(uuid.uuid4()), properties).id)


@pytest.fixture(scope="module")
def account(emulator: Client) -> collections.abc.Iterator[Account]:
    made = Account(emulator)
    yield made
    made.management.storage_accounts.delete(GROUP, made.name)


def refused(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    return error.value.status_code, str(error.value.error_code)  # type: ignore[attr-defined]


def test_without_a_role_the_data_is_closed_even_to_the_owner(account: Account) -> None:
    for principal in ("deployer", "data-scientist"):
        with pytest.raises(HttpResponseError) as error:
            account.blobs(principal).get_blob_client("box", "a").upload_blob(b"x")
        assert refused(error) == (403, "AuthorizationPermissionMismatch")
        assert "not authorized to perform this operation using this permission" in str(error.value)


def test_a_role_on_the_container_is_enough_and_reaches_no_further(account: Account) -> None:
    account.management.blob_containers.create(GROUP, account.name, "other", {})
    account.assign(CONTRIBUTOR, account.container_id)
    blobs = account.blobs("data-scientist")
    content = bytes(range(256)) * 8192  # 2 MiB
    blob = blobs.get_blob_client("box", "folder/ä b")
    blob.upload_blob(content, overwrite=True)
    assert blob.download_blob().readall() == content
    assert [found.name for found in blobs.get_container_client("box").list_blobs()] == ["folder/ä b"]
    blob.delete_blob()
    with pytest.raises(HttpResponseError) as error:
        blobs.get_blob_client("other", "a").upload_blob(b"x")
    assert refused(error) == (403, "AuthorizationPermissionMismatch")


def test_a_reader_may_not_write(account: Account) -> None:
    account.assign(READER, account.id, "deployer")
    blobs = account.blobs("deployer")
    list(blobs.get_container_client("other").list_blobs())
    with pytest.raises(HttpResponseError) as error:
        blobs.get_blob_client("other", "a").upload_blob(b"x")
    assert refused(error) == (403, "AuthorizationPermissionMismatch")


def test_containers_made_through_the_data_plane(account: Account) -> None:
    with BlobServiceClient(account.url, account.key()) as blobs:
        blobs.create_container("data")
        with pytest.raises(ResourceExistsError):
            blobs.create_container("data")
    assert "data" in [container.name for container in account.management.blob_containers.list(GROUP, account.name)]


def test_tokens_that_are_not_for_storage(account: Account) -> None:
    token = account.emulator.token("https://graph.microsoft.com")
    answer = account.emulator.request("GET", f"{account.url}/box/a", headers={"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03"})
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")
    assert answer.headers["www-authenticate"].startswith("Bearer authorization_uri=https://login.microsoftonline.com/")


def test_shared_keys_can_be_forbidden(account: Account) -> None:
    key = account.key()
    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    signature = generate_container_sas(account.name, "box", account_key=key, permission=ContainerSasPermissions(read=True, write=True), expiry=expiry)
    with_key = BlobServiceClient(account.url, key, retry_total=0).get_blob_client("box", "k")
    with_signature = BlobClient(account.url, "box", "s", credential=signature, retry_total=0)
    for blob in (with_key, with_signature):
        blob.upload_blob(b"x", overwrite=True)
    with pytest.raises(ClientAuthenticationError):
        BlobServiceClient(account.url, "a" * 86 + "==", retry_total=0).get_container_client("box").get_container_properties()

    account.management.storage_accounts.update(GROUP, account.name, {"properties": {"allowSharedKeyAccess": False}})
    for blob in (with_key, with_signature):
        with pytest.raises(HttpResponseError) as error:
            blob.upload_blob(b"x", overwrite=True)
        assert refused(error) == (403, "KeyBasedAuthenticationNotPermitted")
    account.management.storage_accounts.update(GROUP, account.name, {"properties": {"allowSharedKeyAccess": True}})
    with_key.upload_blob(b"x", overwrite=True)


def test_nobody_in_particular_is_refused(account: Account) -> None:
    answer = account.emulator.request("GET", f"{account.url}/box/k")
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (409, "PublicAccessNotPermitted")


@pytest.mark.parametrize(
    ("method", "path", "query", "action", "data"),
    [
        ("GET", "/c/b", {}, "containers/blobs/read", True),
        ("HEAD", "/c/b", {}, "containers/blobs/read", True),
        ("PUT", "/c/b", {"comp": "block"}, "containers/blobs/write", True),
        ("DELETE", "/c/b", {}, "containers/blobs/delete", True),
        ("GET", "/c/b", {"comp": "tags"}, "containers/blobs/tags/read", True),
        ("GET", "/c", {"restype": "container", "comp": "list"}, "containers/blobs/read", True),
        ("PUT", "/c", {"restype": "container"}, "containers/write", False),
        ("DELETE", "/c", {"restype": "container"}, "containers/delete", False),
        ("GET", "/", {"comp": "list"}, "containers/read", False),
        ("GET", "/rootblob", {}, "containers/blobs/read", True),
        ("POST", "/", {"restype": "service", "comp": "userdelegationkey"}, "generateUserDelegationKey/action", False),
        ("GET", "/", {"restype": "service", "comp": "properties"}, "read", False),
        ("PUT", "/", {"restype": "service", "comp": "properties"}, "write", False),
    ],
)
def test_what_operations_need(method: str, path: str, query: dict[str, str], action: str, data: bool) -> None:
    assert needed(method, path, query) == (f"Microsoft.Storage/storageAccounts/blobServices/{action}", data)
