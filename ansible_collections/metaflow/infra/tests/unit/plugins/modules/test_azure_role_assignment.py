# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_role_assignment
from ansible_collections.metaflow.infra.tests.unit.azure_wire import SUBSCRIPTION, Call, error, together

SCOPE = f"{SUBSCRIPTION}/resourceGroups/rg"
WHO = "44444444-4444-4444-4444-444444444444"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
DEFINITIONS = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
LIST = f"{SCOPE}/providers/Microsoft.Authorization/roleAssignments"
NAME = f"{LIST}/75853d13-fcd7-5d57-b741-db9fd9495748"
ASK = {"scope": "/resourceGroups/rg", "role": "Reader", "principal_id": WHO}
BODY = {"properties": {"roleDefinitionId": f"{DEFINITIONS}/{READER}", "principalId": WHO, "principalType": "ServicePrincipal"}}


def live(path, scope=SCOPE, role=READER):
    return {"id": path, "name": "n", "properties": {**BODY["properties"], "scope": scope, "roleDefinitionId": f"{DEFINITIONS}/{role}"}}


def test_makes_it_under_a_name_that_is_always_the_same(azure, run_module):
    above = live(f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments/x", scope=SUBSCRIPTION)
    azure.expect(
        Call("GET", LIST, 200, {"value": [above]}, query={"$filter": "atScope()"}),
        Call("PUT", NAME, 201, live(NAME), body=BODY),
    )
    result = run_module(azure_role_assignment, assignments=[ASK])
    assert result["changed"]
    assert result["assignments"] == [live(NAME)]


def test_one_under_another_name_is_as_good(azure, run_module):
    azure.expect(Call("GET", LIST, 200, {"value": [live(f"{LIST}/other", scope=SCOPE.upper() + "/")]}))
    assert not run_module(azure_role_assignment, assignments=[ASK])["changed"]


def test_a_new_principal_is_waited_for(azure, clock, run_module):
    azure.expect(
        Call("GET", LIST, 200, {"value": []}),
        Call("PUT", NAME, 400, error("PrincipalNotFound")),
        Call("PUT", NAME, 400, error("PrincipalNotFound")),
        Call("PUT", NAME, 201, live(NAME)),
    )
    assert run_module(azure_role_assignment, assignments=[ASK])["changed"]
    assert clock.sleeps == [2, 3]


def test_but_not_for_ever(azure, clock, run_module):
    azure.expect(Call("GET", LIST, 200, {"value": []}), *[Call("PUT", NAME, 400, error("PrincipalNotFound")) for dummy in range(25)])
    result = run_module(azure_role_assignment, assignments=[ASK])
    assert result["failure"]["code"] == "PrincipalNotFound"
    assert "object id" in result["msg"]
    assert clock.now <= 600


def test_one_that_somebody_made_meanwhile_is_taken(azure, run_module):
    azure.expect(
        Call("GET", LIST, 200, {"value": []}),
        Call("PUT", NAME, 409, error("RoleAssignmentExists")),
        Call("GET", LIST, 200, {"value": [live(f"{LIST}/other")]}),
    )
    assert run_module(azure_role_assignment, assignments=[ASK])["assignments"] == [live(f"{LIST}/other")]


def test_a_scope_is_listed_once_and_a_role_asked_for_once(azure, run_module):
    own = f"{DEFINITIONS}/55555555-5555-5555-5555-555555555555"
    azure.expect(
        together(
            Call("GET", LIST, 200, {"value": [live(f"{LIST}/1", role="55555555-5555-5555-5555-555555555555"), live(f"{LIST}/2")]}),
            Call("GET", DEFINITIONS, 200, {"value": [{"id": own}]}, query={"$filter": "roleName eq 'Own role'"}),
        )
    )
    assert not run_module(azure_role_assignment, assignments=[{**ASK, "role": "Own role"}, ASK])["changed"]


def test_check_mode_where_neither_scope_nor_principal_is_there(azure, run_module):
    azure.expect(Call("GET", LIST, 404, error("ResourceGroupNotFound")))
    result = run_module(azure_role_assignment, _check=True, assignments=[{**ASK, "principal_id": ""}])
    assert result["changed"]
    assert "principalId" not in result["assignments"][0]["properties"]


@pytest.mark.parametrize("principal", ["", "my-principal"])
def test_no_object_id_is_refused(azure, run_module, principal):
    result = run_module(azure_role_assignment, assignments=[{**ASK, "principal_id": principal}])
    assert "must be an object id" in result["msg"]


def test_an_unknown_role_is_one_sentence(azure, run_module):
    azure.expect(together(Call("GET", LIST, 200, {"value": []}), Call("GET", DEFINITIONS, 200, {"value": []})))
    assert "There is no role named 'Writer'" in run_module(azure_role_assignment, assignments=[{**ASK, "role": "Writer"}])["msg"]


def test_absent(azure, run_module):
    azure.expect(Call("GET", LIST, 200, {"value": [live(f"{LIST}/other")]}), Call("DELETE", f"{LIST}/other", 200))
    result = run_module(azure_role_assignment, state="absent", assignments=[ASK])
    assert result["changed"]
    assert result["assignments"] == [None]


def test_absent_where_it_is_not(azure, run_module):
    azure.expect(Call("GET", LIST, 404))
    assert not run_module(azure_role_assignment, state="absent", assignments=[ASK])["changed"]
