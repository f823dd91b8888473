# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure's error answers: reading them, what to do about them, and which of them pass by themselves."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ._errors import ApiError


@dataclasses.dataclass(frozen=True)
class Transient:
    """An error that goes away: the call is made again, for at most `limit` seconds (None: as long as the module may take)."""

    code: str
    limit: float | None = None
    text: str = ""
    """Pattern that the message must have, where a code is also used for what lasts."""


# Codes as the services' documentation and their users' reports have them.
TRANSIENT = (
    # Two writes at once.
    Transient("AnotherOperationInProgress"),
    Transient("RetryableError"),
    Transient("RetryableErrorDueToAnotherOperation"),
    Transient("CanceledAndSupersededDueToAnotherOperation"),
    Transient("ReferencedResourceNotProvisioned", 900),
    Transient("ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"),
    Transient("StorageAccountOperationInProgress"),
    Transient("ServerIsBusy"),
    Transient("ServerBusy"),
    Transient("OperationNotAllowed", text=r"in progress|since (a )?deletion was issued|currently|another operation"),
    Transient("AKSOperationPreempted"),
    Transient("ResourceGroupBeingDeleted"),
    # Throttling that an operation ends with; a plain 429 is seen to by the pipeline.
    Transient("TooManyRequests"),
    Transient("SubscriptionRequestsThrottled"),
    Transient("Throttled"),
    # A new principal is not known everywhere at once.
    Transient("PrincipalNotFound", 600),
)

# What a deleted server or cluster leaves behind for minutes; anything else in use gets only as long as such a deletion may lag.
TRANSIENT_DELETE = (
    *TRANSIENT,
    Transient("InUseSubnetCannotBeDeleted", text="serviceAssociationLinks"),
    Transient("InUseSubnetCannotBeDeleted", 240),
    Transient("InUsePrefixCannotBeDeleted", 240),
    Transient("InUseNetworkSecurityGroupCannotBeDeleted", 240),
    Transient("InUseRouteTableCannotBeDeleted", 240),
    Transient("PublicIPAddressCannotBeDeleted", 240),
    Transient("NatGatewayInUseBySubnet", 240),
    Transient("CannotDeleteResource", 240),
    Transient("ResourceGroupDeletionTimeout", 3600),
)

HINTS = {
    "AuthorizationFailed": "Ask an owner of the subscription for this right; where it was given just now, wait some minutes.",
    "LinkedAuthorizationFailed": "The caller also needs rights on the resource that is referred to.",
    "Authorization_RequestDenied": "The caller may not do this in Entra ID: ask for the application permission Application.ReadWrite.OwnedBy, "
    "or choose azure_infra_pod_identity: workload_identity, which needs none.",
    "InvalidAuthenticationToken": "Log in again, and check tenant_id and cloud.",
    "InvalidAuthenticationTokenTenant": "The subscription belongs to another tenant: set tenant_id to it.",
    "SubscriptionNotFound": "Check subscription_id, and that the caller has a role in it.",
    "InvalidSubscriptionId": "Check subscription_id.",
    "MissingSubscriptionRegistration": "Register the namespace with metaflow.infra.azure_provider, or ask the subscription's owner to.",
    "NoRegisteredProviderFound": "Set another api_version or region.",
    "LocationNotAvailableForResourceType": "Choose another region.",
    "LocationIsOfferRestricted": "Choose another region, or ask Azure's support to open this one for the subscription.",
    "ProvisionNotSupportedForRegion": "Choose another region, or ask Azure's support to open this one for the subscription.",
    "SkuNotAvailable": "Choose another size or region.",
    "VMSizeNotSupported": "Choose another size or region.",
    "AllocationFailed": "Azure has no such machines left there now: name more sizes, or try later or elsewhere.",
    "QuotaExceeded": "Ask for more quota in Azure's portal (Subscription, Usage + quotas), or choose a smaller or other size.",
    "ErrCode_InsufficientVCPUQuota": "Ask for more quota in Azure's portal (Subscription, Usage + quotas), or choose a smaller or other size.",
    "RequestDisallowedByPolicy": "An Azure Policy forbids it: its name is in the message; change what is declared, or ask for an exemption.",
    "ScopeLocked": "Remove the lock first, if it should go.",
    "InUseSubnetCannotBeDeleted": "Something still uses the subnet: delete that first; a deleted database server lets go of it only later.",
    "NetcfgSubnetRangesOverlap": "Choose an address range that no other subnet of the network has.",
    "StorageAccountAlreadyTaken": "Storage account names are unique in all of Azure: choose another.",
    "RoleAssignmentLimitExceeded": "Delete assignments that are not used (they show as 'Identity not found').",
    "PrincipalNotFound": "Check principal_id: it is the object id of the identity or service principal, not its client id.",
    "ObjectConflict": "A deleted application still holds the name: restore or purge it, or choose another.",
}


