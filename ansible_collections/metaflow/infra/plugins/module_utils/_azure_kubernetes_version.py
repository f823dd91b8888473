# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes versions as AKS has them: an alias (``1.34``) stands for its newest patch, upgrades go one minor version at a time. Pure."""

from __future__ import annotations

import re
import typing as t

Json = dict[str, t.Any]


def numbers(version: str) -> tuple[int, ...]:
    """``1.34.4`` -> (1, 34, 4), so that versions can be compared."""
    return tuple(map(int, version.split(".")))


def fault(version: str) -> str | None:
    """The sentence for what is no version."""
    return None if re.fullmatch(r"\d+\.\d+(\.\d+)?", version) else f"The Kubernetes version {version} is none: write it as 1.34 or 1.34.4."


def running(cluster: Json) -> tuple[str, str]:
    """What a cluster was asked for and what it runs."""
    properties = cluster.get("properties", {})
    asked = properties.get("kubernetesVersion") or properties.get("currentKubernetesVersion") or "0.0"
    return asked, properties.get("currentKubernetesVersion") or asked


def met(wanted: str, cluster: Json) -> bool:
    """Whether the cluster runs the wanted version: an alias is met by each of its patches, a patch by itself alone."""
    asked, current = running(cluster)
    return wanted in (asked, current) or (wanted.count(".") == 1 and current.startswith(f"{wanted}."))


def upgrade(name: str, wanted: str, cluster: Json, channel: str | None) -> tuple[bool, str | None]:
    """Whether the cluster is to be upgraded, and the sentence for a version that it can't be brought to.

    Where an upgrade channel is on, a newer version than the wanted one is its doing and no fault.
    """
    if met(wanted, cluster):
        return False, None
    _asked, current = running(cluster)
    (major, minor, *dummy), (has_major, has_minor, *dummy) = numbers(wanted), numbers(current)
    if numbers(wanted) < numbers(current):
        if channel not in (None, "none"):
            return False, None
        return False, f"The cluster {name} runs Kubernetes {current} and {wanted} is wanted: AKS can't go back. Nothing was changed."
    if major == has_major and minor - has_minor > 1:
        first = f"{has_major}.{has_minor + 1}"
        return False, f"The cluster {name} runs Kubernetes {current} and {wanted} is wanted: AKS upgrades one minor version at a time, {first} first."
    return True, None


def offer_fault(wanted: str, offered: t.Iterable[Json], location: str) -> str | None:
    """The sentence for a version that a region doesn't offer, from its ``kubernetesVersions``; None for one that it does.

    Versions that only the paid long-term support still covers count as not offered.
    """
    usual = [one for one in offered if "KubernetesOfficial" in ((one.get("capabilities") or {}).get("supportPlan") or ["KubernetesOfficial"])]
    known = {one["version"] for one in usual} | {patch for one in usual for patch in one.get("patchVersions") or ()}
    if not known or wanted in known:
        return None
    choice = ", ".join(sorted((one["version"] for one in usual if not one.get("isPreview")), key=numbers))
    return f"Kubernetes {wanted} is not offered in {location}: choose one of {choice}."
