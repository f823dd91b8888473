"""Microsoft.DBforPostgreSQL: Flexible Server with everything below it; a real PostgreSQL server stands behind each one."""

from __future__ import annotations

import re

from . import postgresql_capabilities as capabilities
from . import postgresql_network as network
from .arm import regions
from .arm.errors import ArmError
from .arm.resource import Body, Call, Provider, Route
from .postgresql_children import Administrators, Backups, Databases, FirewallRules
from .postgresql_configurations import Configurations
from .postgresql_server import NAME, SERVER, FlexibleServers, cores_in_use, name_is_taken, quota


async def check_name_availability(call: Call) -> Body:
    """Both forms: of the subscription and of a location."""
    name, kind = (call.body or {}).get("name"), (call.body or {}).get("type")
    if not name:
        raise ArmError(400, "MissingRequiredParameter", "Required parameter name is missing.")
    answer: Body = {"name": name, "type": kind or SERVER}
    if not re.fullmatch(NAME, name):
        message = "Server name must be 3 to 63 lowercase letters, digits and hyphens, and must not start or end with a hyphen."
        return {**answer, "nameAvailable": False, "reason": "Invalid", "message": message}
    if name_is_taken(call.manager, name, regions.normal(call.parameters.get("location", "")) or None):
        return {**answer, "nameAvailable": False, "reason": "AlreadyExists", "message": "Specified server name is already used."}
    return {**answer, "nameAvailable": True, "message": ""}


# --- functions of a region -------------------------------------------------------------------------------------------------------------


async def list_capabilities(call: Call) -> Body:
    """What can be made in a region."""
    restricted = bool(call.emulator.settings.get(f"limits.offerRestricted.{call.parameters['location'].lower()}", 0))
    return {"value": [capabilities.capabilities(restricted=restricted)]}


async def server_capabilities(call: Call) -> Body:
    """What a server can be changed to: what its region offers."""
    scope = call.request.url.path.rpartition("/")[0]
    server = call.manager.get(scope)
    if server is None:
        raise ArmError(404, "ServerNotFound", "The requested server was not found.")
    call.parameters["location"] = server.location
    return await list_capabilities(call)


async def private_dns_zone_suffix(call: Call) -> str:
    """Suffix that az wants every zone to end with; the shortest one, as the service itself takes zones right below it."""
    return network.SUFFIX.lstrip(".")


async def subnet_usage(call: Call) -> Body:
    """Servers in each delegated subnet of a network."""
    vnet = str((call.body or {}).get("virtualNetworkArmResourceId", ""))
    if call.manager.get(vnet) is None:
        raise ArmError(404, "VirtualNetworkNotFound", f"The virtual network '{vnet}' was not found.")
    used = [str(server.properties.get("network", {}).get("delegatedSubnetResourceId", "")).lower() for server in call.manager.find(SERVER)]
    subnets = call.manager.children(vnet, "Microsoft.Network/virtualNetworks/subnets")
    usages = [{"subnetName": subnet.name, "usage": used.count(subnet.key)} for subnet in subnets if subnet.properties.get("delegations")]
    return {"location": call.parameters["location"], "subscriptionId": call.parameters["subscription"], "delegatedSubnetsUsage": usages}


async def usages(call: Call) -> Body:
    """Cores in use and allowed in a region, by edition's series."""
    location, subscription = call.parameters["location"], call.parameters["subscription"]
    used = cores_in_use(call.manager, regions.normal(location))
    scope = f"/subscriptions/{subscription}/providers/Microsoft.DBforPostgreSQL/locations/{location}/resourceType/flexibleServers/usages"
    return {
        "value": [
            {
                "id": f"{scope}/{family}",
                "name": {"value": family, "localizedValue": family},
                "currentValue": used.get(family, 0),
                "limit": quota(call.manager, family),
                "unit": "Count",
            }
            for family in capabilities.FAMILIES
        ]
    }


_SUBSCRIPTION = "/subscriptions/{subscription}/providers/Microsoft.DBforPostgreSQL"
_REGION = f"{_SUBSCRIPTION}/locations/{{location}}"
_SERVER = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{server}"
PROVIDER = Provider(
    "Microsoft.DBforPostgreSQL",
    types=[FlexibleServers(), Databases(), Configurations(), FirewallRules(), Administrators(), Backups()],
    routes=[
        Route("POST", f"{_SUBSCRIPTION}/checkNameAvailability", check_name_availability, "Microsoft.DBforPostgreSQL/checkNameAvailability/action"),
        Route(
            "POST", f"{_REGION}/checkNameAvailability", check_name_availability, "Microsoft.DBforPostgreSQL/locations/checkNameAvailability/action"
        ),
        Route("GET", f"{_REGION}/capabilities", list_capabilities, "Microsoft.DBforPostgreSQL/locations/capabilities/read"),
        Route("GET", f"{_SERVER}/capabilities", server_capabilities, "Microsoft.DBforPostgreSQL/flexibleServers/capabilities/read"),
        Route("POST", "/providers/Microsoft.DBforPostgreSQL/getPrivateDnsZoneSuffix", private_dns_zone_suffix),
        Route(
            "POST",
            f"{_REGION}/checkVirtualNetworkSubnetUsage",
            subnet_usage,
            "Microsoft.DBforPostgreSQL/locations/checkVirtualNetworkSubnetUsage/action",
        ),
        Route("GET", f"{_REGION}/resourceType/flexibleServers/usages", usages, "Microsoft.DBforPostgreSQL/locations/resourceType/usages/read"),
    ],
)
