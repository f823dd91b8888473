# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual machine sizes a subscription can have in a region, decided from what Azure says.

Facts come from two calls, ``Microsoft.Compute/skus`` (what exists, its family, zones and restrictions) and
``locations/<region>/usages`` (vCPUs in use and allowed, for each family and for ``cores``, all families together).
A machine must fit both quota rows. What Azure doesn't tell is not held against a size.
"""

from __future__ import annotations

import dataclasses
import typing as t

Json = dict[str, t.Any]

RESTRICTIONS = {
    "NotAvailableForSubscription": "is not offered to this subscription in {location}: ask Azure support for access, or take another size",
    "QuotaId": "is not offered to this kind of subscription in {location}: take another size",
}


def normalized(location: str) -> str:
    """A region's name as ids carry it (``West US 2`` -> ``westus2``)."""
    return location.replace(" ", "").lower()


@dataclasses.dataclass(frozen=True)
class Size:
    """One size as a region offers it; ``restriction`` is the reason code why this subscription can't have it, or empty."""

    name: str
    family: str
    vcpus: int
    memory_gib: float
    zones: frozenset[str]
    restriction: str = ""


@dataclasses.dataclass(frozen=True)
class Wish:
    """Machines that a pool wants: sizes in order of preference, how many at once to begin with, and in which zones."""

    sizes: tuple[str, ...]
    count: int = 1
    zones: frozenset[str] = frozenset()
    least_vcpus: int = 2


@dataclasses.dataclass(frozen=True)
class Quota:
    """vCPUs in use and allowed by quota row (lower-case name: a family, or ``cores``)."""

    rows: t.Mapping[str, tuple[int, int]]

    def shortage(self, size: Size, count: int) -> str | None:
        """The sentence part that says which row is too small for so many machines, and what limit to ask for; None where they fit."""
        needed = size.vcpus * count
        for row, what in ((size.family.lower(), f"quota {size.family}"), ("cores", "quota cores (Total Regional vCPUs)")):
            used, limit = self.rows.get(row, (0, needed))
            if used + needed > limit:
                return f"{what} has {max(limit - used, 0)} of {limit} vCPUs left and {needed} are needed: request a limit of at least {used + needed}"
        return None

    def less(self, size: Size, count: int) -> Quota:
        """What is left for others once these machines run."""
        taken = {size.family.lower(), "cores"} & self.rows.keys()
        return Quota({**self.rows, **{row: (self.rows[row][0] + size.vcpus * count, self.rows[row][1]) for row in taken}})


@dataclasses.dataclass(frozen=True)
class Choice:
    """The sizes that can be had, best first, and why each of the others can't: (size, reason)."""

    usable: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def sizes_of(skus: t.Iterable[Json], location: str) -> dict[str, Size]:
    """The region's machine sizes by lower-case name, from ``Microsoft.Compute/skus``."""
    here = normalized(location)
    sizes = {}
    for sku in skus:
        if sku.get("resourceType") != "virtualMachines" or here not in map(normalized, sku.get("locations") or ()):
            continue
        zones = {zone for info in sku.get("locationInfo") or () if normalized(info.get("location", "")) == here for zone in info.get("zones") or ()}
        restriction = ""
        for rule in sku.get("restrictions") or ():
            if rule.get("type") == "Zone":
                zones -= set((rule.get("restrictionInfo") or {}).get("zones") or ())
            elif here in map(normalized, rule.get("values") or ()):
                restriction = rule.get("reasonCode") or "NotAvailableForSubscription"
        facts = {fact["name"]: fact["value"] for fact in sku.get("capabilities") or ()}
        sizes[sku["name"].lower()] = Size(
            sku["name"], sku.get("family") or "", int(facts.get("vCPUs") or 0), float(facts.get("MemoryGB") or 0), frozenset(zones), restriction
        )
    return sizes


def quota_of(usages: t.Iterable[Json]) -> Quota:
    """Quota rows from ``Microsoft.Compute/locations/<region>/usages``."""
    return Quota({row["name"]["value"].lower(): (int(row["currentValue"]), int(row["limit"])) for row in usages})


def refusal(name: str, wish: Wish, sizes: t.Mapping[str, Size], quota: Quota, location: str) -> str | None:
    """Why this size can't be had here and now, as the rest of a sentence that starts with its name; None where it can."""
    size = sizes.get(name.lower())
    if size is None:
        return f"does not exist in {location}"
    if size.restriction:
        return RESTRICTIONS.get(size.restriction, "is restricted in {location} (" + size.restriction + ")").format(location=location)
    if 0 < size.vcpus < wish.least_vcpus:
        return f"has {size.vcpus} vCPU and Kubernetes nodes need at least {wish.least_vcpus}"
    missing = sorted(wish.zones - size.zones)
    if missing:
        return f"is not offered in zone {', '.join(missing)} of {location}"
    return quota.shortage(size, wish.count)


def choose(wish: Wish, sizes: t.Mapping[str, Size], quota: Quota, location: str) -> Choice:
    """Sort the wished sizes into those that can be had (in the wished order) and those that can't (with the reason)."""
    reasons = {name: refusal(name, wish, sizes, quota, location) for name in wish.sizes}
    return Choice(
        tuple(name for name, reason in reasons.items() if reason is None),
        tuple((name, reason) for name, reason in reasons.items() if reason is not None),
    )


def nothing_fits(what: str, location: str, refused: t.Iterable[tuple[str, str]]) -> str:
    """The one sentence for a pool that can't have any of its sizes."""
    return f"No VM size of the list can be had for {what} in {location}: " + "; ".join(f"{name} {reason}" for name, reason in refused) + "."
