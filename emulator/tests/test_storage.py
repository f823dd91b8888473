"""Storage accounts, driven with Microsoft's SDK; their containers are asked with azure-storage-blob through the proxy."""

from __future__ import annotations

import typing as t

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure_stack import REGION, Azure, refused
from conftest import Client

ACCOUNT = "stacmemetaflow"
ACCOUNTS = "Microsoft.Storage/storageAccounts"


@pytest.fixture(scope="module")
def azure(emulator: Client) -> Azure:
    return Azure(emulator, "rg-storage")


@pytest.fixture(scope="module")
def account(azure: Azure) -> t.Any:
    return azure.storage.storage_accounts.begin_create(azure.group, ACCOUNT, wanted()).result()


def wanted(**properties: t.Any) -> dict[str, t.Any]:
    return {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "location": REGION, "properties": {"minimumTlsVersion": "TLS1_2", **properties}}


def blobs(azure: Azure, key: str | None = None) -> BlobServiceClient:
    """The data plane, with the account's first key or another one."""
    key = key or azure.storage.storage_accounts.list_keys(azure.group, ACCOUNT).keys_property[0].value
    return BlobServiceClient(f"https://{ACCOUNT}.blob.core.windows.net", credential=key, retry_total=0)


def test_creation_answers_202_then_200_never_201(azure: Azure) -> None:
    path = f"{azure.group_id}/providers/{ACCOUNTS}/stprotocol"
    first = azure.call("PUT", path, wanted())
    assert (first.status_code, first.content) == (202, b"")
    assert first.headers["Content-Type"].startswith("text/plain")
    assert "Azure-AsyncOperation" not in first.headers
    assert "/asyncoperations/" in first.headers["Location"]
    assert int(first.headers["Retry-After"]) >= 1
    url = first.headers["Location"].removeprefix("https://management.azure.com")
    azure.wait_for(lambda: azure.follow(url).status_code == 200)
    assert azure.follow(url).json()["properties"]["provisioningState"] == "Succeeded"
    again = azure.call("PUT", path, wanted())
    assert again.status_code == 200
    assert again.json()["name"] == "stprotocol"
    assert azure.call("DELETE", path).status_code == 200
    assert azure.call("DELETE", path).status_code == 204
    assert azure.call("GET", path).status_code == 404


def test_an_account_is_as_azure_shows_it(azure: Azure, account: t.Any) -> None:
    answer = azure.call("GET", account.id).json()
    properties = answer["properties"]
    assert answer["sku"] == {"name": "Standard_LRS", "tier": "Standard"}
    assert (answer["kind"], answer["location"]) == ("StorageV2", REGION)
    assert properties["primaryEndpoints"]["blob"] == f"https://{ACCOUNT}.blob.core.windows.net/"
    assert set(properties["primaryEndpoints"]) == {"dfs", "web", "blob", "queue", "table", "file"}
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert properties["allowBlobPublicAccess"] is False
    assert properties["networkAcls"]["defaultAction"] == "Allow"
    assert properties["encryption"]["services"]["blob"]["enabled"] is True
    assert properties["accessTier"] == "Hot"
    assert ACCOUNT in [each.name for each in azure.storage.storage_accounts.list()]
    assert [each.name for each in azure.storage.storage_accounts.list_by_resource_group(azure.group)] == [ACCOUNT]


def test_a_change_keeps_the_rest(azure: Azure, account: t.Any) -> None:
    changed = azure.storage.storage_accounts.update(azure.group, ACCOUNT, {"tags": {"a": "b"}, "properties": {"allowSharedKeyAccess": True}})
    assert (changed.tags, changed.minimum_tls_version, changed.allow_shared_key_access) == ({"a": "b"}, "TLS1_2", True)
    cold = azure.storage.storage_accounts.update(azure.group, ACCOUNT, {"sku": {"name": "Standard_ZRS"}})
    assert cold.sku.name == "Standard_ZRS"
    with refused("AccountPropertyCannotBeUpdated"):
        azure.storage.storage_accounts.begin_create(azure.group, ACCOUNT, {**wanted(), "kind": "BlobStorage"}).result()
    with refused("AccountPropertyCannotBeUpdated", "isHnsEnabled"):
        azure.storage.storage_accounts.begin_create(azure.group, ACCOUNT, wanted(isHnsEnabled=True)).result()


