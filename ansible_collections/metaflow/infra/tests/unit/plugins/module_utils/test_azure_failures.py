# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_errors import api_error
from ansible_collections.metaflow.infra.plugins.module_utils._azure_failures import creation_hint, creation_may_pass, quota_request, size_failure

# As Azure words them: the first two in the README of the templates that this collection replaces, the others in AKS's issues and documentation.
ALLOCATION = {
    "status": "Failed",
    "error": {
        "code": "ReconcileVMSSAgentPoolFailed",
        "message": 'Code="AllocationFailed" Message="Allocation failed. We do not have sufficient capacity for the requested VM size in this region. '
        'Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"',
    },
}
QUOTA = {
    "code": "PreconditionFailed",
    "message": "Provisioning of resource(s) for Agent Pool taskworkers failed. Error: "
    '{"code":"InvalidTemplateDeployment","message":"The template deployment is not valid. See inner errors for details.","details":'
    '[{"code":"QuotaExceeded","message":"Operation could not be completed as it results in exceeding approved standardDv5Family Cores quota. '
    "Additional details - Deployment Model: Resource Manager, Location: westeurope, Current Limit: 0, Current Usage: 0, Additional Required: 4, "
    '(Minimum) New Limit Required: 4. Submit a request for Quota increase."}]}',
}
REGIONAL = {
    "code": "ErrCode_InsufficientVCPUQuota",
    "details": None,
    "message": "Insufficient regional vcpu quota left for location westus2. left regional vcpu quota 4, requested quota 6.",
    "subcode": "",
}
COMPUTE_QUOTA = {"error": {"code": "OperationNotAllowed", "message": "It results in exceeding approved DSv5 Cores quota."}}
BUSY = {"code": "OperationNotAllowed", "message": "Another operation (Scaling) is in progress."}
SIZE = {"code": "BadRequest", "message": "The VM size of Standard_D4_v5 is not allowed in your subscription in location 'westus'."}


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, ALLOCATION, "has no free capacity in the region just now (AllocationFailed)"),
        (400, QUOTA, "(QuotaExceeded: family standardDv5Family: 0 of 0 vCPUs in use, request a limit of at least 4)"),
        (400, REGIONAL, "(InsufficientVCPUQuota: Total Regional vCPUs: 4 left and 6 needed, request 2 more)"),
        (409, COMPUTE_QUOTA, "needs more vCPU quota"),
        (400, SIZE, "is not allowed for this subscription in the region (VMSizeNotSupported)"),
        (400, {"code": "SkuNotAvailable", "message": ""}, "(SkuNotAvailable)"),
        (200, {"error": {"code": "ZonalAllocationFailed", "message": ""}}, "in the wished zones (ZonalAllocationFailed)"),
        (200, {"error": {"code": "OverconstrainedZonalAllocationRequest", "message": ""}}, "(OverconstrainedZonalAllocationRequest)"),
        (409, BUSY, None),
        (403, {"error": {"code": "RequestDisallowedByPolicy", "message": "policy"}}, None),
    ],
)
def test_size_failures(status, body, meaning):
    error = api_error(status, body, {})
    found = size_failure(error.codes, str(error))
    assert (found is None) if meaning is None else meaning in (found or "")


def test_nothing_is_made_up_where_the_message_does_not_say():
    assert quota_request("You are out of quota.") == ""


RESTRICTED = "Subscriptions are restricted from provisioning in location 'eastus'. Try again in a different location."


@pytest.mark.parametrize(
    ("status", "code", "message", "passes", "hint"),
    [
        (200, "InternalServerError", "An unexpected error occured while processing the request. Tracking ID: 'xyz'", True, None),
        (500, "InternalServerError", "", True, None),
        (409, "ServerGroupDropping", "Operations on a server group in dropping state are not allowed.", True, None),
        (503, "HTTP503", "", True, None),
        (200, "LocationIsOfferRestricted", RESTRICTED, False, "open a support request"),
        # a restriction in the dress of something that passes
        (500, "InternalServerError", RESTRICTED, False, "open a support request"),
        (400, "ParameterOutOfRange", "The value of the 'Version' should be in: []", False, "version 17 or size Standard_B2s is not offered"),
        (400, "SkuNotAvailable", "", False, "size Standard_B2s is not available"),
        (400, "BadRequest", "Subscription quota for BurstableB cores exceeded", False, "request a higher"),
        (400, "PasswordNotComplex", "", False, None),
        (409, "ServerNameAlreadyExists", "", False, "choose another name"),
        (403, "AuthorizationFailed", "", False, None),
    ],
)
def test_failed_creation_of_a_server(status, code, message, passes, hint):
    assert creation_may_pass(status, [code], message) is passes
    found = creation_hint([code], message, location="eastus", sku="Standard_B2s", version="17")
    assert (found is None) if hint is None else hint in (found or "")
