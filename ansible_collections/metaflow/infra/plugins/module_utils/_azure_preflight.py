# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack needs of Azure, held against what Azure says, before anything is made. Pure: each fault is one sentence.

What Azure would not say (None) is held against nothing.
"""

from __future__ import annotations

import difflib
import typing as t

from ._azure_addresses import FLAT_MAX_PODS, Plan
from ._azure_addresses import faults as address_faults
from ._azure_compute import Wish, normalized, nothing_fits
from ._azure_kubernetes_version import fault as version_fault
from ._azure_kubernetes_version import offer_fault as kubernetes_fault
from ._azure_machines import Offer
from ._azure_names import fault as name_fault
from ._azure_postgresql import limits
from ._azure_postgresql import offer_fault as postgresql_fault

Json = dict[str, t.Any]

# Namespace -> the type that must be offered in the region.
TYPES: t.Final = {
    "Microsoft.ContainerService": "managedClusters",
    "Microsoft.DBforPostgreSQL": "flexibleServers",
    "Microsoft.Storage": "storageAccounts",
}


def dig(value: t.Any, *path: str) -> t.Any:
    """The value deep in a dictionary, None where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def input_faults(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options by themselves: names, address ranges, versions."""
    named = [
        ("postgresql_server", dig(params, "postgresql", "server_name")),
        ("storage_account", dig(params, "storage_account", "name")),
        ("cluster", dig(params, "cluster", "name")),
        *(("node_pool", name) for name in (dig(params, "cluster", "pools") or {}).values()),
    ]
    found = [sentence for kind, name in named if name and (sentence := name_fault(kind, name))]
    found += address_faults(addresses(params))
    if (version := params.get("kubernetes_version")) and (sentence := version_fault(version)):
        found.append(sentence)
    return found


def addresses(params: t.Mapping[str, t.Any]) -> Plan:
    """The ranges as `_azure_addresses` looks at them; an empty text is no range."""
    flat = bool(params.get("flat_network"))
    return Plan(
        address_space=tuple(params.get("address_space") or ()),
        subnets={name: text for name, text in (params.get("subnets") or {}).items() if text},
        database=params.get("database_subnet"),
        kubernetes=params.get("kubernetes_subnet"),
        service_cidr=params.get("service_cidr") or None,
        pod_cidr=params.get("pod_cidr") or None,
        dns_service_ip=params.get("dns_service_ip") or None,
        max_nodes=tuple(params.get("max_nodes") or ()),
        max_pods=params.get("max_pods") or FLAT_MAX_PODS,
        flat=flat,
    )


def region_fault(location: str, regions: t.Sequence[Json] | None) -> str | None:
    """The sentence for a region that the subscription doesn't have, with those that are spelled like it."""
    names = sorted(region["name"] for region in regions or ())
    if not names or normalized(location) in names:
        return None
    like = difflib.get_close_matches(normalized(location), names, n=3)
    return f"{location} is no Azure region of this subscription{': did you mean ' + ', '.join(like) + '?' if like else '.'}"


def type_faults(location: str, regions: t.Sequence[Json] | None, providers: t.Mapping[str, Json | None]) -> list[str]:
    """One sentence for each service that the region doesn't have. Providers name regions as they are displayed (``West US 2``)."""
    found = []
    for namespace, provider in providers.items():
        kind = TYPES[namespace]
        known = next((one for one in (provider or {}).get("resourceTypes") or () if one["resourceType"].lower() == kind.lower()), None)
        places = {normalized(place) for place in (known or {}).get("locations") or ()}
        shown = {normalized(region.get("displayName") or "") for region in regions or () if region["name"] == normalized(location)}
        if places and not places & (shown | {normalized(location)}):
            found.append(f"{namespace}/{kind} is not offered in {location}: choose another region.")
    return found


def choose_sizes(wishes: t.Mapping[str, Wish], running: t.Mapping[str, str], offer: Offer | None) -> tuple[dict[str, list[str]], list[str]]:
    """The usable sizes of each pool, best first, and the faults. Pools share the quotas, so what one takes is gone for the next.

    ``running`` has the size of each pool that exists: it stays, and needs no quota.
    """
    usable: dict[str, list[str]] = {}
    found = []
    for pool, wish in wishes.items():
        if pool in running:
            usable[pool] = [running[pool]]
            continue
        if offer is None:
            usable[pool] = list(wish.sizes)
            continue
        choice = offer.choose(wish)
        usable[pool] = list(choice.usable)
        if not choice.usable:
            found.append(nothing_fits(f"the pool {pool} ({wish.count} node{'s' if wish.count > 1 else ''})", offer.location, choice.refused))
        else:
            offer = offer.less(choice.usable[0], wish.count)
    return usable, found


def taken(what: str, name: str, answer: Json | None, hint: str) -> str | None:
    """The sentence for a name that somebody else has, from ``checkNameAvailability``."""
    if answer is None or answer.get("nameAvailable") is not False:
        return None
    message = (answer.get("message") or "").strip().rstrip(".")
    return f"The name {name} of the {what} can't be had{': ' + message if message else ''}. {hint}"


def postgresql_faults(location: str, wanted: t.Mapping[str, t.Any], capabilities: t.Sequence[Json] | None, name: Json | None) -> list[str]:
    """What stands against a new server: the region's offer, and its name."""
    sku, hint = wanted.get("sku") or {}, "It must be unique in all of Azure: choose another org_prefix or stack, or set the server's name."
    found = [
        None if capabilities is None else postgresql_fault(capabilities, location, wanted.get("version"), sku.get("name")),
        taken("PostgreSQL server", wanted["server_name"], name, hint) if wanted.get("server_name") else None,
    ]
    return [sentence for sentence in found if sentence]


def storage_faults(wanted: t.Mapping[str, t.Any], name: Json | None) -> list[str]:
    """What stands against a new storage account: its name."""
    hint = "It must be unique in all of Azure: choose another org_prefix or stack, or set the account's name."
    found = taken("storage account", wanted["name"], name, hint)
    return [found] if found else []


def version_faults(location: str, version: str | None, offered: t.Sequence[Json] | None) -> list[str]:
    """What stands against the Kubernetes version of a new cluster."""
    found = kubernetes_fault(version, offered, location) if version and offered else None
    return [found] if found else []


def standing_faults(location: str, version: str | None, standing: t.Mapping[str, Json | None]) -> list[str]:
    """What stands against going on with things that exist: they are elsewhere, or the server is newer."""
    found = [
        f"The {what} {live['name']} exists in {live['location']} and is wanted in {location}: Azure can't move it. It was left alone."
        for what, live in standing.items()
        if live and normalized(live["location"]) != normalized(location)
    ]
    server = standing.get("server")
    if server and version and (sentence := limits(server["name"], {"properties": {"version": version}}, server)):
        found.append(sentence)
    return found


def running_pools(cluster: Json | None, names: t.Mapping[str, str]) -> dict[str, str]:
    """The machine size of each pool that exists and isn't failed, by the key it has in vm_sizes; ``names`` are the pools' names by that key."""
    pools = {pool["name"]: pool for pool in dig(cluster, "properties", "agentPoolProfiles") or ()}
    found = {key: pools[name] for key, name in names.items() if name in pools}
    return {key: pool["vmSize"] for key, pool in found.items() if pool.get("provisioningState") not in ("Failed", "Canceled")}
