# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_errors import TRANSIENT, TRANSIENT_DELETE, api_error, passing

AKS_QUOTA = (
    'Provisioning of resource(s) for Agent Pool taskworkers failed. Error: {"code":"InvalidTemplateDeployment","message":"Not valid.",'
    '"details":[{"code":"QuotaExceeded","message":"exceeding approved standardDv5Family Cores quota"}]}'
)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "ResourceNotFound", "message": "No x."}}, "ResourceNotFound", "No x."),
        ({"code": "ErrCode_InsufficientVCPUQuota", "details": None, "message": "left 4", "subcode": ""}, "ErrCode_InsufficientVCPUQuota", "left 4"),
        ({"status": "Failed", "error": {"code": "A", "message": "B"}}, "A", "B"),
        ({"status": "Canceled"}, "OperationFailed", "The operation ended as Canceled."),
        ({"properties": {"provisioningState": "Failed", "status": {"provisioningError": {"code": "A", "message": "B"}}}}, "A", "B"),
        ({"error": "invalid_client", "error_description": "AADSTS"}, "invalid_client", "AADSTS"),
        ("<html>Bad gateway</html>", "HTTP502", "<html>Bad gateway</html>"),
        (None, "HTTP502", "Azure gave no reason."),
    ],
)
def test_every_shape_of_error_is_read(body, code, message):
    error = api_error(502, body, {"x-ms-request-id": "r"})
    assert (error.code, error.message, error.request_id) == (code, message, "r")


def test_the_reason_inside_is_found_and_has_its_hint():
    error = api_error(400, {"error": {"code": "PreconditionFailed", "message": AKS_QUOTA}}, {})
    assert error.codes == ["PreconditionFailed", "InvalidTemplateDeployment", "QuotaExceeded"]
    assert "quota in Azure's portal" in str(error.hint)
    error = api_error(200, {"error": {"code": "ReconcileVMSSAgentPoolFailed", "message": 'Code="AllocationFailed" Message="Allocation failed."'}}, {})
    assert error.codes == ["ReconcileVMSSAgentPoolFailed", "AllocationFailed"]


@pytest.mark.parametrize(
    ("code", "message", "table", "passes"),
    [
        ("AnotherOperationInProgress", "", TRANSIENT, True),
        ("OperationNotAllowed", "Another operation (x) is in progress", TRANSIENT, True),
        ("OperationNotAllowed", "Unable to perform 'Scaling', since deletion was issued", TRANSIENT, True),
        ("OperationNotAllowed", "exceeding approved standardDSv5Family Cores quota", TRANSIENT, False),
        ("InternalServerError", "", TRANSIENT, False),
        ("InUseSubnetCannotBeDeleted", "", TRANSIENT, False),
        ("InUseSubnetCannotBeDeleted", "", TRANSIENT_DELETE, True),
    ],
)
def test_what_passes_by_itself(code, message, table, passes):
    assert (passing(api_error(409, {"error": {"code": code, "message": message}}, {}), table) is not None) == passes


def test_a_subnet_that_a_server_still_holds_is_waited_for_longer_than_another():
    def limit(message):
        return passing(api_error(400, {"error": {"code": "InUseSubnetCannotBeDeleted", "message": message}}, {}), TRANSIENT_DELETE).limit

    assert limit("in use by /x/serviceAssociationLinks/y") is None
    assert limit("in use by /x/networkInterfaces/y") == 240
