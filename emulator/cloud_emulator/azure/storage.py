"""Microsoft.Storage: storage accounts; an Azurite process stands behind each one. Their services and containers are in `storage_services`.

The setting `limits.taken.<name>` (not 0) makes a name that of an account elsewhere in Azure.
"""

from __future__ import annotations

import base64
import re
import secrets
import typing as t

from ..clock import timestamp
from .arm import regions, styles
from .arm.errors import ArmError
from .arm.resource import Body, Call, Naming, Provider, Record, ResourceType, Route, Work, merge
from .storage_services import BlobServices, Containers, FileServices, QueueServices, TableServices

ACCOUNT = "Microsoft.Storage/storageAccounts"
NAME = r"[a-z0-9]{3,24}"
NAME_RULE = (
    "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length "
    "and use numbers and lower-case letters only."
)
KEYS = ("key1", "key2")
ACCOUNTS_LIMIT = 250
KINDS = {
    "Storage": ("Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Premium_LRS"),
    "BlobStorage": ("Standard_LRS", "Standard_GRS", "Standard_RAGRS"),
    "BlockBlobStorage": ("Premium_LRS", "Premium_ZRS"),
    "FileStorage": (
        "Premium_LRS",
        "Premium_ZRS",
        "StandardV2_LRS",
        "StandardV2_GRS",
        "StandardV2_ZRS",
        "StandardV2_GZRS",
        "PremiumV2_LRS",
        "PremiumV2_ZRS",
    ),
    "StorageV2": (
        *("Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS"),
        *("Premium_LRS", "Premium_ZRS"),
    ),
}
#: properties that stay as the account was made, with their defaults
FIXED: dict[str, t.Any] = {"isHnsEnabled": False, "isNfsV3Enabled": False, "dnsEndpointType": "Standard"}
#: services with an endpoint, by the kind of the account
ENDPOINTS = {
    "BlobStorage": ("dfs", "blob", "table"),
    "BlockBlobStorage": ("dfs", "web", "blob"),
    "FileStorage": ("file",),
    "Storage": ("blob", "queue", "table", "file"),
    "StorageV2": ("dfs", "web", "blob", "queue", "table", "file"),
}


