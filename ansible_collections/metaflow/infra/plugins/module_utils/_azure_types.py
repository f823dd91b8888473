# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of resource types, as data: api-version, what may be sent, how an existing one is changed, what may not be written side by side.

Read-only and immutable properties are those of Microsoft's published type descriptions for these versions.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._azure_ids import GROUP, normal, parent_of, type_of
from ._compare import Rules
from ._errors import InputError

Body = dict[str, t.Any]
ENVELOPE = ("id", "name", "type", "systemData", "*.etag", "*.provisioningState")
NETWORK = (*ENVELOPE, "*.resourceGuid", "properties.flowLogs", "properties.subnets")
SUBNET = (
    "*.ipConfigurations",
    "*.ipConfigurationProfiles",
    "*.privateEndpoints",
    "*.purpose",
    "*.resourceNavigationLinks",
    "*.serviceAssociationLinks",
    "*.allocatedAddressPrefixes",
    "*.delegations[].properties.actions",
)


def as_it_is(wanted: Body, live: Body) -> Body:
    return wanted


@dataclasses.dataclass(frozen=True)
class Type:
    """One type of resource."""

    api_version: str
    read_only: tuple[str, ...] = ENVELOPE
    immutable: tuple[str, ...] = ("location",)
    update: t.Literal["PUT", "PATCH"] = "PUT"
    tags_patch: bool = True
    """PATCH takes tags, whatever `update` is."""
    serial: t.Literal["", "self", "parent"] = ""
    """Writes below the same resource, or its parent, must not overlap."""
    permanent: bool = False
    """It comes and goes with its parent."""
    spelled: t.Callable[[Body, Body], Body] = as_it_is
    """What is wanted, in the words that the live one uses where Azure has several for the same."""

    @property
    def rules(self) -> Rules:
        return Rules(read_only=self.read_only, immutable=self.immutable)


def subnet_spelled(wanted: Body, live: Body) -> Body:
    """A subnet with one range may have it in addressPrefix or addressPrefixes; the name of a delegation means nothing."""
    properties, known = dict(wanted.get("properties") or {}), live.get("properties") or {}
    one, many = properties.get("addressPrefix"), properties.get("addressPrefixes")
    if one and not known.get("addressPrefix") and known.get("addressPrefixes"):
        properties["addressPrefixes"] = [properties.pop("addressPrefix")]
    elif many and len(many) == 1 and known.get("addressPrefix") and not known.get("addressPrefixes"):
        properties["addressPrefix"] = properties.pop("addressPrefixes")[0]
    names = {service_of(d): d["name"] for d in known.get("delegations") or []}
    if properties.get("delegations"):
        properties["delegations"] = [{**d, "name": names.get(service_of(d), d.get("name"))} for d in properties["delegations"]]
    return {**wanted, "properties": properties} if properties else wanted


def service_of(delegation: Body) -> str:
    return str((delegation.get("properties") or {}).get("serviceName")).lower()


def network_spelled(wanted: Body, live: Body) -> Body:
    """The same for the subnets that are declared inside their network."""
    subnets = (wanted.get("properties") or {}).get("subnets")
    if not subnets:
        return wanted
    known = {s["name"]: s for s in (live.get("properties") or {}).get("subnets") or []}
    spelled = [subnet_spelled(s, known.get(s.get("name"), {})) for s in subnets]
    return {**wanted, "properties": {**wanted["properties"], "subnets": spelled}}


