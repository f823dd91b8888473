"""Address rules of virtual networks: notation, what lies in what, what overlaps."""

from __future__ import annotations

import ipaddress
import typing as t

from .arm.errors import ArmError
from .arm.resource import Body

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SMALLEST = {4: 29, 6: 64}  # prefix lengths: a subnet has at least 8 addresses, or is a /64


def prefixes_of(properties: Body) -> list[str]:
    """Prefixes of a subnet, in whichever of the two properties they were sent."""
    single = properties.get("addressPrefix")
    several = properties.get("addressPrefixes") or []
    return [single, *[prefix for prefix in several if prefix != single]] if single else list(several)


def parse(prefix: t.Any, owner: str) -> Network:
    """A prefix as a network. Raises `ArmError` on bad notation and on host bits; ``owner`` is the resource's id."""
    try:
        interface = ipaddress.ip_interface(str(prefix))
    except ValueError:
        interface = None
    if interface is None or "/" not in str(prefix):
        message = f"Address prefix {prefix} of resource {owner} is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24."
        raise ArmError(400, "InvalidAddressPrefixFormat", message)
    if interface.ip != interface.network.network_address:
        message = (
            f"The address prefix {prefix} in resource {owner} has an invalid CIDR notation. For the given prefix length, the address prefix "
            f"should be {interface.network}."
        )
        raise ArmError(400, "InvalidCIDRNotation", message)
    return interface.network


def overlap(one: Network, other: Network) -> bool:
    """Whether two prefixes of the same family share addresses."""
    return one.version == other.version and one.overlaps(other)


def inside(inner: Network, outer: t.Iterable[Network]) -> bool:
    """Whether a prefix lies in one of others."""
    return any(overlap(inner, each) and each.prefixlen <= inner.prefixlen for each in outer)


def check_space(prefixes: t.Sequence[t.Any], network_id: str) -> list[Network]:
    """A virtual network's address space: at least one prefix, none over another."""
    if not prefixes:
        message = f"Virtual network {network_id} must have at least one address prefix."
        raise ArmError(400, "VirtualNetworkAddressSpaceIsEmpty", message)
    space = [parse(prefix, network_id) for prefix in prefixes]
    for number, one in enumerate(space):
        if any(overlap(one, other) for other in space[:number]):
            name = network_id.rsplit("/", 1)[-1]
            raise ArmError(400, "NetcfgAddressSpaceRangesOverlap", f"The address space of virtual network '{name}' has overlapping ranges: '{one}'.")
    return space


def check_subnet(
    name: str, subnet_id: str, network: str, properties: Body, space: t.Sequence[Network], others: t.Mapping[str, t.Sequence[Network]]
) -> None:
    """A subnet's prefixes: in the network's space, large enough, and over no other subnet."""
    wanted = prefixes_of(properties)
    if not wanted and not properties.get("ipamPoolPrefixAllocations"):
        message = f"No addressPrefix or IpamPool Prefix Allocations were provided for subnet {subnet_id}."
        raise ArmError(400, "NoAddressPrefixOrPoolProvided", message)
    for prefix in (parse(each, subnet_id) for each in wanted):
        if not inside(prefix, space) or prefix.prefixlen > SMALLEST[prefix.version]:
            raise ArmError(400, "NetcfgInvalidSubnet", f"Subnet '{name}' is not valid in virtual network '{network}'.")
        if any(overlap(prefix, other) for taken in others.values() for other in taken):
            message = (
                f"Subnet '{name}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network '{network}'."
            )
            raise ArmError(400, "NetcfgSubnetRangesOverlap", message)