class StorageAccounts(ResourceType):
    """An account: its creation answers 202 without a body, everything else at once."""

    type = ACCOUNT
    model = "azure.mgmt.storage.models.StorageAccountCreateParameters"
    patch_model = "azure.mgmt.storage.models.StorageAccountUpdateParameters"
    read_model = "azure.mgmt.storage.models.StorageAccount"
    styles = styles.STORAGE
    naming = Naming(NAME, "AccountNameInvalid", NAME_RULE)
    actions: t.ClassVar[t.Mapping[str, str]] = {"listKeys": "list_keys", "regenerateKey": "regenerate_key"}

    def exclusive(self, record_id: t.Any) -> str | None:
        return str(record_id)

    def busy(self, call: Call, operation: t.Any) -> ArmError:
        message = "An operation is currently performing on this storage account that requires exclusive access."
        return ArmError(409, "StorageAccountOperationInProgress", message)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        if before is None:
            self._check_new(call, body)
        kind, sku = body.get("kind"), (body.get("sku") or {}).get("name")
        if before is not None:
            _check_fixed(body, before)
        if sku not in KINDS[str(kind)]:
            raise ArmError(
                400,
                "InvalidAccountType",
                f"The AccountType {sku} is invalid for kind {kind}. For more information, see - https://aka.ms/storageaccountskus",
            )
        for rule in ((body.get("properties") or {}).get("networkAcls") or {}).get("virtualNetworkRules") or []:
            if call.manager.get(rule["id"]) is None:
                raise ArmError(400, "NetworkAclsValidationFailure", f"Validation of network acls failure: SubnetNotFound: {rule['id']}.")

    @staticmethod
    def _check_new(call: Call, body: Body) -> None:
        name = call.resource_id.name
        if any(other.name == name for other in call.manager.find(ACCOUNT)):
            raise ArmError(409, "StorageAccountAlreadyExists", f"The storage account named {name} already exists under the subscription.")
        if is_taken_elsewhere(call, name):
            raise ArmError(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
        location = regions.normal(body["location"])
        limit = int(call.emulator.settings.get("quotas.storageAccounts", ACCOUNTS_LIMIT))
        if sum(other.location == location for other in call.manager.find(ACCOUNT)) >= limit:
            message = (
                f"Subscription {call.emulator.subscription_id} already contains {limit} storage accounts in location {location} "
                f"and the maximum allowed is {limit}."
            )
            raise ArmError(409, "MaxStorageAccountsCountPerSubscriptionExceeded", message)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        now = timestamp(call.emulator.clock.now())
        record.body["location"] = record.location
        if before is None:
            record.private["keys"] = {name: {"value": _new_key(), "creationTime": now} for name in KEYS}
            earlier = _new_properties(record, now)
        else:
            earlier = before.properties
            record.body.setdefault("tags", before.body.get("tags", {}))
        record.body["properties"] = merge(earlier, record.properties)
        record.body.setdefault("tags", {})
        record.body["sku"] = {"name": record.body["sku"]["name"], "tier": _performance(record.body["sku"]["name"])}
        if record.body["kind"] != "Storage":
            record.properties.setdefault("accessTier", "Premium" if record.body["sku"]["tier"] == "Premium" else "Hot")
        self._complete_identity(call, record)
        _complete_replication(record)

    @staticmethod
    def _complete_identity(call: Call, record: Record) -> None:
        identity = record.body.get("identity")
        if identity and "SystemAssigned" in identity.get("type", ""):
            principal = call.emulator.directory.add_managed_identity(record.name, record.id)
            identity.update(principalId=principal.object_id, tenantId=call.emulator.tenant_id)

    async def create(self, work: Work) -> None:
        await work.emulator.azurite.create(work.record.name, _values(work.record))

    async def delete(self, work: Work) -> None:
        await work.emulator.azurite.delete(work.record.name)

    def failed(self, work: Work, error: ArmError) -> None:
        """An account whose creation failed isn't there; a failed change leaves it as it was."""
        if work.operation.verb == "create":
            work.manager.forget(work.record.id)
            return
        work.record.body, work.record.state = work.arguments.get("before", work.record.body), "Succeeded"
        work.save()

    async def list_keys(self, call: Call, record: Record) -> Body:
        """Both keys; `$expand=kerb` adds none, as no account here is joined to a directory for files."""
        keys = record.private["keys"]
        return {
            "keys": [
                {"creationTime": keys[name]["creationTime"], "keyName": name, "value": keys[name]["value"], "permissions": "FULL"} for name in KEYS
            ]
        }

    async def regenerate_key(self, call: Call, record: Record) -> Body:
        """Exchange one key; what signs with the old one is refused from now on."""
        name = (call.body or {}).get("keyName")
        if name not in KEYS:
            raise ArmError(400, "KeyNotFound", f"The key name '{name}' is not valid.")
        now = timestamp(call.emulator.clock.now())
        record.private["keys"][name] = {"value": _new_key(), "creationTime": now}
        record.properties["keyCreationTime"][name] = now
        call.manager.put(record)
        await call.emulator.azurite.set_keys(record.name, _values(record))
        return await self.list_keys(call, record)


def _check_fixed(body: Body, before: Record) -> None:
    kinds, properties = (before.body["kind"], body.get("kind")), body.get("properties") or {}
    asked = {name: properties[name] for name in FIXED if properties.get(name) is not None}
    changed = [name for name, value in asked.items() if value != before.properties.get(name, FIXED[name])]
    if kinds[0] != kinds[1] and kinds != ("Storage", "StorageV2"):
        changed.append("kind")
    if _performance((body.get("sku") or {}).get("name")) != _performance(before.body["sku"]["name"]):
        changed.append("sku")
    if changed:
        message = f"The property '{changed[0]}' was specified in the input, but it cannot be updated."
        raise ArmError(409, "AccountPropertyCannotBeUpdated", message)


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _values(account: Record) -> list[str]:
    return [account.private["keys"][name]["value"] for name in KEYS]


def _performance(sku: str | None) -> str:
    return "Premium" if str(sku).startswith("Premium") else "Standard"


def _new_properties(record: Record, now: str) -> Body:
    service = {"keyType": "Account", "enabled": True, "lastEnabledTime": now}
    return {
        "keyCreationTime": dict.fromkeys(KEYS, now),
        "allowCrossTenantReplication": False,
        "privateEndpointConnections": [],
        "minimumTlsVersion": "TLS1_0",
        "allowBlobPublicAccess": False,
        "networkAcls": {"ipv6Rules": [], "bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"},
        "supportsHttpsTrafficOnly": True,
        "encryption": {"services": {"file": service, "blob": service}, "keySource": "Microsoft.Storage"},
        "creationTime": now,
        "primaryEndpoints": _endpoints(record.name, record.body["kind"]),
        "primaryLocation": record.location,
        "statusOfPrimary": "available",
    }


def _endpoints(name: str, kind: str) -> Body:
    zones = {"web": f"https://{name}.z22.web.core.windows.net/"}
    return {service: zones.get(service, f"https://{name}.{service}.core.windows.net/") for service in ENDPOINTS[kind]}


def _complete_replication(record: Record) -> None:
    sku, properties = record.body["sku"]["name"], record.properties
    for name in ("secondaryLocation", "statusOfSecondary", "secondaryEndpoints"):
        properties.pop(name, None)
    if "GRS" in sku or "GZRS" in sku:
        properties.update(secondaryLocation=regions.BY_NAME[record.location].paired, statusOfSecondary="available")
    if "RAG" in sku:
        services = _endpoints(f"{record.name}-secondary", record.body["kind"])
        properties["secondaryEndpoints"] = {service: url for service, url in services.items() if service != "file"}


def is_taken_elsewhere(call: Call, name: str) -> bool:
    """Whether the name is that of an account outside of this subscription."""
    return bool(call.emulator.settings.get(f"limits.taken.{name}", 0))


async def check_name_availability(call: Call) -> Body:
    """Whether a name is valid and free in all of Azure."""
    name = str((call.body or {}).get("name", ""))
    if not re.fullmatch(NAME, name):
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": NAME_RULE.format(name=name)}
    if is_taken_elsewhere(call, name) or any(other.name == name for other in call.manager.find(ACCOUNT)):
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": f"The storage account named {name} is already taken."}
    return {"nameAvailable": True}


async def usages(call: Call) -> Body:
    """Accounts in a region, and how many there may be."""
    location = regions.normal(call.parameters["location"])
    used = sum(account.location == location for account in call.manager.find(ACCOUNT))
    name = {"value": "StorageAccounts", "localizedValue": "Storage Accounts"}
    return {
        "value": [
            {"unit": "Count", "currentValue": used, "limit": int(call.emulator.settings.get("quotas.storageAccounts", ACCOUNTS_LIMIT)), "name": name}
        ]
    }


_SUBSCRIPTION = "/subscriptions/{subscription}/providers/Microsoft.Storage"
PROVIDER = Provider(
    "Microsoft.Storage",
    types=[StorageAccounts(), BlobServices(), FileServices(), QueueServices(), TableServices(), Containers()],
    routes=[
        Route("POST", f"{_SUBSCRIPTION}/checkNameAvailability", check_name_availability, "Microsoft.Storage/checkNameAvailability/read"),
        Route("GET", f"{_SUBSCRIPTION}/locations/{{location}}/usages", usages, "Microsoft.Storage/locations/usages/read"),
    ],
)