def test_names(azure: Azure, account: t.Any) -> None:
    def check(name: str) -> tuple[t.Any, ...]:
        found = azure.storage.storage_accounts.check_name_availability({"name": name, "type": ACCOUNTS})
        return found.name_available, found.reason

    assert check(ACCOUNT) == (False, "AlreadyExists")
    assert check("stfree") == (True, None)
    assert check("No-Good") == (False, "AccountNameInvalid")
    with refused("AccountNameInvalid"):
        azure.call_checked("PUT", f"{azure.group_id}/providers/{ACCOUNTS}/No-Good", wanted())
    azure.resources.resource_groups.create_or_update("rg-storage-other", {"location": REGION})
    with refused("StorageAccountAlreadyExists"):
        azure.storage.storage_accounts.begin_create("rg-storage-other", ACCOUNT, wanted()).result()
    azure.emulator.run("settings", "limits.taken.stelsewhere=1")
    assert check("stelsewhere") == (False, "AlreadyExists")
    with refused("StorageAccountAlreadyTaken", "The storage account named stelsewhere is already taken."):
        azure.storage.storage_accounts.begin_create(azure.group, "stelsewhere", wanted()).result()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**wanted(), "kind": "BlockBlobStorage"}, "InvalidAccountType"),
        ({**wanted(), "location": "atlantis"}, "LocationNotAvailableForResourceType"),
        (wanted(networkAcls={"defaultAction": "Deny", "virtualNetworkRules": [{"id": "/subscriptions/x"}]}), "NetworkAclsValidationFailure"),
    ],
)
def test_refused_at_once(azure: Azure, body: dict[str, t.Any], code: str) -> None:
    with refused(code):
        azure.call_checked("PUT", f"{azure.group_id}/providers/{ACCOUNTS}/strefused", body)
    assert azure.call("GET", f"{azure.group_id}/providers/{ACCOUNTS}/strefused").status_code == 404


def test_containers_are_azurites(azure: Azure, account: t.Any) -> None:
    containers = azure.storage.blob_containers
    first = azure.call("PUT", f"{account.id}/blobServices/default/containers/metaflow-storage-container", {"properties": {}})
    assert first.status_code == 201
    assert azure.call("PUT", f"{account.id}/blobServices/default/containers/metaflow-storage-container", {}).status_code == 200
    made = containers.get(azure.group, ACCOUNT, "metaflow-storage-container")
    assert (made.public_access, made.lease_state, made.has_legal_hold, made.deleted) == ("None", "Available", False, False)
    assert made.etag
    with blobs(azure) as service:
        service.get_blob_client("metaflow-storage-container", "data/1").upload_blob(b"x" * 2_000_000)
        assert service.get_blob_client("metaflow-storage-container", "data/1").download_blob().readall() == b"x" * 2_000_000
        service.create_container("by-hand")
    assert {each.name for each in containers.list(azure.group, ACCOUNT)} == {"metaflow-storage-container", "by-hand"}
    assert containers.get(azure.group, ACCOUNT, "by-hand").last_modified_time
    containers.delete(azure.group, ACCOUNT, "by-hand")
    with pytest.raises(ResourceNotFoundError):
        containers.get(azure.group, ACCOUNT, "by-hand")
    with blobs(azure) as service:
        assert [each.name for each in service.list_containers()] == ["metaflow-storage-container"]


