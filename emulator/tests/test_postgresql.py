"""Flexible Server, driven with Microsoft's SDK; the servers are asked with psycopg2."""

from __future__ import annotations

import collections.abc
import contextlib
import typing as t

import psycopg2
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure_stack import POSTGRESQL, REGION, Azure, refused
from conftest import Client

PASSWORD = "Correct-Horse-7"
SERVER = "psql-acme-metaflow"
Made = collections.abc.Iterator


@pytest.fixture(scope="module")
def azure(emulator: Client) -> Azure:
    return Azure(emulator, "rg-postgresql")


@pytest.fixture(scope="module")
def place(azure: Azure) -> dict[str, str]:
    subnets = {"db": ("10.1.0.0/24", POSTGRESQL), "other": ("10.1.1.0/24", None), "db2": ("10.1.2.0/24", POSTGRESQL)}
    return {**azure.make_network("vnet", "10.1.0.0/16", subnets), "zone": azure.make_zone("metaflow.postgres.database.azure.com")}


@pytest.fixture(scope="module")
def server(azure: Azure, place: dict[str, str]) -> t.Any:
    return azure.postgresql.servers.begin_create_or_update(azure.group, SERVER, wanted(place)).result()


def wanted(place: dict[str, str] | None, **changes: t.Any) -> dict[str, t.Any]:
    """A body as infrastructure code sends it; `changes` replace properties."""
    network = {"delegatedSubnetResourceId": place["db"], "privateDnsZoneArmResourceId": place["zone"]} if place else {}
    properties = {
        "administratorLogin": "metaflow",
        "administratorLoginPassword": PASSWORD,
        "version": "17",
        "createMode": "Create",
        "storage": {"storageSizeGB": 32, "autoGrow": "Disabled"},
        "network": network,
    }
    sku = changes.pop("sku", {"name": "Standard_B2s", "tier": "Burstable"})
    location = changes.pop("location", REGION)
    return {"location": location, "sku": sku, "tags": {"metaflow-stack": "default"}, "properties": {**properties, **changes}}


