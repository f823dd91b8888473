"""Virtual networks, subnets, the other plain network types and private DNS, with Microsoft's SDKs."""

from __future__ import annotations

import typing as t

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure_clients import Arm, refused
from conftest import Client

DELEGATION = {"name": "fs", "properties": {"serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def network(arm: Arm) -> NetworkManagementClient:
    return arm.client(NetworkManagementClient)


@pytest.fixture(scope="module")
def dns(arm: Arm) -> PrivateDnsManagementClient:
    return arm.client(PrivateDnsManagementClient)


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group().rsplit("/", 1)[1]


@pytest.fixture
def vnet(arm: Arm, group: str) -> str:
    return arm.make(path(arm, group, "virtualNetworks/v"), body("10.0.0.0/16"))["id"]


def path(arm: Arm, group: str, rest: str) -> str:
    return f"{arm.scope}/resourceGroups/{group}/providers/Microsoft.Network/{rest}"


def body(*prefixes: str, subnets: t.Any = None, **rest: t.Any) -> dict[str, t.Any]:
    properties = {"addressSpace": {"addressPrefixes": list(prefixes)}, **({"subnets": subnets} if subnets is not None else {})}
    return {"location": "westus2", "properties": properties, **rest}


def subnet(name: str, prefix: str, **rest: t.Any) -> dict[str, t.Any]:
    return {"name": name, "properties": {"addressPrefix": prefix, **rest}}


def codes(answer: t.Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- virtual networks ------------------------------------------------------------------------------------------------------------------


def test_inline_subnets_are_resources(arm: Arm, network: NetworkManagementClient, group: str):
    made = network.virtual_networks.begin_create_or_update(group, "v", body("10.0.0.0/16", subnets=[subnet("a", "10.0.1.0/24")])).result()
    assert [each.name for each in made.subnets] == ["a"]
    assert network.subnets.get(group, "v", "a").address_prefix == "10.0.1.0/24"
    network.subnets.begin_create_or_update(group, "v", "b", {"properties": {"addressPrefixes": ["10.0.2.0/24"]}}).result()
    assert [each.name for each in network.virtual_networks.get(group, "v").subnets] == ["a", "b"]
    assert [each.name for each in network.subnets.list(group, "v")] == ["a", "b"]


def test_a_put_without_subnets_keeps_them_and_an_empty_list_removes_them(arm: Arm, group: str, vnet: str):
    arm.make(f"{vnet}/subnets/a", subnet("a", "10.0.1.0/24"))
    assert len(arm.make(vnet, body("10.0.0.0/16", "10.1.0.0/16"))["properties"]["subnets"]) == 1
    assert arm.make(vnet, body("10.0.0.0/16", subnets=[]))["properties"]["subnets"] == []


def test_a_delegated_subnet_is_completed(network: NetworkManagementClient, group: str, vnet: str):
    wanted = {"addressPrefix": "10.0.1.0/24", "delegations": [DELEGATION], "serviceEndpoints": [{"service": "Microsoft.Storage"}]}
    made = network.subnets.begin_create_or_update(group, "v", "db", {"properties": wanted}).result()
    delegation, endpoint = made.delegations[0], made.service_endpoints[0]
    assert (delegation.actions, delegation.provisioning_state) == ([JOIN], "Succeeded")
    assert delegation.id == f"{vnet}/subnets/db/delegations/fs"
    assert (endpoint.locations, endpoint.provisioning_state) == (["westus2", "westcentralus"], "Succeeded")
    assert (made.private_endpoint_network_policies, made.private_link_service_network_policies) == ("Disabled", "Enabled")


def test_what_terraform_sends_with_a_subnet_is_kept(arm: Arm, vnet: str):
    extra = {"defaultOutboundAccess": True, "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled"}
    made = arm.make(f"{vnet}/subnets/tf", subnet("tf", "10.0.1.0/24", **extra, sharingScope=""), version="2025-01-01")
    assert extra.items() <= made["properties"].items()


@pytest.mark.parametrize(("version", "shown"), [("2025-01-01", None), ("2025-07-01", False)])
def test_newer_versions_give_subnets_no_way_out_by_default(arm: Arm, vnet: str, version: str, shown: bool | None):
    made = arm.make(f"{vnet}/subnets/out", subnet("out", "10.0.1.0/24"), version=version)
    assert made["properties"].get("defaultOutboundAccess") is shown


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"addressPrefix": "10.0.1.128/25"}, "NetcfgSubnetRangesOverlap"),
        ({"addressPrefix": "10.9.0.0/24"}, "NetcfgInvalidSubnet"),
        ({"addressPrefix": "10.0.2.0/30"}, "NetcfgInvalidSubnet"),
        ({"addressPrefix": "10.0.2.1/24"}, "InvalidCIDRNotation"),
        ({"addressPrefix": "10.0.2"}, "InvalidAddressPrefixFormat"),
        ({}, "NoAddressPrefixOrPoolProvided"),
    ],
)
def test_bad_addresses_of_a_subnet_are_refused(arm: Arm, vnet: str, properties: dict, code: str):
    arm.make(f"{vnet}/subnets/a", subnet("a", "10.0.1.0/24"))
    assert codes(arm.call("PUT", f"{vnet}/subnets/b", {"properties": properties})) == (400, code)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (body(), "VirtualNetworkAddressSpaceIsEmpty"),
        (body("10.0.0.0/16", "10.0.1.0/24"), "NetcfgAddressSpaceRangesOverlap"),
        (body("10.0.0.1/16"), "InvalidCIDRNotation"),
        (body("10.0.0.0/16", subnets=[subnet("a", "10.0.1.0/24"), subnet("b", "10.0.0.0/23")]), "NetcfgSubnetRangesOverlap"),
        (body("10.0.0.0/16", subnets=[subnet("a", "10.1.1.0/24")]), "NetcfgInvalidSubnet"),
    ],
)
def test_bad_addresses_of_a_network_are_refused(arm: Arm, group: str, wanted: dict, code: str):
    assert codes(arm.call("PUT", path(arm, group, "virtualNetworks/bad"), wanted)) == (400, code)


