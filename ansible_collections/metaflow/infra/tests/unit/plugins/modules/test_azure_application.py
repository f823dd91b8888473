# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import functools

from ansible_collections.metaflow.infra.plugins.modules import azure_application
from ansible_collections.metaflow.infra.tests.unit.azure_wire import Call, error

Graph = functools.partial(Call, host="graph.microsoft.com")
APP, SP = "/v1.0/applications(uniqueName='u')", "/v1.0/servicePrincipals(appId='app')"
UPSERT = {"Prefer": "create-if-missing"}
NONE = error("Request_ResourceNotFound", "Resource 'u' does not exist.")


def secret(key, days, name="metaflow.infra"):
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return {"keyId": key, "displayName": name, "endDateTime": ends.strftime("%Y-%m-%dT%H:%M:%S.1234567Z")}


def app(*secrets, name="My app"):
    return {"id": "obj", "appId": "app", "displayName": name, "passwordCredentials": list(secrets)}


PRINCIPAL = {"id": "sp", "appId": "app"}


def test_makes_all_and_waits_for_each_to_be_known(azure, clock, run_module):
    azure.expect(
        Graph("GET", APP, 404, NONE),
        Graph("PATCH", APP, 201, app(), body={"displayName": "My app"}, sent_headers=UPSERT),
        Graph(
            "PATCH", SP, 400, error("Request_BadRequest", "The appId 'app' of the service principal does not reference a valid application object.")
        ),
        Graph("PATCH", SP, 201, PRINCIPAL, body={"displayName": "My app"}, sent_headers=UPSERT),
        Graph("POST", "/v1.0/applications/obj/owners/$ref", 404, NONE),
        Graph("POST", "/v1.0/applications/obj/owners/$ref", 204, body={"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/me"}),
        Graph("POST", "/v1.0/applications/obj/addPassword", 200, {**secret("k", 365), "secretText": "hush"}),
    )
    result = run_module(azure_application, unique_name="u", display_name="My app", owners=["me"], secret="present")
    assert result["changed"]
    assert result["client_secret"] == "hush"
    assert result["application"] == {"app_id": "app", "object_id": "obj", "principal_id": "sp", "secrets": ["k"]}
    assert "hush" not in str(result["diff"])
    assert clock.sleeps == [2, 2]


def test_unchanged_returns_the_ids_and_no_secret(azure, run_module):
    azure.expect(Graph("GET", APP, 200, app(secret("k", 200))), Graph("GET", SP, 200, PRINCIPAL))
    result = run_module(azure_application, unique_name="u", display_name="My app", secret="present")
    assert not result["changed"]
    assert result["application"]["principal_id"] == "sp"
    assert "client_secret" not in result


def test_a_secret_that_ends_soon_is_followed_by_a_new_one(azure, run_module):
    azure.expect(
        Graph("GET", APP, 200, app(secret("theirs", 900, "other"), secret("soon", 20))),
        Graph("GET", SP, 200, PRINCIPAL),
        Graph("POST", "/v1.0/applications/obj/addPassword", 200, {**secret("new", 365), "secretText": "hush"}),
    )
    result = run_module(azure_application, unique_name="u", display_name="My app", secret="present")
    assert result["application"]["secrets"] == ["theirs", "soon", "new"]


def test_rotate_keeps_the_one_before_and_removes_older(azure, run_module):
    azure.expect(
        Graph("GET", APP, 200, app(secret("older", 100), secret("before", 200), secret("theirs", 1, "other"))),
        Graph("GET", SP, 200, PRINCIPAL),
        Graph("POST", "/v1.0/applications/obj/addPassword", 200, {**secret("new", 365), "secretText": "hush"}),
        Graph("POST", "/v1.0/applications/obj/removePassword", 204, body={"keyId": "older"}),
    )
    result = run_module(azure_application, unique_name="u", display_name="My app", secret="rotate")
    assert result["application"]["secrets"] == ["before", "theirs", "new"]


def test_an_owner_it_has_already_is_fine(azure, run_module):
    azure.expect(
        Graph("GET", APP, 200, app()),
        Graph("GET", SP, 200, PRINCIPAL),
        Graph("GET", "/v1.0/applications/obj/owners", 200, {"value": []}),
        Graph("POST", "/v1.0/applications/obj/owners/$ref", 400, error("Request_BadRequest", "One or more added object references already exist")),
    )
    assert run_module(azure_application, unique_name="u", display_name="My app", owners=["me"])["changed"]


def test_check_mode_where_nothing_is(azure, run_module):
    azure.expect(Graph("GET", APP, 404, NONE))
    result = run_module(azure_application, _check=True, unique_name="u", display_name="My app", secret="present")
    assert result["changed"]
    assert result["application"] == {"app_id": None, "object_id": None, "principal_id": None, "secrets": []}


def test_absent_purges_so_that_the_name_is_free(azure, run_module):
    azure.expect(
        Graph("GET", APP, 200, app()),
        Graph("GET", SP, 200, PRINCIPAL),
        Graph("DELETE", "/v1.0/applications/obj", 204),
        Graph("DELETE", "/v1.0/directory/deletedItems/obj", 404, NONE),
        Graph("DELETE", "/v1.0/directory/deletedItems/obj", 204),
    )
    assert run_module(azure_application, unique_name="u", state="absent")["changed"]


def test_no_right_in_the_directory_says_what_to_ask_for(azure, run_module):
    azure.expect(Graph("GET", APP, 403, error("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")))
    result = run_module(azure_application, unique_name="u", display_name="My app")
    assert "Application.ReadWrite.OwnedBy" in result["msg"]


def test_display_name_is_needed(azure, run_module):
    assert "display_name" in run_module(azure_application, unique_name="u")["msg"]
