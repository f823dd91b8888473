# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a stack's address ranges are valid, disjoint and large enough. Pure; each fault is one sentence.

Sizes: Azure keeps 5 addresses of each subnet for itself. A Flexible Server's delegated subnet is /28 or larger. With flat Azure CNI each node
takes an address for itself and one for each pod it may run; with overlay, or kubenet, pods have addresses of their own. An upgrade surges:
one node more for each pool (or 10 percent of it).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import math
import typing as t

RESERVED: t.Final = 5
SMALLEST_SERVICE_PREFIX: t.Final = 12  # AKS: the service range must be smaller than /12
LARGEST_DATABASE_PREFIX: t.Final = 28
FLAT_MAX_PODS: t.Final = 30  # what AKS takes for flat Azure CNI when max_pods isn't set

Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The ranges of a stack. ``database`` and ``kubernetes`` are keys of ``subnets``; ``max_nodes`` are the pools' greatest numbers of nodes."""

    address_space: tuple[str, ...] = ()
    subnets: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    database: str | None = None
    kubernetes: str | None = None
    service_cidr: str | None = None
    pod_cidr: str | None = None
    dns_service_ip: str | None = None
    max_nodes: tuple[int, ...] = ()
    max_pods: int = FLAT_MAX_PODS
    flat: bool = False


def parse(what: str, text: str) -> tuple[Network | None, str | None]:
    """The range, or the sentence that says what is wrong with it."""
    try:
        return ipaddress.ip_network(text), None
    except ValueError:
        pass
    try:
        return None, f"{what} {text} has host bits set: write {ipaddress.ip_network(text, strict=False)}."
    except ValueError:
        return None, f"{what} {text} is not an address range in CIDR notation (such as 172.16.0.0/24)."


def nodes_needed(max_nodes: t.Iterable[int]) -> int:
    """Nodes that may exist at once while every pool is upgraded at its greatest size."""
    return sum(count + max(1, math.ceil(count / 10)) for count in max_nodes)


def addresses_needed(plan: Plan) -> int:
    """Addresses that the cluster's subnet must have, Azure's own included."""
    return nodes_needed(plan.max_nodes) * (1 + (plan.max_pods if plan.flat else 0)) + RESERVED


def smallest_prefix(addresses: int) -> int:
    """The longest IPv4 prefix that holds so many addresses."""
    return 32 - max(addresses - 1, 1).bit_length()


def faults(plan: Plan) -> list[str]:
    """Everything that is wrong with the ranges, each as one sentence, in the order in which a reader would mend them."""
    found: list[str] = []

    def read(what: str, text: str | None) -> Network | None:
        if text is None:
            return None
        network, fault = parse(what, text)
        found.extend([fault] if fault else [])
        return network

    space = [(f"the address space {text}", network) for text in plan.address_space if (network := read("The address space", text))]
    subnets = [(f"subnet {name} ({text})", network) for name, text in plan.subnets.items() if (network := read(f"The range of subnet {name}", text))]
    service = read("The service range", plan.service_cidr)
    pods = read("The pod range", plan.pod_cidr)

    outside = [name for name, network in subnets if space and not any(inside(network, outer) for _name, outer in space)]
    found += [f"{upper(name)} is not inside the address space {', '.join(plan.address_space)}." for name in outside]
    own = [(f"the service range {plan.service_cidr}", service)] if service else []
    own += [(f"the pod range {plan.pod_cidr}", pods)] if pods else []
    found += overlaps([*space, *own]) + overlaps(subnets)
    if not space:
        found += [sentence for sentence in overlaps([*subnets, *own]) if sentence not in found]
    return found + service_faults(plan, service) + size_faults(plan)


def inside(inner: Network, outer: Network) -> bool:
    """Whether one range lies within another of the same family."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # same family, as just asked


def upper(text: str) -> str:
    """The text with a capital first letter and the rest as it is."""
    return text[:1].upper() + text[1:]


def overlaps(ranges: t.Sequence[tuple[str, Network]]) -> list[str]:
    """One sentence for each two ranges that share an address."""
    pairs = itertools.combinations(ranges, 2)
    return [f"{upper(left)} and {right} overlap." for (left, a), (right, b) in pairs if a.version == b.version and a.overlaps(b)]


def service_faults(plan: Plan, service: Network | None) -> list[str]:
    """What AKS asks of the service range and of the DNS service's address in it."""
    if service is None:
        return []
    found = []
    if service.prefixlen <= SMALLEST_SERVICE_PREFIX:
        found.append(f"The service range {plan.service_cidr} is too large: AKS wants it smaller than /{SMALLEST_SERVICE_PREFIX}.")
    if plan.dns_service_ip is not None:
        try:
            address = ipaddress.ip_address(plan.dns_service_ip)
        except ValueError:
            return [*found, f"The DNS service address {plan.dns_service_ip} is not an IP address."]
        if address not in service:
            found.append(f"The DNS service address {address} is not inside the service range {plan.service_cidr}.")
        elif address == service[1]:
            found.append(f"The DNS service address {address} is the first of the service range, which is for the Kubernetes API: use {service[10]}.")
    return found


def size_faults(plan: Plan) -> list[str]:
    """Subnets that are too small for what they are for."""
    found = []
    for name, text in plan.subnets.items():
        network, _fault = parse(name, text)
        if network is None or network.version != 4:
            continue
        if name == plan.database and network.prefixlen > LARGEST_DATABASE_PREFIX:
            found.append(f"Subnet {name} ({text}) is too small for a Flexible Server: it must be /{LARGEST_DATABASE_PREFIX} or larger.")
        elif name == plan.kubernetes and network.num_addresses < (needed := addresses_needed(plan)):
            nodes = nodes_needed(plan.max_nodes)
            each = f" with {plan.max_pods} pods each" if plan.flat else ""
            found.append(
                f"Subnet {name} ({text}) is too small: it has {network.num_addresses} addresses, and up to {nodes} nodes{each} "
                f"(upgrades included) need {needed}: make it /{smallest_prefix(needed)} or larger, or lower the pools' greatest numbers."
            )
        elif network.prefixlen > 29:
            found.append(f"Subnet {name} ({text}) is too small: Azure's smallest subnet is /29.")
    return found