def test_the_space_of_existing_subnets_stays(arm: Arm, vnet: str):
    arm.make(f"{vnet}/subnets/a", subnet("a", "10.0.1.0/24"))
    assert codes(arm.call("PUT", vnet, body("10.5.0.0/16"))) == (400, "InUsePrefixCannotBeDeleted")


def test_tags_of_a_network_are_patched_alone(network: NetworkManagementClient, group: str, vnet: str):
    assert network.virtual_networks.update_tags(group, "v", {"tags": {"a": "b"}}).tags == {"a": "b"}
    assert network.virtual_networks.get(group, "v").address_space.address_prefixes == ["10.0.0.0/16"]


def test_etags_guard_writes(arm: Arm, vnet: str):
    known = arm.call("GET", vnet)
    assert known.headers["ETag"] == known.json()["etag"]
    assert codes(arm.call("PUT", vnet, body("10.0.0.0/16"), headers={"If-None-Match": "*"})) == (412, "PreconditionFailed")
    assert codes(arm.call("PUT", vnet, body("10.0.0.0/16"), headers={"If-Match": 'W/"else"'})) == (412, "PreconditionFailed")
    arm.settle(arm.call("PUT", vnet, body("10.0.0.0/16"), headers={"If-Match": known.json()["etag"]}))
    assert arm.call("GET", vnet).json()["etag"] != known.json()["etag"]


def test_a_linked_network_cannot_be_deleted(arm: Arm, group: str, vnet: str):
    zone = path(arm, group, "privateDnsZones/held.example.com")
    arm.make(zone, {"location": "global"})
    arm.make(f"{zone}/virtualNetworkLinks/l", {"location": "global", "properties": {"virtualNetwork": {"id": vnet}}})
    assert codes(arm.call("DELETE", vnet)) == (400, "InUseVirtualNetworkCannotBeDeleted")
    arm.settle(arm.call("DELETE", f"{zone}/virtualNetworkLinks/l"))
    assert arm.settle(arm.call("DELETE", vnet)).json() == {"status": "Succeeded"}


# --- other types -----------------------------------------------------------------------------------------------------------------------


def test_a_security_group_has_default_rules_and_stays_while_it_is_used(arm: Arm, network: NetworkManagementClient, group: str, vnet: str):
    rule = {"protocol": "Tcp", "sourcePortRange": "*", "destinationPortRange": "5432", "access": "Allow", "direction": "Inbound", "priority": 100}
    rule |= {"sourceAddressPrefix": "*", "destinationAddressPrefix": "*"}
    wanted = {"location": "westus2", "properties": {"securityRules": [{"name": "db", "properties": rule}]}}
    made = network.network_security_groups.begin_create_or_update(group, "nsg", wanted).result()
    assert len(made.default_security_rules) == 6
    assert made.security_rules[0].provisioning_state == "Succeeded"
    arm.make(f"{vnet}/subnets/a", subnet("a", "10.0.1.0/24", networkSecurityGroup={"id": made.id}))
    assert network.network_security_groups.get(group, "nsg").subnets[0].id == f"{vnet}/subnets/a"
    refused(lambda: network.network_security_groups.begin_delete(group, "nsg").result(), 400, "InUseNetworkSecurityGroupCannotBeDeleted")
    twice = {"location": "westus2", "properties": {"securityRules": [{"name": n, "properties": rule} for n in ("one", "two")]}}
    assert codes(arm.call("PUT", path(arm, group, "networkSecurityGroups/nsg"), twice)) == (400, "SecurityRuleConflict")