def test_container_rules(azure: Azure, account: t.Any) -> None:
    with refused("InvalidResourceName"):
        azure.call_checked("PUT", f"{account.id}/blobServices/default/containers/No--Good", {})
    with refused("PublicAccessNotPermitted"):
        azure.storage.blob_containers.create(azure.group, ACCOUNT, "open", {"properties": {"publicAccess": "Blob"}})
    azure.storage.storage_accounts.update(azure.group, ACCOUNT, {"properties": {"allowBlobPublicAccess": True}})
    assert azure.storage.blob_containers.create(azure.group, ACCOUNT, "open", {"properties": {"publicAccess": "Blob"}}).public_access == "Blob"
    changed = azure.storage.blob_containers.update(azure.group, ACCOUNT, "open", {"properties": {"metadata": {"a": "b"}}})
    assert (changed.public_access, changed.metadata) == ("Blob", {"a": "b"})
    azure.storage.blob_containers.delete(azure.group, ACCOUNT, "open")
    assert azure.call("GET", f"{azure.group_id}/providers/{ACCOUNTS}/nothere/blobServices/default/containers").status_code == 404


def test_keys(azure: Azure, account: t.Any) -> None:
    answer = azure.call("POST", f"{account.id}/listKeys?$expand=kerb").json()["keys"]
    assert [(each["keyName"], each["permissions"]) for each in answer] == [("key1", "FULL"), ("key2", "FULL")]
    old = answer[0]["value"]
    new = azure.storage.storage_accounts.regenerate_key(azure.group, ACCOUNT, {"keyName": "key1"}).keys_property
    assert new[0].value != old
    assert new[1].value == answer[1]["value"]
    with blobs(azure, new[0].value) as service:
        list(service.list_containers())
    with blobs(azure, old) as service, pytest.raises(HttpResponseError):
        list(service.list_containers())
    with refused("KeyNotFound"):
        azure.storage.storage_accounts.regenerate_key(azure.group, ACCOUNT, {"keyName": "key9"})


def test_services(azure: Azure, account: t.Any) -> None:
    service = azure.call("GET", f"{account.id}/blobServices/default").json()
    assert service["properties"] == {"cors": {"corsRules": []}, "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False}}
    assert service["type"] == f"{ACCOUNTS}/blobServices"
    body = {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 7}, "isVersioningEnabled": True}}
    changed = azure.storage.blob_services.set_service_properties(azure.group, ACCOUNT, body)
    assert (changed.delete_retention_policy.days, changed.is_versioning_enabled, changed.cors.cors_rules) == (7, True, [])
    assert azure.storage.blob_services.get_service_properties(azure.group, ACCOUNT).is_versioning_enabled
    with refused("InvalidXmlNodeValue"):
        azure.storage.blob_services.set_service_properties(
            azure.group, ACCOUNT, {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 999}}}
        )
    assert azure.call("GET", f"{account.id}/fileServices/default").json()["properties"]["shareDeleteRetentionPolicy"]["days"] == 7
    assert azure.call("GET", f"{account.id}/queueServices/default").status_code == 200
    assert azure.call("GET", f"{account.id}/blobServices/other").status_code == 404


def test_usages(azure: Azure, account: t.Any) -> None:
    usage = next(iter(azure.storage.usages.list_by_location(REGION)))
    assert (usage.name.value, usage.limit) == ("StorageAccounts", 250)
    assert usage.current_value >= 1


def test_a_creation_that_fails_leaves_nothing(azure: Azure, faults: Client) -> None:
    rule = "- {path: '*/storageAccounts/stfails', method: PUT, operation_error: {code: StorageAccountOperationInProgress, message: Try again.}}"
    faults.run("faults", "set", "-", text=rule)
    with pytest.raises(HttpResponseError, match="Try again"):
        azure.storage.storage_accounts.begin_create(azure.group, "stfails", wanted()).result()
    assert azure.call("GET", f"{azure.group_id}/providers/{ACCOUNTS}/stfails").status_code == 404


def test_identity_and_deletion(azure: Azure) -> None:
    made = azure.storage.storage_accounts.begin_create(azure.group, "stidentity", {**wanted(), "identity": {"type": "SystemAssigned"}}).result()
    assert made.identity.principal_id
    assert made.identity.tenant_id == azure.emulator.tenant_id
    azure.storage.storage_accounts.delete(azure.group, "stidentity")
    with pytest.raises(ResourceNotFoundError):
        azure.storage.storage_accounts.get_properties(azure.group, "stidentity")