def api_error(status: int, body: t.Any, headers: t.Mapping[str, str], during: str = "") -> ApiError:
    """The error that an answer tells of, in any of the shapes that the services use:

    {"error": {code, message, details}}, flat {code, message} (AKS), {"status": "Failed", "error": …} (an operation),
    a resource with properties.provisioningState Failed, {"odata.error"…} or nothing at all.
    """
    error = found_error(body)
    code = str(error.get("code") or f"HTTP{status}")
    message = error.get("message")
    message = message.get("value", "") if isinstance(message, dict) else str(message or "Azure gave no reason.")
    details = [d for d in error.get("details") or [] if isinstance(d, dict)]
    inner = embedded(message)
    if inner:
        details.append(inner)
    result = ApiError(
        status,
        code,
        message,
        headers.get("x-ms-request-id") or headers.get("request-id") or headers.get("x-ms-correlation-request-id"),
        details,
        retry_after=seconds(headers.get("retry-after")),
        during=during,
    )
    result.hint = next((HINTS[c] for c in reversed(result.codes) if c in HINTS), None)
    return result


def found_error(body: t.Any) -> dict[str, t.Any]:
    if not isinstance(body, dict):
        return {"message": str(body)[:500]} if body else {}
    for error in (body.get("error"), body.get("odata.error"), body):
        if isinstance(error, str):  # Entra: {"error": "invalid_client", "error_description": …}
            return {"code": error, "message": body.get("error_description", "")}
        if isinstance(error, dict) and ("code" in error or "message" in error):
            return error
    properties = body.get("properties") or {}
    reason = (properties.get("status") or {}).get("provisioningError") if isinstance(properties.get("status"), dict) else None
    state = properties.get("provisioningState") or body.get("status")
    return reason or ({"code": "OperationFailed", "message": f"The operation ended as {state}."} if state else {})


def embedded(message: str) -> dict[str, t.Any] | None:
    """The error that AKS puts as JSON, or as Code="…" Message="…", into another one's message."""
    start = message.find("{")
    if start >= 0:
        try:
            inner, dummy = json.JSONDecoder().raw_decode(message[start:])
        except ValueError:
            inner = None
        if isinstance(inner, dict) and "code" in inner:
            return inner
    found = re.search(r'Code="(\w+)" Message="([^"]*)"', message)
    return {"code": found[1], "message": found[2]} if found else None


def seconds(text: str | None) -> float | None:
    """What a Retry-After header says; None where it says nothing in seconds."""
    return float(text) if text and re.fullmatch(r"\d+(\.\d+)?", text.strip()) else None


def passing(error: ApiError, table: t.Iterable[Transient]) -> Transient | None:
    """The first row of the table that the error, or one inside it, fits."""
    codes = {code.lower() for code in error.codes}
    return next((row for row in table if row.code.lower() in codes and re.search(row.text, str(error), re.IGNORECASE)), None)


def unreachable(base: str, reason: str, during: str) -> ApiError:
    """No answer came at all."""
    hint = "Check the network, HTTPS_PROXY, and the CA bundle (REQUESTS_CA_BUNDLE) where a proxy inspects TLS."
    return ApiError(0, "NoConnection", f"{base} can't be reached: {reason}.", during=during, hint=hint)
