# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_postgresql_flexible_server as module
from ansible_collections.metaflow.infra.tests.unit.azure_wire import ANY, ARM, SUBSCRIPTION, Call, error, together

PATH = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/psql"
SUBNET = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/db"
ZONE = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/x.postgres.database.azure.com"
LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.DBforPostgreSQL/locations/westus"
OPERATION = f"{LOCATION}/azureAsyncOperation/op"
RUNNING = {"Azure-AsyncOperation": f"{ARM}{OPERATION}?api-version=2025-08-01&t=1", "Retry-After": "5"}
PASSWORD = "Correct-Horse-9"

OPTIONS = {
    "name": "psql",
    "resource_group": "rg",
    "location": "westus",
    "version": "17",
    "sku": {"name": "Standard_B2s"},
    "storage_gb": 32,
    "administrator_login": "metaflow",
    "delegated_subnet_id": SUBNET,
    "private_dns_zone_id": ZONE,
    "tags": {"stack": "default"},
}
READY = {
    "id": PATH,
    "name": "psql",
    "type": "Microsoft.DBforPostgreSQL/flexibleServers",
    "location": "West US",
    "tags": {"stack": "default"},
    "sku": {"name": "Standard_B2s", "tier": "Burstable"},
    "properties": {
        "state": "Ready",
        "version": "17",
        "administratorLogin": "metaflow",
        "storage": {"storageSizeGB": 32, "autoGrow": "Disabled"},
        "network": {"delegatedSubnetResourceId": SUBNET, "privateDnsZoneArmResourceId": ZONE, "publicNetworkAccess": "Disabled"},
        "fullyQualifiedDomainName": "psql.postgres.database.azure.com",
    },
}
CAPABILITIES = {
    "value": [
        {
            "restricted": "Disabled",
            "supportedServerVersions": [{"name": "17"}],
            "supportedServerEditions": [{"name": "Burstable", "supportedServerSkus": [{"name": "Standard_B2s"}]}],
        }
    ]
}
SYSTEM = {"value": [{"name": "postgres"}, {"name": "azure_sys"}]}


def server(state="Ready", **properties):
    return {**READY, "properties": {**READY["properties"], "state": state, **properties}}


def get(status=200, body=None):
    return Call("GET", PATH, status, body if status == 200 else error("ResourceNotFound"))


def offer(body=None, status=200):
    return Call("GET", f"{LOCATION}/capabilities", status, body or CAPABILITIES)


def operation(body=None, status="Succeeded", **failure):
    return Call("GET", OPERATION, 200, {"name": "op", "status": status, **({"error": failure} if failure else {})})


INTERNAL = {"code": "InternalServerError", "message": "An unexpected error occured while processing the request. Tracking ID: 'xyz'"}


def put(body=ANY):
    return Call("PUT", PATH, 202, {"operation": "UpsertServerManagementOperationV2"}, RUNNING, body)


def failed():
    return [put(), operation(status="Failed", **INTERNAL)]


def made():
    """A creation that succeeds: polled, then the resource."""
    return [put(), operation(status="InProgress"), operation(), get(200, READY)]


def sent(azure, method, path=PATH):
    return [json for json in map(body_of, (r for r in azure.requests if r.method == method and path in r.url)) if json is not None]


def body_of(request):
    import json

    return json.loads(request.body) if request.body else None


