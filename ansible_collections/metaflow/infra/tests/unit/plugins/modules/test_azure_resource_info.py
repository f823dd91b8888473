# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_resource_info
from ansible_collections.metaflow.infra.tests.unit.azure_wire import SUBSCRIPTION, Call, error, together

ACCOUNT = "/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st"
GROUP = "/resourceGroups/rg"


def test_reads_by_name_and_what_is_not_there_is_null(azure, run_module):
    azure.expect(
        together(
            Call("GET", SUBSCRIPTION + ACCOUNT, 404, error("ResourceNotFound")),
            Call("GET", SUBSCRIPTION + GROUP, 200, {"id": SUBSCRIPTION + GROUP, "location": "westus"}),
        )
    )
    result = run_module(azure_resource_info, ids={"group": GROUP, "account": SUBSCRIPTION + ACCOUNT})
    assert not result["changed"]
    assert result["resources"]["group"]["location"] == "westus"
    assert result["resources"]["account"] is None
    assert result["subscription_id"] == SUBSCRIPTION.rpartition("/")[2]


def test_a_type_that_is_not_known_is_refused(azure, run_module):
    result = run_module(azure_resource_info, ids={"x": "/resourceGroups/rg/providers/Microsoft.Odd/things/x"})
    assert "Microsoft.Odd/things" in result["msg"]


@pytest.mark.parametrize(("claims", "kind"), [({"oid": "1", "scp": "user_impersonation"}, "User"), ({"oid": "1", "appid": "2"}, "ServicePrincipal")])
def test_the_caller_is_known_by_the_token(claims, kind):
    assert azure_resource_info.caller(claims) == {"object_id": "1", "type": kind}