def test_a_nat_gateway_with_its_address(arm: Arm, network: NetworkManagementClient, group: str):
    standard = {"location": "westus2", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}
    address = network.public_ip_addresses.begin_create_or_update(group, "ip", standard).result()
    assert address.ip_address.startswith("203.0.113.")
    wanted = {"location": "westus2", "sku": {"name": "Standard"}, "properties": {"publicIpAddresses": [{"id": address.id}]}}
    gateway = network.nat_gateways.begin_create_or_update(group, "nat", wanted).result()
    assert gateway.idle_timeout_in_minutes == 4
    refused(lambda: network.public_ip_addresses.begin_delete(group, "ip").result(), 400, "PublicIPAddressCannotBeDeleted")
    network.nat_gateways.begin_delete(group, "nat").result()
    network.public_ip_addresses.begin_delete(group, "ip").result()
    dynamic = {**standard, "properties": {"publicIPAllocationMethod": "Dynamic"}}
    assert codes(arm.call("PUT", path(arm, group, "publicIPAddresses/dyn"), dynamic)) == (400, "PublicIPAddressStandardSkuMustBeStatic")


def test_rules_and_routes_one_by_one(arm: Arm, network: NetworkManagementClient, group: str):
    rule = {"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 100}
    rule |= {"sourcePortRange": "*", "destinationPortRange": "443", "sourceAddressPrefix": "*", "destinationAddressPrefix": "*"}
    location = {"location": "westus2"}
    network.network_security_groups.begin_create_or_update(group, "nsg", location).result()
    network.security_rules.begin_create_or_update(group, "nsg", "one", {"properties": rule}).result()
    assert [each.name for each in network.network_security_groups.get(group, "nsg").security_rules] == ["one"]
    second = path(arm, group, "networkSecurityGroups/nsg/securityRules/two")
    assert codes(arm.call("PUT", second, {"properties": rule})) == (400, "SecurityRuleConflict")
    assert codes(arm.call("PUT", second, {"properties": {**rule, "priority": 5000}})) == (400, "SecurityRuleInvalidPriority")
    network.network_security_groups.update_tags(group, "nsg", {"tags": {"a": "b"}})
    assert len(network.network_security_groups.get(group, "nsg").security_rules) == 1
    assert network.network_security_groups.begin_create_or_update(group, "nsg", location).result().security_rules == []
    route = {"name": "out", "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "Internet"}}
    made = network.route_tables.begin_create_or_update(group, "rt", {**location, "properties": {"routes": [route]}}).result()
    assert made.routes[0].id.endswith("/routeTables/rt/routes/out")
    network.routes.begin_delete(group, "rt", "out").result()
    assert network.route_tables.get(group, "rt").routes == []


# --- private DNS -----------------------------------------------------------------------------------------------------------------------


def test_a_zone_counts_what_it_holds_and_stays_while_linked(arm: Arm, dns: PrivateDnsManagementClient, group: str, vnet: str):
    zone = dns.private_zones.begin_create_or_update(group, "mf.postgres.database.azure.com", {"location": "global"}).result()
    link = {"location": "global", "properties": {"virtualNetwork": {"id": vnet}, "registrationEnabled": False}}
    made = dns.virtual_network_links.begin_create_or_update(group, zone.name, "metaflowDatabaseVnetZone.com", link).result()
    assert made.virtual_network_link_state == "Completed"
    assert dns.private_zones.get(group, zone.name).number_of_virtual_network_links == 1
    text = refused(lambda: dns.private_zones.begin_delete(group, zone.name).result(), 409, "CannotDeleteResource")
    assert made.id in text
    again = arm.call("PUT", f"{zone.id}/virtualNetworkLinks/second", link)
    assert codes(again) == (409, "Conflict")
    dns.virtual_network_links.begin_delete(group, zone.name, made.name).result()
    dns.private_zones.begin_delete(group, zone.name).result()
    refused(lambda: dns.private_zones.get(group, zone.name), 404, "ResourceNotFound")


def test_a_network_registers_in_one_zone_only_and_links_dont_move(arm: Arm, group: str, vnet: str):
    other = arm.make(path(arm, group, "virtualNetworks/other"), body("10.7.0.0/16"))["id"]
    for name in ("one.example.com", "two.example.com"):
        arm.make(path(arm, group, f"privateDnsZones/{name}"), {"location": "global"})
    link = {"location": "global", "properties": {"virtualNetwork": {"id": vnet}, "registrationEnabled": True}}
    first = path(arm, group, "privateDnsZones/one.example.com/virtualNetworkLinks/l")
    arm.make(first, link)
    assert codes(arm.call("PUT", path(arm, group, "privateDnsZones/two.example.com/virtualNetworkLinks/l"), link)) == (409, "Conflict")
    moved = {**link, "properties": {"virtualNetwork": {"id": other}}}
    assert codes(arm.call("PUT", first, moved)) == (400, "PropertyChangeNotAllowed")
    gone = {**link, "properties": {"virtualNetwork": {"id": vnet + "x"}}}
    assert codes(arm.call("PUT", path(arm, group, "privateDnsZones/two.example.com/virtualNetworkLinks/m"), gone)) == (400, "VirtualNetworkNotFound")


def test_a_link_may_name_its_network_by_the_whole_of_it(arm: Arm, group: str, vnet: str):
    arm.make(path(arm, group, "privateDnsZones/whole.example.com"), {"location": "global"})
    whole = {"id": vnet, "properties": {"enableDdosProtection": False, "enableVmProtection": False}}
    link = {"location": "global", "properties": {"virtualNetwork": whole, "registrationEnabled": False}}
    for _ in range(2):
        made = arm.make(path(arm, group, "privateDnsZones/whole.example.com/virtualNetworkLinks/l"), link)
        assert made["properties"]["virtualNetwork"] == {"id": vnet}


def test_zone_names_and_places_are_checked(arm: Arm, group: str):
    assert codes(arm.call("PUT", path(arm, group, "privateDnsZones/single"), {"location": "global"})) == (400, "InvalidZoneName")
    assert (
        codes(arm.call("PUT", path(arm, group, "privateDnsZones/a.example.com"), {"location": "westus2"}))[1] == "LocationNotAvailableForResourceType"
    )


def test_a_zone_that_exists_is_not_made_again_where_none_may_match(arm: Arm, group: str):
    zone = path(arm, group, "privateDnsZones/again.example.com")
    arm.make(zone, {"location": "global"})
    assert codes(arm.call("PUT", zone, {"location": "global"}, headers={"If-None-Match": "*"})) == (412, "PreconditionFailed")


def test_record_sets(arm: Arm, dns: PrivateDnsManagementClient, group: str):
    zone = dns.private_zones.begin_create_or_update(group, "r.example.com", {"location": "global"}).result()
    made = dns.record_sets.create_or_update(group, zone.name, "A", "db", {"properties": {"ttl": 30, "aRecords": [{"ipv4Address": "10.0.0.4"}]}})
    assert (made.fqdn, made.ttl, made.a_records[0].ipv4_address) == ("db.r.example.com.", 30, "10.0.0.4")
    soa = dns.record_sets.get(group, zone.name, "SOA", "@")
    assert soa.soa_record.host == "azureprivatedns.net"
    assert [each.name for each in dns.record_sets.list(group, zone.name)] == ["@", "db"]
    assert [each.name for each in dns.record_sets.list_by_type(group, zone.name, "A")] == ["db"]
    with pytest.raises(HttpResponseError):
        dns.record_sets.delete(group, zone.name, "A", "db", etag='"other"', match_condition=MatchConditions.IfNotModified)
    dns.record_sets.delete(group, zone.name, "A", "db")
    refused(lambda: dns.record_sets.get(group, zone.name, "A", "db"), 404, "ResourceNotFound")
    assert codes(arm.call("DELETE", f"{zone.id}/SOA/@")) == (400, "BadRequest")


# --- subnets in use --------------------------------------------------------------------------------------------------------------------


def test_a_subnet_is_free_without_a_server(arm: Arm, vnet: str):
    arm.make(f"{vnet}/subnets/db", subnet("db", "10.0.1.0/24", delegations=[DELEGATION]))
    assert arm.call("GET", f"{vnet}/subnets/db/serviceAssociationLinks").json() == {"value": []}
    assert arm.settle(arm.call("DELETE", f"{vnet}/subnets/db")).json() == {"status": "Succeeded"}
