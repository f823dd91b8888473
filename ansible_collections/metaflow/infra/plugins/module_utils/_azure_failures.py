# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Azure failure means for a machine pool or a database server, as tables.

The same cause comes in several dresses: as the code of a 400, as the code of a failed operation, or as text inside the message of a
code that says nothing (``ReconcileVMSSAgentPoolFailed``, ``PreconditionFailed`` with a JSON document inside its message).
So codes are looked for in both code and message.
"""

from __future__ import annotations

import re
import typing as t

# Another VM size may help. Code -> what it means, as the rest of a sentence that starts with the size.
SIZE_FAILURES: t.Final = {
    "OverconstrainedZonalAllocationRequest": "has no free capacity that fits the wished zones and features",
    "OverconstrainedAllocationRequest": "has no free capacity that fits the wished features",
    "ZonalAllocationFailed": "has no free capacity in the wished zones",
    "AllocationFailed": "has no free capacity in the region just now",
    "InsufficientVCPUQuota": "needs more vCPU quota",
    "QuotaExceeded": "needs more vCPU quota",
    "VMSizeNotSupported": "is not allowed for this subscription in the region",
    "SkuNotAvailable": "is not available for this subscription in the region",
    "AvailabilityZoneNotSupported": "is not offered in the wished zones",
}
QUOTA_DETAIL = re.compile(
    r"exceeding approved (?P<family>\S+) Cores quota.*?Current Limit: (?P<limit>\d+), Current Usage: (?P<usage>\d+)"
    r".*?New Limit Required: (?P<wanted>\d+)",
    re.S,
)
REGIONAL_DETAIL = re.compile(r"left regional vcpu quota (?P<left>\d+), requested quota (?P<needed>\d+)", re.I)
# "exceeding approved ... quota" also comes as OperationNotAllowed, the code of an operation in progress.
QUOTA_TEXT = re.compile(r"exceeding approved .{0,80}quota|insufficient regional vcpu quota", re.I)
SIZE_TEXT = re.compile(r"The VM size of \S+ is not allowed in your subscription", re.I)


def quota_request(message: str) -> str:
    """What to ask Azure for, read from a quota failure's message; empty where it doesn't say."""
    if found := QUOTA_DETAIL.search(message):
        return f"family {found['family']}: {found['usage']} of {found['limit']} vCPUs in use, request a limit of at least {found['wanted']}"
    if found := REGIONAL_DETAIL.search(message):
        return f"Total Regional vCPUs: {found['left']} left and {found['needed']} needed, request {int(found['needed']) - int(found['left'])} more"
    return ""


def size_failure(codes: t.Iterable[str], message: str) -> str | None:
    """Why a VM size was refused, as the rest of a sentence that starts with it; None where another size wouldn't help.

    ``codes`` are the failure's own and those inside it.
    """
    text = " ".join([*codes, message])
    request = quota_request(message)
    for known, meaning in SIZE_FAILURES.items():
        if known in text:
            return f"{meaning} ({known}{': ' + request if request else ''})"
    if SIZE_TEXT.search(message):
        return "is not allowed for this subscription in the region (VMSizeNotSupported)"
    if QUOTA_TEXT.search(message):
        return f"needs more vCPU quota{f' ({request})' if request else ''}"
    return None


# Flexible Server: failures of a creation that are known to pass by themselves.
CREATION_RETRIES: t.Final = frozenset(
    {
        "InternalServerError",
        "ServerGroupDropping",
        "ServerIsBusy",
        "ServerBusy",
        "ServiceUnavailable",
        "ServiceTimeout",
        "OperationTimedOut",
        "RetryableError",
        "AnotherOperationInProgress",
    }
)

# Failures that never pass by themselves -> what to do.
CREATION_HINTS: t.Final = {
    "LocationIsOfferRestricted": "this subscription may not have PostgreSQL servers in {location}: open a support request of the type "
    "'Service and subscription limits (quotas)' for Azure Database for PostgreSQL flexible server in {location}, or choose another region",
    "ParameterOutOfRange": "version {version} or size {sku} is not offered to this subscription in {location}: ask for access, or choose others",
    "LocationNotAvailableForResourceType": "PostgreSQL flexible servers are not offered in {location}: choose another region",
    "SkuNotAvailable": "size {sku} is not available to this subscription in {location}: choose another size, or ask Azure support for it",
    "QuotaExceeded": "request a higher 'Azure Database for PostgreSQL flexible server' vCPU quota in {location} for the family of {sku}",
    "SubscriptionQuotaExceeded": "request a higher 'Azure Database for PostgreSQL flexible server' vCPU quota in {location} for the family of {sku}",
    "ServerNameAlreadyExists": "server names are global and this one is taken: choose another name (a dropped server keeps its name for some days)",
    "SubnetMissingRequiredDelegation": "delegate the subnet to Microsoft.DBforPostgreSQL/flexibleServers",
    "PrivateDnsZoneNameNotValid": "the private DNS zone must end with .postgres.database.azure.com and must not be named after a server",
    "RequestDisallowedByPolicy": "a policy of this subscription forbids it: ask those who look after the policies",
}
CREATION_TEXTS: t.Final = (
    (re.compile(r"quota .{0,80}exceeded|exceed\w* .{0,80}quota", re.I), "QuotaExceeded"),
    (re.compile(r"SKU is not supported in this region|requested VM size .{0,80} not available", re.I), "SkuNotAvailable"),
    (re.compile(r"restricted from provisioning in", re.I), "LocationIsOfferRestricted"),
)


def known_cause(codes: t.Iterable[str], message: str) -> str | None:
    """The key of CREATION_HINTS that a failure's codes (its own first, then those inside it) or its text point at."""
    by_code = (code for code in codes if code in CREATION_HINTS)
    return next(by_code, None) or next((name for pattern, name in CREATION_TEXTS if pattern.search(message)), None)


def creation_hint(codes: t.Iterable[str], message: str, **facts: str) -> str | None:
    """What to do about a failed creation of a Flexible Server (facts: location, sku, version); None where nothing is known."""
    cause = known_cause(codes, message)
    return CREATION_HINTS[cause].format_map(facts) if cause else None


def creation_may_pass(status: int, codes: t.Collection[str], message: str) -> bool:
    """Whether a failed creation of a Flexible Server is worth another attempt with the same request."""
    if known_cause(codes, message):
        return False
    return bool(CREATION_RETRIES & set(codes)) or status >= 500
