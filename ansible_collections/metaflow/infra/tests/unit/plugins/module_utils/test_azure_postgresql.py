# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_postgresql import (
    RULES,
    configuration_body,
    desired,
    faults,
    grown,
    limits,
    offer_fault,
    patches,
    random_password,
)
from ansible_collections.metaflow.infra.plugins.module_utils._azure_postgresql_recovery import Next, next_step, pause, refusal, removable, young
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError
from ansible_collections.metaflow.infra.plugins.module_utils._plan import plan

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
LIVE = {
    "location": "West US 2",
    "sku": {"name": "Standard_B2s", "tier": "Burstable"},
    "properties": {
        "administratorLogin": "metaflow",
        "version": "16",
        "state": "Ready",
        "storage": {"storageSizeGB": 64, "autoGrow": "Disabled", "iops": 240},
        "network": {"delegatedSubnetResourceId": "/subscriptions/s/resourceGroups/rg/x/db", "publicNetworkAccess": "Disabled"},
        "highAvailability": {"mode": "Disabled", "state": "NotEnabled"},
    },
}


def change(live=None, **options):
    return plan("server", desired(options), live or LIVE, RULES)


@pytest.mark.parametrize(
    ("options", "patch"),
    [
        ({"location": "westus2", "version": "16", "sku": {"name": "standard_b2s", "tier": None}, "administrator_login": "metaflow"}, []),
        ({"storage_gb": 64, "high_availability": "disabled", "delegated_subnet_id": "/subscriptions/s/resourcegroups/RG/x/db"}, []),
        ({"storage_gb": 128}, [{"properties": {"storage": {"storageSizeGB": 128}}}]),
        ({"version": "17"}, [{"properties": {"version": "17", "createMode": "Update"}}]),
        (
            {"version": "17", "sku": {"name": "Standard_D2ds_v5", "tier": None}, "high_availability": "zone_redundant"},
            [
                {"sku": {"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}, "properties": {"highAvailability": {"mode": "ZoneRedundant"}}},
                {"properties": {"version": "17", "createMode": "Update"}},
            ],
        ),
        ({"tags": {"a": "b"}}, [{"tags": {"a": "b"}}]),
    ],
)
def test_only_what_differs_is_sent_and_a_new_version_by_itself(options, patch):
    assert patches(change(**options)) == patch


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"location": "eastus"}, "location"),
        ({"administrator_login": "other"}, "administratorLogin"),
        ({"delegated_subnet_id": "/subscriptions/s/other"}, "delegatedSubnetResourceId"),
        ({"geo_redundant_backup": True}, "geoRedundantBackup"),
    ],
)
def test_what_cannot_change_is_refused_by_name(options, name):
    with pytest.raises(InputError, match=name):
        change(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"version": "15"}, "runs PostgreSQL 16 and version 15 is wanted"),
        ({"storage_gb": 32}, "has 64 GB of storage and storage_gb 32 is wanted"),
        ({"version": "17", "storage_gb": 64}, None),
    ],
)
def test_what_only_goes_up(options, sentence):
    found = limits("psql", desired(options), LIVE)
    assert (found is None) if sentence is None else sentence in (found or "")


def test_a_disk_that_azure_enlarged_is_left_alone():
    live = {**LIVE, "properties": {**LIVE["properties"], "storage": {"storageSizeGB": 64, "autoGrow": "Enabled"}}}
    wanted = desired({"storage_gb": 32, "version": "16"})
    assert limits("psql", wanted, live) is None
    assert not plan("server", grown(wanted, live), live, RULES)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sku": {"name": "Standard_B2s"}, "storage_gb": 32, "backup_retention_days": 7}, None),
        ({"sku": {"name": "Mystery"}}, "of no tier that is known"),
        ({"storage_gb": 50}, "must be one of 32, 64"),
        ({"sku": {"name": "Standard_B2s"}, "high_availability": "same_zone"}, "is Burstable"),
        ({"delegated_subnet_id": "/x"}, "go together"),
        ({"backup_retention_days": 40}, "from 7 to 35"),
        ({"update_password": "always"}, "there is no administrator_password"),
        ({"administrator_password": "metaflow"}, "three kinds"),
        ({"administrator_password": "Ab1"}, "8 to 128 characters"),
        ({"administrator_password": "xxMetaflow9", "administrator_login": "metaflow"}, "must not contain the login"),
    ],
)
def test_options_by_themselves(options, sentence):
    found = faults(options)
    assert (found == []) if sentence is None else sentence in found[0]
    assert options.get("administrator_password", "\0") not in " ".join(found).replace("metaflow", "") or sentence == "three kinds"


def test_a_random_password_passes_the_rules_and_is_another_each_time():
    one, other = random_password(), random_password()
    assert one != other
    assert faults({"administrator_password": one}) == []


@pytest.mark.parametrize(("value", "text"), [(True, "on"), ("False", "off"), ("on", "on"), (100, "100"), ("a,b", "a,b")])
def test_parameter_values(value, text):
    assert configuration_body(value)["properties"]["value"] == text