def test_creates_what_is_declared_and_what_it_holds(azure, run_module):
    child = {"id": f"{PATH}/databases/metaflow", "name": "metaflow", "properties": {"charset": "UTF8", "collation": "en_US.utf8"}}
    setting = {"id": f"{PATH}/configurations/require_secure_transport", "name": "require_secure_transport", "properties": {"value": "off"}}
    azure.expect(
        get(404),
        offer(),
        *made(),
        together(Call("GET", f"{PATH}/configurations/require_secure_transport", 200, setting), Call("GET", f"{PATH}/databases/metaflow", 404)),
        Call(
            "PATCH",
            f"{PATH}/configurations/require_secure_transport",
            202,
            {},
            RUNNING,
            {"properties": {"value": "on", "source": "user-override"}},
        ),
        operation(),
        Call(
            "GET", f"{PATH}/configurations/require_secure_transport", 200, {**setting, "properties": {"value": "on", "isConfigPendingRestart": True}}
        ),
        Call("PUT", f"{PATH}/databases/metaflow", 202, {}, RUNNING, {"properties": {"charset": "UTF8", "collation": "en_US.utf8"}}),
        operation(),
        Call("GET", f"{PATH}/databases/metaflow", 200, child),
    )
    result = run_module(module, **OPTIONS, databases=[{"name": "metaflow"}], configurations={"require_secure_transport": True})
    assert result["changed"]
    assert result["server"]["properties"]["fullyQualifiedDomainName"] == "psql.postgres.database.azure.com"
    assert result["databases"] == [child]
    assert result["restart_pending"] == ["require_secure_transport"]
    assert [(a["attempt"], a["error"]) for a in result["attempts"]] == [(1, None)]
    (body,) = [b for b in sent(azure, "PUT") if "location" in b]
    password = body["properties"].pop("administratorLoginPassword")
    assert len(password) >= 32
    assert password not in str(result)
    assert body == {
        "location": "westus",
        "tags": {"stack": "default"},
        "sku": {"name": "Standard_B2s", "tier": "Burstable"},
        "properties": {
            "createMode": "Create",
            "authConfig": {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"},
            "version": "17",
            "administratorLogin": "metaflow",
            "storage": {"storageSizeGB": 32},
            "network": {"delegatedSubnetResourceId": SUBNET, "privateDnsZoneArmResourceId": ZONE},
        },
    }


def test_nothing_to_do(azure, run_module):
    azure.expect(
        get(200, READY),
        together(
            Call("GET", f"{PATH}/configurations/require_secure_transport", 200, {"name": "x", "properties": {"value": "on"}}),
            Call("GET", f"{PATH}/databases/metaflow", 200, {"name": "metaflow", "properties": {"charset": "UTF8", "collation": "en_US.utf8"}}),
        ),
    )
    result = run_module(module, **OPTIONS, databases=[{"name": "metaflow", "charset": "utf8"}], configurations={"require_secure_transport": "on"})
    assert not result["changed"]
    assert result["diff"] == {"before": {}, "after": {}}


def test_check_mode_plans_the_creation(azure, run_module):
    azure.expect(get(404), offer())
    result = run_module(module, _check=True, **OPTIONS, administrator_password=PASSWORD, databases=[{"name": "metaflow"}])
    assert result["changed"]
    assert result["server"]["properties"]["version"] == "17"
    assert result["diff"]["before"] == {}
    assert list(result["diff"]["after"]) == ["flexibleServers psql", "flexibleServers/databases psql/metaflow"]
    assert PASSWORD not in str(result)


def test_first_creation_fails_and_leaves_nothing(azure, clock, run_module):
    azure.expect(get(404), offer(), *failed(), get(404), *failed(), get(404), *made())
    result = run_module(module, **OPTIONS)
    assert [bool(a["error"]) for a in result["attempts"]] == [True, True, False]
    assert "InternalServerError" in result["attempts"][0]["error"]
    assert [s for s in clock.sleeps if s >= 30] == [30, 60]


def test_first_creation_fails_and_leaves_a_broken_server(azure, run_module):
    azure.expect(
        *(get(404), offer(), *failed()),
        get(200, server("Disabled")),
        Call("GET", f"{PATH}/databases", 200, SYSTEM),
        Call("DELETE", PATH, 202, None, RUNNING),
        operation(),
        get(404),
        *made(),
    )
    assert run_module(module, **OPTIONS)["server"]["properties"]["state"] == "Ready"


def test_a_failed_creation_that_became_ready_all_the_same_is_taken(azure, run_module):
    azure.expect(get(404), offer(), *failed(), get(200, server("Updating")), get(200, server("Updating")), get(200, READY))
    result = run_module(module, **OPTIONS)
    assert len(result["attempts"]) == 1
    assert result["server"] == READY


def test_a_dropping_server_is_waited_for(azure, run_module):
    azure.expect(get(200, server("Dropping")), offer(), get(200, server("Dropping")), get(404), *made())
    assert run_module(module, **OPTIONS)["changed"]


def test_a_server_that_an_earlier_run_began_is_awaited(azure, run_module):
    azure.expect(get(200, server("Provisioning")), get(200, server("Provisioning")), get(200, READY))
    result = run_module(module, **OPTIONS)
    assert not result["changed"]
    assert result["attempts"] == []


def test_a_broken_server_of_an_earlier_run_with_a_users_database_is_left_alone(azure, run_module):
    azure.expect(get(200, server("Disabled")), offer(), Call("GET", f"{PATH}/databases", 200, {"value": [{"name": "metaflow"}]}))
    result = run_module(module, **OPTIONS)
    assert result["failed"]
    assert result["msg"].startswith("The server psql is Disabled: it may hold data, so it is left alone")


def test_an_old_broken_server_is_left_alone(azure, run_module):
    old = server("Disabled", backup={"earliestRestoreDate": "2026-01-01T00:00:00Z"})
    azure.expect(get(200, old), offer(), Call("GET", f"{PATH}/databases", 200, SYSTEM))
    assert "left alone" in run_module(module, **OPTIONS)["msg"]


def test_a_stopped_server_is_named(azure, run_module):
    azure.expect(get(200, server("Stopped")))
    assert run_module(module, **OPTIONS)["msg"] == "The server psql is Stopped: start it first (az postgres flexible-server start)."


def test_a_lasting_failure_ends_at_once_with_what_to_ask_for(azure, run_module):
    refusal = {"code": "LocationIsOfferRestricted", "message": "Subscriptions are restricted from provisioning in location 'westus'."}
    azure.expect(get(404), offer(), put(), operation(status="Failed", **refusal))
    result = run_module(module, **OPTIONS)
    assert "What to do: this subscription may not have PostgreSQL servers in westus: open a support request" in result["msg"]
    assert result["failure"]["code"] == "LocationIsOfferRestricted"


def test_time_for_attempts_ends_with_azures_own_failure(azure, clock, run_module):
    azure.expect(get(404), offer(), *failed(), get(404), *failed(), get(404))
    result = run_module(module, **OPTIONS, creation_timeout=60)
    assert result["failure"]["code"] == "InternalServerError"
    assert "So ended 2 attempts in 3" in result["msg"]
    assert "ask Azure support, with the request id" in result["msg"]


def test_a_restricted_region_is_refused_before_anything(azure, run_module):
    azure.expect(get(404), offer({"value": [{"restricted": "Enabled", "reason": "Not for you"}]}))
    result = run_module(module, **OPTIONS)
    assert "may not have PostgreSQL Flexible Servers in westus: Not for you" in result["msg"]


def test_an_offer_that_may_not_be_read_is_a_warning(azure, run_module):
    azure.expect(get(404), offer(error("AuthorizationFailed", "No right."), 403))
    result = run_module(module, _check=True, **OPTIONS)
    assert result["changed"]
    assert "could not be asked" in str(result["warnings"])


def test_without_wait_the_creation_is_only_begun(azure, run_module):
    azure.expect(get(404), offer(), put(), get(200, server("Provisioning")))
    result = run_module(module, **OPTIONS, wait=False, databases=[{"name": "metaflow"}])
    assert result["changed"]
    assert result["server"]["properties"]["state"] == "Provisioning"


def test_without_wait_one_that_is_on_its_way_is_left_alone(azure, run_module):
    azure.expect(get(200, server("Provisioning")))
    assert not run_module(module, **OPTIONS, wait=False)["changed"]


def test_changes_in_place_a_new_version_last(azure, run_module):
    bigger = copy.deepcopy(READY)
    azure.expect(
        get(200, server(version="16")),
        Call("PATCH", PATH, 202, {}, RUNNING, {"properties": {"storage": {"storageSizeGB": 64}}}),
        operation(),
        get(200, bigger),
        Call("PATCH", PATH, 202, {}, RUNNING, {"properties": {"version": "17", "createMode": "Update"}}),
        operation(),
        get(200, bigger),
    )
    result = run_module(module, **{**OPTIONS, "storage_gb": 64})
    assert result["diff"]["before"]["flexibleServers psql"]["properties"]["storage"] == {"storageSizeGB": 32}
    assert result["diff"]["after"]["flexibleServers psql"]["properties"]["storage"] == {"storageSizeGB": 64}


def test_a_busy_server_is_asked_again(azure, clock, run_module):
    busy = error("ServerIsBusy", "Cannot complete operation while server 'psql' is busy processing another operation. Try again later.")
    azure.expect(get(200, READY), Call("PATCH", PATH, 409, busy), Call("PATCH", PATH, 202, {}, RUNNING), operation(), get(200, READY))
    assert run_module(module, **{**OPTIONS, "tags": {"more": "tags"}})["changed"]
    assert clock.sleeps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"location": "eastus"}, "location is 'West US' and was to be 'eastus'"),
        ({"administrator_login": "other"}, "properties.administratorLogin"),
        ({"version": "16"}, "Azure can't lower it. Nothing was changed."),
    ],
)
def test_what_cannot_change_is_refused(azure, run_module, options, words):
    azure.expect(get(200, READY))
    assert words in run_module(module, **{**OPTIONS, **options})["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "PSQL_1"}, "The name PSQL_1 of the PostgreSQL server has characters"),
        ({"administrator_login": "admin"}, "is one that Azure keeps for itself"),
        ({"storage_gb": 33, "backup_retention_days": 1}, "storage_gb is 33 and must be one of 32"),
    ],
)
def test_bad_options_end_before_anything_is_asked(azure, run_module, options, words):
    result = run_module(module, **{**OPTIONS, **options})
    assert words in result["msg"]
    assert azure.requests == []


