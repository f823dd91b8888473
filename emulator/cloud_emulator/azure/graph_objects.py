"""Graph's objects: what their properties are when nothing was said, how they are found and shown."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

from ..emulator import USER_DOMAIN, Emulator
from .directory import Principal

Json = dict[str, t.Any]
FEDERATED = ("name", "issuer", "subject", "audiences", "description", "claimsMatchingExpression")
# Writable properties with their defaults. Lists and the objects around them are there even when empty: clients walk through them.
APPLICATION: Json = {
    "displayName": None,
    "uniqueName": None,
    "description": None,
    "notes": None,
    "signInAudience": "AzureADMyOrg",
    "identifierUris": [],
    "tags": [],
    "groupMembershipClaims": None,
    "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None,
    "defaultRedirectUri": None,
    "serviceManagementReference": None,
    "samlMetadataUrl": None,
    "tokenEncryptionKeyId": None,
    "nativeAuthenticationApisEnabled": None,
    "serviceUserAttestationMode": None,
    "oauth2RequirePostResponse": False,
    "disabledByMicrosoftStatus": None,
    "optionalClaims": None,
    "addIns": [],
    "appRoles": [],
    "keyCredentials": [],
    "requiredResourceAccess": [],
    "api": {
        "acceptMappedClaims": None,
        "knownClientApplications": [],
        "requestedAccessTokenVersion": None,
        "oauth2PermissionScopes": [],
        "preAuthorizedApplications": [],
    },
    "info": {"logoUrl": None, "marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
    "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    "publicClient": {"redirectUris": []},
    "spa": {"redirectUris": []},
    "web": {
        "homePageUrl": None,
        "logoutUrl": None,
        "redirectUris": [],
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        "redirectUriSettings": [],
    },
    "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
    "servicePrincipalLockConfiguration": None,
    "requestSignatureVerification": None,
}
PRINCIPAL: Json = {
    "accountEnabled": True,
    "alternativeNames": [],
    "appRoleAssignmentRequired": False,
    "description": None,
    "displayName": None,
    "homepage": None,
    "loginUrl": None,
    "logoutUrl": None,
    "notes": None,
    "notificationEmailAddresses": [],
    "preferredSingleSignOnMode": None,
    "preferredTokenSigningKeyThumbprint": None,
    "replyUrls": [],
    "samlSingleSignOnSettings": None,
    "tokenEncryptionKeyId": None,
    "addIns": [],
    "appRoles": [],
    "info": {"logoUrl": None, "marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
    "keyCredentials": [],
    "oauth2PermissionScopes": [],
    "resourceSpecificApplicationPermissions": [],
    "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
}


def find_application(emulator: Emulator, key: str, deleted: bool = False) -> Json | None:
    """An application by object id, `appid='…'` or `uniquename='…'`; with `deleted` those in the bin count too."""
    name, equals, text = key.partition("=")
    text = text.strip("'")
    collections = ("applications", "deleted_applications") if deleted else ("applications",)
    for collection in collections:
        if not equals:
            found = emulator.store.get(collection, key.lower())
        else:
            field = {"appid": "appId", "uniquename": "uniqueName"}.get(name, "")
            values = [value for _, value in emulator.store.items(collection)]
            found = next((value for value in values if (value.get(field) or "").lower() == text.lower()), None)
        if found:
            return found
    return None


def show_application(emulator: Emulator, value: Json) -> Json:
    """An application as Graph gives it."""
    shown = copy.deepcopy(APPLICATION)
    shown.update({name: inner for name, inner in value.items() if not name.startswith("_") and inner is not None})
    for name in ("web", "api", "spa", "publicClient", "info"):
        shown[name] = {**APPLICATION[name], **shown[name]}
    return {
        "id": value["id"],
        "deletedDateTime": None,
        "publisherDomain": USER_DOMAIN,
        "applicationTemplateId": None,
        "certification": None,
        **shown,
        "passwordCredentials": emulator.directory.secrets_of(value["appId"]),
    }


def federated(emulator: Emulator, application: Json) -> list[Json]:
    """The federated credentials of an application."""
    return [value for _, value in emulator.store.items("federated", f"{application['id']}/")]


def find_principal(emulator: Emulator, key: str) -> Principal | None:
    """A service principal by object id or `appid='…'`."""
    if key.startswith("appid="):
        return emulator.directory.by_app_id(key.partition("=")[2].strip("'"))
    return emulator.directory.by_object_id(key)


def show_principal(emulator: Emulator, principal: Principal) -> Json:
    """A service principal as Graph gives it."""
    application = emulator.directory.application_of(principal.app_id)
    shown = {**copy.deepcopy(PRINCIPAL), **principal.extra}
    if principal.resource_id:
        shown["alternativeNames"] = ["isExplicit=True", principal.resource_id]
    names = [principal.app_id, *((application or {}).get("identifierUris") or [])]
    return {
        "id": principal.object_id,
        "deletedDateTime": None,
        **shown,
        "appId": principal.app_id,
        "appDisplayName": principal.display_name if application else None,
        "appDescription": None,
        "applicationTemplateId": None,
        "appOwnerOrganizationId": emulator.tenant_id if application else None,
        "createdDateTime": principal.created,
        "disabledByMicrosoftStatus": None,
        "displayName": (application or {}).get("displayName") or principal.display_name,
        "passwordCredentials": emulator.directory.secrets_of(principal.object_id),
        "samlMetadataUrl": None,
        "servicePrincipalNames": names,
        "servicePrincipalType": principal.kind,
        "signInAudience": (application or {}).get("signInAudience") or ("AzureADMyOrg" if application else None),
        "tags": principal.tags,
    }


def show_user(user: Principal) -> Json:
    """A user as Graph gives it."""
    empty = dict.fromkeys(("givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname"))
    return {"id": user.object_id, "businessPhones": [], "displayName": user.display_name, "userPrincipalName": user.user_name, **empty}


def shown(emulator: Emulator, object_ids: list[str]) -> list[Json]:
    """Directory objects of any kind, with their type, for those ids that exist."""
    found: list[Json] = []
    for object_id in object_ids:
        principal = emulator.directory.by_object_id(object_id)
        application = emulator.store.get("applications", object_id.lower())
        if principal and principal.kind == "User":
            found.append({"@odata.type": "#microsoft.graph.user", **show_user(principal)})
        elif principal and emulator.directory.visible(object_id):
            found.append({"@odata.type": "#microsoft.graph.servicePrincipal", **show_principal(emulator, principal)})
        elif application:
            found.append({"@odata.type": "#microsoft.graph.application", **show_application(emulator, application)})
    return found


def delete_principal(emulator: Emulator, principal: Principal) -> None:
    """Take a service principal out of the directory; it comes back where its application is restored."""
    emulator.directory.remove(principal.object_id)
    emulator.store.put("deleted_principals", principal.app_id, dataclasses.asdict(principal))


def restore_principal(emulator: Emulator, app_id: str) -> None:
    value = emulator.store.get("deleted_principals", app_id)
    if value:
        emulator.store.delete("deleted_principals", app_id)
        emulator.directory.update(Principal(**value))


def organization(emulator: Emulator) -> Json:
    """The tenant."""
    domain = {
        "capabilities": "Email, OfficeCommunicationsOnline",
        "isDefault": True,
        "isInitial": True,
        "name": USER_DOMAIN,
        "type": "Managed",
    }
    return {"id": emulator.tenant_id, "displayName": "Emulator", "businessPhones": [], "tenantType": "AAD", "verifiedDomains": [domain]}