@contextlib.contextmanager
def connected(azure: Azure, name: str = SERVER, database: str = "postgres", password: str = PASSWORD, **options: str) -> Made[t.Any]:
    """A connection to the real server that stands behind `name`."""
    host = f"{name}.postgres.database.azure.com"
    arguments = {"sslmode": "verify-full", "sslrootcert": azure.emulator.bundle, **options}
    connection = psycopg2.connect(
        host=host, hostaddr=azure.postgresql_servers()[host], user="metaflow", password=password, dbname=database, **arguments
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def test_a_server_is_as_azure_shows_it(azure: Azure, server: t.Any, place: dict[str, str]) -> None:
    answer = azure.call("GET", server.id).json()
    properties = answer["properties"]
    assert properties["state"] == "Ready"
    assert "provisioningState" not in properties
    assert "administratorLoginPassword" not in properties
    assert PASSWORD not in str(answer)
    assert answer["location"] == "West US 2"
    assert properties["fullyQualifiedDomainName"] == f"{SERVER}.postgres.database.azure.com"
    assert properties["network"]["publicNetworkAccess"] == "Disabled"
    assert properties["storage"] == {"storageSizeGB": 32, "autoGrow": "Disabled", "tier": "P4", "iops": 120}
    assert properties["highAvailability"] == {"mode": "Disabled", "state": "NotEnabled"}
    assert properties["authConfig"] == {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"}
    assert properties["replicationRole"] == "Primary"
    assert [each.name for each in azure.postgresql.servers.list_by_resource_group(azure.group)] == [SERVER]
    assert SERVER in [each.name for each in azure.postgresql.servers.list_by_subscription()]


def test_the_real_server_speaks_tls_and_knows_the_administrator(azure: Azure, server: t.Any) -> None:
    with connected(azure) as cursor:
        cursor.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == ("metaflow", True)
    with pytest.raises(psycopg2.OperationalError), connected(azure, sslmode="disable"):
        pass


def test_its_address_is_in_the_zone(azure: Azure, server: t.Any, place: dict[str, str]) -> None:
    answer = azure.call("GET", f"{place['zone']}/A", version="2024-06-01")
    assert answer.status_code == 200, answer.text
    records = answer.json()["value"]
    assert [each["properties"]["aRecords"] for each in records] == [[{"ipv4Address": "10.1.0.4"}]]
    usage = azure.postgresql.virtual_network_subnet_usage.list(REGION, {"virtualNetworkArmResourceId": place["db"].partition("/subnets/")[0]})
    assert {each.subnet_name: each.usage for each in usage.delegated_subnets_usage} == {"db": 1, "db2": 0}


def test_a_write_is_answered_with_202_and_the_operation(azure: Azure, server: t.Any) -> None:
    answer = azure.call("PATCH", server.id, {"tags": {"metaflow-stack": "default", "more": "1"}})
    assert answer.status_code == 202
    assert set(answer.json()) == {"operation", "startTime"}
    assert answer.json()["operation"] == "UpsertServerManagementOperationV2"
    assert "/azureAsyncOperation/" in answer.headers["Azure-AsyncOperation"]
    assert "/operationResults/" in answer.headers["Location"]
    assert int(answer.headers["Retry-After"]) >= 1


def test_databases(azure: Azure, server: t.Any) -> None:
    databases = azure.postgresql.databases
    made = databases.begin_create(azure.group, SERVER, "metaflow", {"properties": {"charset": "utf8", "collation": "en_US.utf8"}}).result()
    assert (made.charset, made.collation) == ("UTF8", "en_US.utf8")
    with connected(azure, database="metaflow") as cursor:
        cursor.execute("CREATE TABLE flows (id int)")
    assert {each.name for each in databases.list_by_server(azure.group, SERVER)} == {"metaflow", "postgres", "azure_sys", "azure_maintenance"}
    again = databases.begin_create(azure.group, SERVER, "metaflow", {"properties": {}}).result()
    assert again.collation == "en_US.utf8"
    with refused("PropertyChangeNotAllowed"):
        databases.begin_create(azure.group, SERVER, "metaflow", {"properties": {"collation": "de_DE.utf8"}}).result()
    with refused("OperationNotAllowed"):
        databases.begin_delete(azure.group, SERVER, "postgres").result()
    databases.begin_create(azure.group, SERVER, "gone", {"properties": {}}).result()
    databases.begin_delete(azure.group, SERVER, "gone").result()
    with pytest.raises(ResourceNotFoundError):
        databases.get(azure.group, SERVER, "gone")
    with pytest.raises(psycopg2.OperationalError, match="does not exist"), connected(azure, database="gone"):
        pass


def test_databases_made_in_sql_are_listed(azure: Azure, server: t.Any) -> None:
    with connected(azure) as cursor:
        cursor.connection.autocommit = True
        cursor.execute("CREATE DATABASE by_hand")
        try:
            assert azure.postgresql.databases.get(azure.group, SERVER, "by_hand").name == "by_hand"
        finally:
            cursor.execute("DROP DATABASE by_hand")
    assert "by_hand" not in [each.name for each in azure.postgresql.databases.list_by_server(azure.group, SERVER)]


def test_parameters_reach_the_real_server(azure: Azure, server: t.Any) -> None:
    configurations = azure.postgresql.configurations
    before = configurations.get(azure.group, SERVER, "statement_timeout")
    assert (before.value, before.default_value, before.data_type, before.source) == ("0", "0", "Integer", "system-default")
    changed = configurations.begin_update(
        azure.group, SERVER, "statement_timeout", {"properties": {"value": "60000", "source": "user-override"}}
    ).result()
    assert (changed.value, changed.source, changed.is_config_pending_restart) == ("60000", "user-override", False)
    with connected(azure) as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("1min",)
    reset = configurations.begin_update(azure.group, SERVER, "statement_timeout", {"properties": {"value": "0", "source": "user-override"}}).result()
    assert reset.source == "system-default"
    with refused("InvalidParameterValue"):
        configurations.begin_update(azure.group, SERVER, "statement_timeout", {"properties": {"value": "soon"}}).result()
    with refused("ReadOnlyServerParameter"):
        configurations.begin_update(azure.group, SERVER, "data_directory", {"properties": {"value": "/tmp"}}).result()
    with refused("ResourceNotFound"):
        configurations.get(azure.group, SERVER, "no_such_parameter")
    assert {"require_secure_transport", "azure.extensions", "max_connections"} <= {
        each.name for each in configurations.list_by_server(azure.group, SERVER)
    }


def test_a_static_parameter_waits_for_a_restart(azure: Azure, server: t.Any) -> None:
    configurations = azure.postgresql.configurations
    changed = configurations.begin_update(azure.group, SERVER, "max_connections", {"properties": {"value": "77", "source": "user-override"}}).result()
    assert changed.is_config_pending_restart
    with connected(azure) as cursor:
        cursor.execute("SHOW max_connections")
        assert cursor.fetchone() != ("77",)
    azure.postgresql.servers.begin_restart(azure.group, SERVER).result()
    assert not configurations.get(azure.group, SERVER, "max_connections").is_config_pending_restart
    with connected(azure) as cursor:
        cursor.execute("SHOW max_connections")
        assert cursor.fetchone() == ("77",)


def test_secure_transport_can_be_turned_off(azure: Azure, server: t.Any) -> None:
    def set_to(value: str) -> None:
        azure.postgresql.configurations.begin_update(azure.group, SERVER, "require_secure_transport", {"properties": {"value": value}}).result()

    set_to("off")
    with connected(azure, sslmode="disable") as cursor:
        cursor.execute("SELECT 1")
    set_to("on")
    with pytest.raises(psycopg2.OperationalError), connected(azure, sslmode="disable"):
        pass


def test_the_password_can_be_changed(azure: Azure, server: t.Any) -> None:
    azure.postgresql.servers.begin_update(azure.group, SERVER, {"properties": {"administratorLoginPassword": "Another-Horse-8"}}).result()
    with pytest.raises(psycopg2.OperationalError), connected(azure):
        pass
    with connected(azure, password="Another-Horse-8"):
        pass
    azure.postgresql.servers.begin_update(azure.group, SERVER, {"properties": {"administratorLoginPassword": PASSWORD}}).result()


def test_stop_and_start(azure: Azure, server: t.Any) -> None:
    servers = azure.postgresql.servers
    servers.begin_stop(azure.group, SERVER).result()
    assert servers.get(azure.group, SERVER).state == "Stopped"
    with refused("ServerIsNotReady", "Current Server State = Stopped"):
        servers.begin_restart(azure.group, SERVER).result()
    with refused("ServerUnavailableForOperation"):
        azure.postgresql.databases.begin_create(azure.group, SERVER, "more", {"properties": {}}).result()
    servers.begin_start(azure.group, SERVER).result()
    assert servers.get(azure.group, SERVER).state == "Ready"
    with connected(azure):
        pass


def test_storage_only_grows(azure: Azure, server: t.Any) -> None:
    servers = azure.postgresql.servers
    grown = servers.begin_update(azure.group, SERVER, {"properties": {"storage": {"storageSizeGB": 64}}}).result()
    assert (grown.storage.storage_size_gb, grown.storage.tier, grown.storage.iops) == (64, "P6", 240)
    with refused("StorageSizeShrinkNotAllowed"):
        servers.begin_update(azure.group, SERVER, {"properties": {"storage": {"storageSizeGB": 32}}}).result()
    with refused("ParameterOutOfRange", "StorageSizeGB"):
        servers.begin_update(azure.group, SERVER, {"properties": {"storage": {"storageSizeGB": 100}}}).result()
    bigger = servers.begin_update(azure.group, SERVER, {"sku": {"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}}).result()
    assert bigger.sku.name == "Standard_D2ds_v5"


def test_what_never_changes(azure: Azure, server: t.Any, place: dict[str, str]) -> None:
    for change in (
        {"administratorLogin": "other"},
        {"network": {"delegatedSubnetResourceId": place["db2"], "privateDnsZoneArmResourceId": place["zone"]}},
        {"backup": {"geoRedundantBackup": "Enabled"}},
    ):
        body = wanted(place, **change)
        body["properties"].pop("storage")
        with refused("PropertyChangeNotAllowed"):
            azure.postgresql.servers.begin_create_or_update(azure.group, SERVER, body).result()
    with refused("VersionUpgradeNotSupported"):
        azure.postgresql.servers.begin_update(azure.group, SERVER, {"properties": {"version": "16"}}).result()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "12"}, "ParameterOutOfRange"),
        ({"sku": {"name": "Standard_Nope", "tier": "Burstable"}}, "SkuNotAvailable"),
        ({"sku": {"name": "Standard_B2s", "tier": "GeneralPurpose"}}, "InvalidSku"),
        ({"administratorLogin": "azure_superuser"}, "BlockedUserName"),
        ({"administratorLogin": "pg_me"}, "BlockedUserName"),
        ({"administratorLoginPassword": "Sh0rt!"}, "PasswordTooShort"),
        ({"administratorLoginPassword": "metaflow"}, "PasswordNotComplex"),
        ({"administratorLoginPassword": "Aa1-" * 40}, "PasswordTooLong"),
        ({"highAvailability": {"mode": "ZoneRedundant"}}, "HighAvailabilityNotSupported"),
        ({"storage": {"storageSizeGB": 33}}, "ParameterOutOfRange"),
        ({"location": "atlantis"}, "LocationNotAvailableForResourceType"),
        ({"createMode": "Replica"}, "FeatureNotSupported"),
    ],
)
def test_refused_at_once(azure: Azure, place: dict[str, str], changes: dict[str, t.Any], code: str) -> None:
    body = wanted(place, **changes)
    with refused(code):
        azure.postgresql.servers.begin_create_or_update(azure.group, "psql-refused", body)
    with pytest.raises(ResourceNotFoundError):
        azure.postgresql.servers.get(azure.group, "psql-refused")


def test_network_rules(azure: Azure, place: dict[str, str]) -> None:
    def create(subnet: str | None, zone: str | None) -> None:
        network = {"delegatedSubnetResourceId": subnet, "privateDnsZoneArmResourceId": zone}
        body = wanted(None, network={name: value for name, value in network.items() if value})
        azure.postgresql.servers.begin_create_or_update(azure.group, "psql-network", body).result()

    with refused("SubnetMissingRequiredDelegation", "requires any of the following delegation(s) [Microsoft.DBforPostgreSQL/flexibleServers]"):
        create(place["other"], place["zone"])
    with refused("ConflictingPublicNetworkAccessAndVirtualNetworkConfiguration"):
        create(None, place["zone"])
    with refused("EmptyPrivateDnsZoneArmResourceId"):
        create(place["db"], None)
    with refused("SubnetNotFound"):
        create(f"{place['db']}x", place["zone"])
    with refused("PrivateDnsZoneNameNotValid"):
        create(place["db"], azure.make_zone("metaflow.example.com"))
    with pytest.raises(ResourceNotFoundError):
        azure.postgresql.servers.get(azure.group, "psql-network")
    azure.zones.private_zones.begin_delete(azure.group, "metaflow.example.com").result()


def test_names(azure: Azure, server: t.Any) -> None:
    def check(name: str, regional: bool = True) -> tuple[t.Any, ...]:
        body = {"name": name, "type": POSTGRESQL}
        availability = azure.postgresql.name_availability
        found = availability.check_with_location(REGION, body) if regional else availability.check_globally(body)
        return found.name_available, found.reason

    for regional in (True, False):
        assert check(SERVER, regional) == (False, "AlreadyExists")
        assert check("psql-free", regional) == (True, None)
        assert check("-no", regional) == (False, "Invalid")
    with refused("InvalidServerName"):
        azure.postgresql.servers.begin_create_or_update(azure.group, "PSQL_upper", wanted(None))
    azure.emulator.run("settings", "limits.taken.psql-elsewhere=1")
    assert check("psql-elsewhere") == (False, "AlreadyExists")
    azure.resources.resource_groups.create_or_update("rg-postgresql-other", {"location": REGION})
    with refused("ServerNameAlreadyExists", "Specified server name is already used."):
        azure.postgresql.servers.begin_create_or_update("rg-postgresql-other", SERVER, wanted(None))


def test_what_a_region_offers(azure: Azure) -> None:
    found = next(iter(azure.postgresql.capabilities_by_location.list(REGION)))
    editions = {edition.name: edition for edition in found.supported_server_editions}
    assert set(editions) == {"Burstable", "GeneralPurpose", "MemoryOptimized"}
    assert "Standard_B2s" in [sku.name for sku in editions["Burstable"].supported_server_skus]
    assert [version.name for version in found.supported_server_versions] == ["14", "15", "16", "17", "18"]
    assert found.restricted == "Disabled"
    assert azure.postgresql.private_dns_zone_suffix.get().endswith("postgres.database.azure.com")
    usages = {usage.name.value: usage for usage in azure.postgresql.quota_usages.list(REGION)}
    assert usages["standardBSFamily"].limit > 0


def test_quota(azure: Azure, place: dict[str, str]) -> None:
    sku = {"name": "Standard_E4ds_v5", "tier": "MemoryOptimized"}
    azure.emulator.run("settings", "quotas.flexibleServers.standardEDSv5Family=2")
    try:
        with refused("QuotaExceeded", "Subscription quota for standardEDSv5Family cores exceeded"):
            azure.postgresql.servers.begin_create_or_update(azure.group, "psql-quota", wanted(place, sku=sku))
    finally:
        azure.emulator.run("settings", "quotas.flexibleServers.standardEDSv5Family=")


def test_a_restricted_offer_fails_in_the_operation_and_holds_the_name(azure: Azure) -> None:
    azure.emulator.run("settings", f"limits.offerRestricted.{REGION}=1")
    try:
        with refused("LocationIsOfferRestricted", "Subscriptions are restricted from provisioning in location"):
            azure.postgresql.servers.begin_create_or_update(azure.group, "psql-restricted", wanted(None)).result()
    finally:
        azure.emulator.run("settings", f"limits.offerRestricted.{REGION}=")
    with refused("ServerNameAlreadyExists"):
        azure.postgresql.servers.begin_create_or_update(azure.group, "psql-restricted", wanted(None, location="eastus"))


def test_one_write_at_a_time(azure: Azure, server: t.Any) -> None:
    azure.emulator.run("settings", "durations.databases=3")
    try:
        poller = azure.postgresql.databases.begin_create(azure.group, SERVER, "slow", {"properties": {}})
        answer = azure.call("PUT", f"{server.id}/databases/second", {"properties": {}})
        assert answer.status_code == 409
        assert "Retry-After" not in answer.headers
        assert answer.json()["error"]["code"] == "ServerIsBusy"
        assert azure.call("POST", f"{server.id}/restart").status_code == 409
        poller.result()
    finally:
        azure.emulator.run("settings", "durations.databases=")
    azure.postgresql.databases.begin_delete(azure.group, SERVER, "slow").result()


def test_firewall_rules_and_administrators(azure: Azure, server: t.Any) -> None:
    rule = {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.9"}}
    with refused("FirewallRulesNotAllowedForPrivateAccessServer"):
        azure.postgresql.firewall_rules.begin_create_or_update(azure.group, SERVER, "office", rule)
    with refused("AadAuthNotEnabledForServer"):
        body = {"properties": {"principalName": "me", "principalType": "User"}}
        azure.postgresql.administrators_microsoft_entra.begin_create_or_update(azure.group, SERVER, azure.emulator.tenant_id, body)
    backups = list(azure.postgresql.backups_automatic_and_on_demand.list_by_server(azure.group, SERVER))
    assert [backup.source for backup in backups] == ["Automatic"]


def test_a_public_server(azure: Azure) -> None:
    name = "psql-public"
    auth = {"activeDirectoryAuth": "Enabled", "passwordAuth": "Enabled"}
    made = azure.postgresql.servers.begin_create_or_update(azure.group, name, wanted(None, authConfig=auth)).result()
    assert made.network.public_network_access == "Enabled"
    assert made.auth_config.tenant_id == azure.emulator.tenant_id
    rules = azure.postgresql.firewall_rules
    rule = rules.begin_create_or_update(
        azure.group, name, "office", {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.9"}}
    ).result()
    assert rule.end_ip_address == "10.0.0.9"
    with refused("InvalidFirewallRuleIpRange"):
        rules.begin_create_or_update(azure.group, name, "wrong", {"properties": {"startIpAddress": "10.0.0.9", "endIpAddress": "10.0.0.1"}})
    rules.begin_delete(azure.group, name, "office").result()
    assert list(rules.list_by_server(azure.group, name)) == []
    entra = azure.postgresql.administrators_microsoft_entra
    admin = entra.begin_create_or_update(
        azure.group,
        name,
        azure.emulator.env["CLOUD_EMULATOR_OBJECT_ID"],
        {"properties": {"principalName": "deployer", "principalType": "ServicePrincipal"}},
    ).result()
    assert admin.object_id == azure.emulator.env["CLOUD_EMULATOR_OBJECT_ID"]
    azure.postgresql.servers.begin_delete(azure.group, name).result()
    with pytest.raises(ResourceNotFoundError):
        azure.postgresql.servers.get(azure.group, name)
    assert azure.call("DELETE", f"{azure.group_id}/providers/{POSTGRESQL}/{name}").status_code == 204


INTERNAL = "{code: InternalServerError, message: An unexpected error occured while processing the request., leaves: %s}"


@pytest.mark.parametrize("leaves", ["nothing", "failed", "dropping"])
def test_a_creation_that_fails(azure: Azure, place: dict[str, str], faults: Client, leaves: str) -> None:
    name = f"psql-fails-{leaves}"
    path = f"{azure.group_id}/providers/{POSTGRESQL}/{name}"
    faults.run("faults", "set", "-", text=f"- {{path: '*/flexibleServers/{name}', method: PUT, operation_error: {INTERNAL % leaves}}}")
    azure.emulator.run("settings", "limits.dropping=2")
    with refused("InternalServerError", "An unexpected error occured"):
        azure.postgresql.servers.begin_create_or_update(azure.group, name, wanted(place)).result()
    if leaves == "nothing":
        assert azure.call("GET", path).status_code == 404
    elif leaves == "failed":
        assert azure.call("GET", path).json()["properties"]["state"] != "Ready"
        azure.postgresql.servers.begin_delete(azure.group, name).result()
    else:
        assert azure.call("GET", path).json()["properties"]["state"] == "Dropping"
        with refused("ServerGroupDropping", "Operations on a server group in dropping state are not allowed."):
            azure.postgresql.servers.begin_delete(azure.group, name)
        azure.wait_for(lambda: azure.call("GET", path).status_code == 404)
    made = azure.postgresql.servers.begin_create_or_update(azure.group, name, wanted(place)).result()
    assert made.state == "Ready"
    azure.postgresql.servers.begin_delete(azure.group, name).result()


def test_a_deleted_server_keeps_its_subnet_for_a_while(azure: Azure, place: dict[str, str]) -> None:
    network = {"delegatedSubnetResourceId": place["db2"], "privateDnsZoneArmResourceId": place["zone"]}
    azure.postgresql.servers.begin_create_or_update(azure.group, "psql-linger", wanted(None, network=network)).result()
    with refused("InUseSubnetCannotBeDeleted"):
        azure.network.subnets.begin_delete(azure.group, "vnet", "db2").result()
    azure.emulator.run("settings", "delegation_lingers=8")
    azure.postgresql.servers.begin_delete(azure.group, "psql-linger").result()
    azure.emulator.run("settings", "delegation_lingers=")
    with refused("InUseSubnetCannotBeDeleted", "service-association-link"):
        azure.network.subnets.begin_delete(azure.group, "vnet", "db2").result()
    azure.wait_for(lambda: azure.call("DELETE", place["db2"], version="2025-01-01").status_code in (202, 204))
