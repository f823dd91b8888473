"""The services of a storage account (each has one set of properties, called `default`) and blob containers, which are Azurite's own."""

from __future__ import annotations

import copy
import datetime
import typing as t

from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Naming, Record, ResourceType, Work
from .arm.styles import SYNCHRONOUS, Style, Styles

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager

ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINER_NAME = r"\$root|\$web|\$logs|(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"


class Service(ResourceType):
    """Properties of one service; they are there as soon as the account is."""

    tracked = False
    location = "none"
    provisioning_state = False
    methods = frozenset({"GET", "PUT"})
    defaults: t.ClassVar[Body] = {}
    retention: t.ClassVar[tuple[str, ...]] = ()

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        account_id = record_id.parent
        account = call.manager.get(account_id.key) if account_id else None
        if account is None or record_id.name.lower() != "default":
            return None
        return call.manager.get(record_id.key) or self._default(account)

    def listed(self, call: Call, scope: str) -> list[Record]:
        account = call.manager.get(scope)
        return [call.manager.get(f"{scope}/{self.kind}/default") or self._default(account)] if account else []

    def _default(self, account: Record) -> Record:
        resource_id = f"{account.id}/{self.kind}/default"
        body = {"id": resource_id, "name": "default", "type": self.type, "properties": copy.deepcopy(self.defaults)}
        return Record(resource_id, self.type, body)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        for name in self.retention:
            policy = (body.get("properties") or {}).get(name) or {}
            if policy.get("enabled") and policy.get("days") not in range(1, 366):
                message = "The value for one of the XML nodes is not in the correct format: the days of a retention policy must be from 1 to 365."
                raise ArmError(400, "InvalidXmlNodeValue", message, target=f"properties.{name}.days")

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        earlier = before.properties if before else self.defaults
        record.body["properties"] = {**copy.deepcopy(earlier), **record.properties}

    def render(self, manager: ResourceManager, record: Record) -> Body:
        account = manager.get(record.id.rsplit("/", 2)[0])
        return {**({"sku": account.body["sku"]} if account else {}), **super().render(manager, record)}


class BlobServices(Service):
    """Properties of the blob service."""

    type = f"{ACCOUNT}/blobServices"
    model = "azure.mgmt.storage.models.BlobServiceProperties"
    retention = ("deleteRetentionPolicy", "containerDeleteRetentionPolicy", "restorePolicy")
    defaults: t.ClassVar[Body] = {"cors": {"corsRules": []}, "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False}}


class FileServices(Service):
    """Properties of the file service; there are no shares behind it."""

    type = f"{ACCOUNT}/fileServices"
    model = "azure.mgmt.storage.models.FileServiceProperties"
    retention = ("shareDeleteRetentionPolicy",)
    defaults: t.ClassVar[Body] = {
        "protocolSettings": {"smb": {}},
        "cors": {"corsRules": []},
        "shareDeleteRetentionPolicy": {"enabled": True, "days": 7},
    }


class QueueServices(Service):
    """Properties of the queue service; there are no queues behind it."""

    type = f"{ACCOUNT}/queueServices"
    model = "azure.mgmt.storage.models.QueueServiceProperties"
    defaults: t.ClassVar[Body] = {"cors": {"corsRules": []}}


class TableServices(Service):
    """Properties of the table service; there are no tables behind it."""

    type = f"{ACCOUNT}/tableServices"
    model = "azure.mgmt.storage.models.TableServiceProperties"
    defaults: t.ClassVar[Body] = {"cors": {"corsRules": []}}


class Containers(ResourceType):
    """Blob containers: made here or through the data plane, they are the same."""

    type = f"{ACCOUNT}/blobServices/containers"
    model = "azure.mgmt.storage.models.BlobContainer"
    styles: t.ClassVar[Styles] = {**SYNCHRONOUS, "create": Style(201), "delete": Style(200, "empty")}
    tracked = False
    location = "none"
    provisioning_state = False
    naming = Naming(CONTAINER_NAME, "InvalidResourceName", "The specified resource name contains invalid characters.")
    immutable = ("properties.defaultEncryptionScope", "properties.denyEncryptionScopeOverride")

    async def refresh(self, call: Call, resource_id: ResourceId) -> None:
        """Take over what was made or deleted through the data plane."""
        account = _account(call.manager, resource_id)
        if account is None or account.state == "Creating":
            return
        place = f"{account.id}/blobServices/default"
        found = {each["name"]: each for each in await call.emulator.azurite.containers(account.name)}
        for record in call.manager.children(place, self.type):
            kept = found.pop(record.name, None)
            if kept is None:
                call.manager.forget(record.id)
            elif record.body.get("etag") != kept["etag"]:
                call.manager.put(_seen(record, kept))
        for name, kept in found.items():
            container = f"{place}/containers/{name}"
            body = {"id": container, "name": name, "type": self.type, "properties": _new_properties()}
            call.manager.put(_seen(Record(container, self.type, body), kept))

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        account = _account(call.manager, call.resource_id)
        access = (body.get("properties") or {}).get("publicAccess", "None")
        if access != "None" and account is not None and not account.properties["allowBlobPublicAccess"]:
            raise ArmError(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        record.body["properties"] = {**_new_properties(), **(before.properties if before else {}), **record.properties}
        if before is not None and "etag" in before.body:
            record.body["etag"] = before.body["etag"]

    async def create(self, work: Work) -> None:
        account = _account(work.manager, work.manager.parse(work.record.id))
        assert account is not None
        await work.emulator.azurite.create_container(account.name, work.record.name)
        found = await work.emulator.azurite.containers(account.name)
        _seen(work.record, next(each for each in found if each["name"] == work.record.name))

    async def delete(self, work: Work) -> None:
        account = _account(work.manager, work.manager.parse(work.record.id))
        assert account is not None
        await work.emulator.azurite.delete_container(account.name, work.record.name)

    def failed(self, work: Work, error: ArmError) -> None:
        """A container whose creation failed isn't there."""
        if work.operation.verb == "create":
            work.manager.forget(work.record.id)
        else:
            work.record.body = work.arguments.get("before", work.record.body)
            work.save()


def _account(manager: ResourceManager, resource_id: ResourceId) -> Record | None:
    """The account that a container, or the collection of containers, belongs to."""
    return manager.get(str(ResourceId(resource_id.scope, resource_id.namespace, resource_id.types[:1], resource_id.names[:1])))


def _new_properties() -> Body:
    return {
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": False,
        "publicAccess": "None",
        "leaseStatus": "Unlocked",
        "leaseState": "Available",
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "deleted": False,
        "remainingRetentionDays": 0,
    }


def _seen(record: Record, found: dict[str, t.Any]) -> Record:
    """The record with what the blob service says of the container."""
    moment: datetime.datetime = found["last_modified"]
    record.body["etag"] = found["etag"]
    record.properties["lastModifiedTime"] = moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    return record
