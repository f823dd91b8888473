"""The tenant-level part of Resource Manager: what a client asks before it knows anything (clouds, tenants, subscriptions, regions)."""

from __future__ import annotations

import typing as t

from .arm import access
from .arm.manager import ASSIGNMENTS
from .arm.regions import REGIONS, Region
from .arm.resource import Body, Call, Route

SUBSCRIPTION_NAME = "Emulated subscription"
TENANT_NAME = "Emulated directory"
DOMAIN = "emulated.onmicrosoft.com"


async def endpoints(call: Call) -> t.Any:
    """The clouds' addresses: one object since 2022-09-01, a list before, a few names in the first version."""
    cloud: Body = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": "https://login.microsoftonline.com",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": "https://rest.media.azure.net",
        "graphAudience": "https://graph.microsoft.com/",
        "graph": "https://graph.microsoft.com/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "suffixes": {
            "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
            "acrLoginServer": "azurecr.io",
            "sqlServerHostname": "database.windows.net",
            "postgresqlServerEndpoint": "postgres.database.azure.com",
            "mysqlServerEndpoint": "mysql.database.azure.com",
            "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
            "keyVaultDns": "vault.azure.net",
            "storage": "core.windows.net",
            "storageSyncEndpointSuffix": "afs.azure.net",
        },
        "batch": "https://batch.core.windows.net/",
        "resourceManager": "https://management.azure.com/",
        "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/arm-compute/quickstart-templates/aliases.json",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "ossrDbmsResourceId": "https://ossrdbms-aad.database.windows.net",
        "gallery": "https://gallery.azure.com/",
    }
    version = call.query.get("api-version", "")
    if version.startswith("2015"):
        names = {"galleryEndpoint": cloud["gallery"], "graphEndpoint": cloud["graph"], "portalEndpoint": cloud["portal"]}
        return {**names, "authentication": cloud["authentication"]}
    return cloud if version >= "2022-09-01" else [cloud]


def subscription(call: Call) -> Body:
    """The one subscription, as a GET shows it."""
    identity, tenant = call.emulator.subscription_id, call.emulator.tenant_id
    return {
        "id": f"/subscriptions/{identity}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": identity,
        "tenantId": tenant,
        "displayName": SUBSCRIPTION_NAME,
        "state": "Enabled",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
    }


async def subscriptions(call: Call) -> Body:
    """Subscriptions in which the caller has any role, at any scope."""
    principal = call.principal.id.lower()
    sees = any(value["properties"]["principalId"].lower() == principal for _, value in call.emulator.store.items(ASSIGNMENTS))
    found = [subscription(call)] if sees else []
    return {"value": found, "count": {"type": "Total", "value": len(found)}}


async def get_subscription(call: Call) -> Body:
    """One subscription; whoever has a role somewhere in it sees it."""
    seen: list[Body] = (await subscriptions(call))["value"]
    if not seen:
        access.require(call.emulator, call.principal, "Microsoft.Resources/subscriptions/read", f"/subscriptions/{call.parameters['subscription']}")
    return subscription(call)


async def tenants(call: Call) -> Body:
    """The caller's tenants: its own."""
    tenant = call.emulator.tenant_id
    value = {
        "id": f"/tenants/{tenant}",
        "tenantId": tenant,
        "countryCode": "US",
        "displayName": TENANT_NAME,
        "domains": [DOMAIN],
        "tenantCategory": "Home",
        "defaultDomain": DOMAIN,
        "tenantType": "AAD",
    }
    return {"value": [value]}


async def locations(call: Call) -> Body:
    """Regions of the subscription."""
    return {"value": [_location(call, region) for region in REGIONS]}


def _location(call: Call, region: Region) -> Body:
    scope = f"/subscriptions/{call.emulator.subscription_id}/locations"
    zones = [{"logicalZone": str(n), "physicalZone": f"{region.name}-az{n}"} for n in (1, 2, 3)] if region.zones else []
    return {
        "id": f"{scope}/{region.name}",
        "name": region.name,
        "type": "Region",
        "displayName": region.display_name,
        "regionalDisplayName": f"({region.geography}) {region.display_name}",
        "metadata": {
            "regionType": "Physical",
            "regionCategory": "Recommended" if region.zones else "Other",
            "geography": region.geography,
            "geographyGroup": region.geography,
            "longitude": region.longitude,
            "latitude": region.latitude,
            "physicalLocation": region.physical,
            "pairedRegion": [{"name": region.paired, "id": f"{scope}/{region.paired}"}],
        },
        **({"availabilityZoneMappings": zones} if zones else {}),
    }


READ = "Microsoft.Resources/subscriptions/read"
ROUTES = (
    Route("GET", "/metadata/endpoints", endpoints, public=True),
    Route("GET", "/subscriptions", subscriptions),
    Route("GET", "/subscriptions/{subscription}", get_subscription),
    Route("GET", "/subscriptions/{subscription}/locations", locations, READ),
    Route("GET", "/tenants", tenants),
)