AKS, POSTGRESQL, STORAGE, NETWORKS = "2025-10-01", "2025-08-01", "2025-08-01", "2025-01-01"
TYPES = {
    GROUP: Type("2024-11-01", (*ENVELOPE, "managedBy"), update="PATCH"),
    "Microsoft.Network/virtualNetworks": Type(
        NETWORKS,
        (*ENVELOPE, *SUBNET, "*.resourceGuid", "properties.flowLogs", "properties.defaultPublicNatGateway", "*.regionalCommunity"),
        serial="self",
        spelled=network_spelled,
    ),
    "Microsoft.Network/virtualNetworks/subnets": Type(NETWORKS, (*ENVELOPE, *SUBNET), tags_patch=False, serial="parent", spelled=subnet_spelled),
    "Microsoft.Network/networkSecurityGroups": Type(NETWORKS, (*NETWORK, "properties.defaultSecurityRules", "properties.networkInterfaces")),
    "Microsoft.Network/natGateways": Type(NETWORKS, NETWORK, ("location", "sku", "zones")),
    "Microsoft.Network/publicIPAddresses": Type(NETWORKS, (*NETWORK, "properties.ipConfiguration"), ("location", "sku", "zones")),
    "Microsoft.Network/privateDnsZones": Type(
        "2024-06-01", (*ENVELOPE, "properties.internalId", "properties.maxNumberOf*", "properties.numberOf*"), update="PATCH"
    ),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": Type(
        "2024-06-01", (*ENVELOPE, "properties.virtualNetworkLinkState"), ("location", "properties.virtualNetwork"), update="PATCH"
    ),
    "Microsoft.Storage/storageAccounts": Type(
        STORAGE,
        (
            *ENVELOPE,
            "sku.tier",
            "identity.principalId",
            "identity.tenantId",
            "*.lastEnabledTime",
            "properties.creationTime",
            "properties.keyCreationTime",
            "properties.primary*",
            "properties.secondary*",
            "properties.statusOf*",
            "properties.privateEndpointConnections",
            "properties.networkAcls.virtualNetworkRules[].state",
        ),
        ("location", "properties.isHnsEnabled", "properties.isNfsV3Enabled", "properties.encryption.requireInfrastructureEncryption"),
        update="PATCH",
    ),
    "Microsoft.Storage/storageAccounts/blobServices": Type(
        STORAGE, (*ENVELOPE, "sku", "*.lastEnabledTime", "*.minRestoreTime"), tags_patch=False, permanent=True, serial="parent"
    ),
    "Microsoft.Storage/storageAccounts/blobServices/containers": Type(
        STORAGE,
        (
            *ENVELOPE,
            "properties.deleted*",
            "properties.has*",
            "properties.immutabilityPolicy",
            "properties.lastModifiedTime",
            "properties.lease*",
            "properties.legalHold",
            "properties.remainingRetentionDays",
            "properties.version",
        ),
        ("properties.immutableStorageWithVersioning.enabled", "properties.defaultEncryptionScope", "properties.denyEncryptionScopeOverride"),
        update="PATCH",
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities": Type(
        "2024-11-30", (*ENVELOPE, "properties.clientId", "properties.principalId", "properties.tenantId"), update="PATCH"
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": Type("2024-11-30", tags_patch=False, serial="parent"),
    # What has modules of its own is only read and deleted here.
    "Microsoft.ContainerService/managedClusters": Type(AKS, serial="self"),
    "Microsoft.ContainerService/managedClusters/agentPools": Type(AKS, serial="parent"),
    "Microsoft.DBforPostgreSQL/flexibleServers": Type(POSTGRESQL, serial="self"),
    "Microsoft.DBforPostgreSQL/flexibleServers/databases": Type(POSTGRESQL, serial="parent"),
    "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules": Type(POSTGRESQL, serial="parent"),
    "Microsoft.Authorization/roleAssignments": Type("2022-04-01"),
    "Microsoft.Authorization/locks": Type("2020-05-01", tags_patch=False),
}
BY_NAME = {name.lower(): known for name, known in TYPES.items()}


def type_known(resource_id: str, api_version: str | None) -> Type:
    """What is known of the type of this id; of another one only what holds for all. :raises InputError: where its api-version is not known."""
    kind = type_of(resource_id)
    known = BY_NAME.get(kind.lower())
    if known is None and not api_version:
        raise InputError(f"{resource_id}: set api_version, as this module has none for {kind}.")
    known = known or Type(api_version or "", tags_patch=False, serial="parent" if kind.count("/") > 1 else "")
    return dataclasses.replace(known, api_version=api_version) if api_version else known


def lock_of(resource_id: str, known: Type) -> str | None:
    """What its writes hold while they last: two with the same lock go one after the other."""
    if not known.serial:
        return None
    top = resource_id
    while known.serial == "parent" and type_of(top).count("/") > 1:
        top = parent_of(top)
    return normal(top)