def test_what_a_creation_needs_is_named(azure, run_module):
    azure.expect(get(404))
    result = run_module(module, name="psql", resource_group="rg", administrator_password=PASSWORD, update_password="always")
    assert result["msg"] == (
        "The server psql doesn't exist, and to create it these are needed too: location, version, sku, storage_gb, administrator_login."
    )


def test_a_new_password_is_set_and_never_shown(azure, run_module):
    azure.expect(
        get(200, READY),
        Call("PATCH", PATH, 202, {}, RUNNING, {"properties": {"administratorLoginPassword": PASSWORD}}),
        operation(),
        get(200, READY),
    )
    result = run_module(module, name="psql", resource_group="rg", administrator_password=PASSWORD, update_password="always")
    assert result["changed"]
    assert PASSWORD not in str(result)
    assert result["diff"]["after"]["flexibleServers psql"]["properties"]["administratorLoginPassword"] == "********"


def test_a_database_with_another_collation_is_refused(azure, run_module):
    azure.expect(get(200, READY), Call("GET", f"{PATH}/databases/metaflow", 200, {"properties": {"charset": "UTF8", "collation": "C"}}))
    assert "properties.collation is 'C'" in run_module(module, **OPTIONS, databases=[{"name": "metaflow"}])["msg"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, None, "The server has no parameter work_memory."),
        (200, {"properties": {"value": "1", "isReadOnly": True}}, "work_memory is 1 and can't be changed"),
    ],
)
def test_parameters_that_cannot_be_set(azure, run_module, status, body, words):
    azure.expect(get(200, READY), Call("GET", f"{PATH}/configurations/work_memory", status, body))
    assert words in run_module(module, **OPTIONS, configurations={"work_memory": 2})["msg"]


def test_a_pending_restart_is_done_where_asked(azure, run_module):
    pending = {"name": "max_connections", "properties": {"value": "100", "isConfigPendingRestart": True}}
    azure.expect(
        get(200, READY),
        Call("GET", f"{PATH}/configurations/max_connections", 200, pending),
        Call("POST", f"{PATH}/restart", 202, None, {"Location": f"{ARM}{OPERATION}", "Retry-After": "1"}),
        Call("GET", OPERATION, 200),
        get(200, server("Restarting")),
        get(200, READY),
    )
    result = run_module(module, **OPTIONS, configurations={"max_connections": 100}, restart=True)
    assert result["changed"]
    assert result["restart_pending"] == []


def test_absent(azure, run_module):
    azure.expect(get(200, READY), Call("DELETE", PATH, 202, None, RUNNING), operation(), get(200, server("Dropping")), get(404))
    result = run_module(module, name="psql", resource_group="rg", state="absent")
    assert result["changed"]
    assert result["server"] is None


def test_absent_already(azure, run_module):
    azure.expect(get(404))
    assert not run_module(module, name="psql", resource_group="rg", state="absent")["changed"]