CAPABILITIES = [
    {
        "name": "FlexibleServerCapabilities",
        "restricted": "Disabled",
        "supportedFeatures": [{"name": "OfferRestricted", "status": "Disabled"}],
        "supportedServerVersions": [{"name": "16"}, {"name": "17"}],
        "supportedServerEditions": [
            {"name": "Burstable", "supportedServerSkus": [{"name": "Standard_B1ms"}, {"name": "Standard_B2s"}]},
            {"name": "GeneralPurpose", "supportedServerSkus": [{"name": "Standard_D2ds_v5"}]},
        ],
    }
]


@pytest.mark.parametrize(
    ("changes", "version", "sku", "sentence"),
    [
        ({}, "17", "standard_b2s", None),
        ({}, "12", "Standard_B2s", "PostgreSQL 12 is not offered in westus: choose one of 16, 17."),
        ({}, "17", "Standard_B4ms", "choose one of Standard_B1ms, Standard_B2s."),
        (
            {"restricted": "Enabled", "reason": "Quota"},
            "17",
            None,
            "Flexible Servers in westus: Quota. Open a support request",
        ),
        ({"supportedFeatures": [{"name": "OfferRestricted", "status": "Enabled"}]}, "17", None, "may not have PostgreSQL"),
    ],
)
def test_offer_of_a_region(changes, version, sku, sentence):
    found = offer_fault([{**CAPABILITIES[0], **changes}], "westus", version, sku)
    assert (found is None) if sentence is None else sentence in (found or "")


def test_no_capability_at_all_is_a_restriction():
    assert "may not have" in (offer_fault([], "westus", "17", None) or "")


def server(state, created=None, backup=None):
    return {"properties": {"state": state, "backup": {"earliestRestoreDate": backup}}, "systemData": {"createdAt": created} if created else {}}


@pytest.mark.parametrize(
    ("found", "ours", "step"),
    [
        (None, False, Next.CREATE),
        (server("Ready"), True, Next.TAKE),
        (server("Provisioning"), True, Next.WAIT),
        (server("Updating"), False, Next.WAIT),
        (server("Dropping"), False, Next.WAIT_GONE),
        (server("Disabled"), True, Next.REMOVE),
        (server("Disabled"), False, Next.REFUSE),
        ({"properties": {}}, True, Next.REMOVE),
        (server("Stopped"), True, Next.REFUSE),
        (server("Inaccessible"), True, Next.REFUSE),
    ],
)
def test_next_step(found, ours, step):
    assert next_step(found, ours=ours) is step


SYSTEM = [{"name": "postgres"}, {"name": "azure_sys"}, {"name": "azure_maintenance"}]
TODAY, LONG_AGO = "2026-11-22T09:00:00+00:00", "2026-11-10T09:00:00Z"


@pytest.mark.parametrize(
    ("found", "databases", "seen", "created_now", "may_go"),
    [
        # made by this run
        (server("Disabled"), None, {"Disabled"}, True, True),
        (server("Disabled"), SYSTEM, {"Provisioning", "Disabled"}, True, True),
        # … but it was usable meanwhile, or somebody has a database in it
        (server("Disabled"), SYSTEM, {"Ready", "Disabled"}, True, False),
        (server("Disabled"), [*SYSTEM, {"name": "metaflow"}], {"Disabled"}, True, False),
        # of an earlier run
        (server("Disabled", TODAY), SYSTEM, {"Disabled"}, False, True),
        (server("Disabled", TODAY, TODAY), SYSTEM, {"Disabled"}, False, True),
        (server("Disabled"), SYSTEM, {"Disabled"}, False, True),
        (server("Disabled", TODAY), None, {"Disabled"}, False, False),
        (server("Disabled"), None, {"Provisioning", "Disabled"}, False, True),
        (server("Disabled", LONG_AGO), SYSTEM, {"Disabled"}, False, False),
        (server("Disabled", None, LONG_AGO), SYSTEM, {"Disabled"}, False, False),
        (server("Disabled", TODAY), [*SYSTEM, {"name": "other"}], {"Disabled"}, False, False),
        (server("Disabled", TODAY), SYSTEM, {"Stopped", "Disabled"}, False, False),
    ],
)
def test_only_what_certainly_never_served_may_be_removed(found, databases, seen, created_now, may_go):
    assert removable(found, databases, seen, created_now=created_now, now=NOW) is may_go


def test_age_needs_every_date_to_be_young():
    assert young(server("Disabled", TODAY, TODAY), NOW)
    assert not young(server("Disabled", LONG_AGO, TODAY), NOW)


def test_pauses_grow_to_a_limit():
    assert [pause(n) for n in range(1, 7)] == [30, 60, 120, 240, 300, 300]


def test_refusal_says_what_to_do():
    assert refusal("psql", server("Stopped")) == "The server psql is Stopped: start it first (az postgres flexible-server start)."
    assert "may hold data" in refusal("psql", server("Disabled"))
