"""Kubernetes versions that AKS offers, after its published calendar, and the answers that list them.

A request may give a minor version only (`1.36`, the alias of its newest patch). The API server that stands behind a cluster is a real
one of the emulator's own version: what ARM says and what `kubectl version` says may therefore differ in the minor number.
"""

from __future__ import annotations

import typing as t


class Minor(t.NamedTuple):
    """A minor version: its patches, oldest first. `official` is False once only the long-term support plan covers it."""

    name: str
    patches: list[str]
    official: bool = True
    default: bool = False
    preview: bool = False

    @property
    def plans(self) -> list[str]:
        """Support plans that include it; every version since 1.27 has long-term support."""
        return [*(["KubernetesOfficial"] if self.official else []), "AKSLongTermSupport"]


MINORS: list[Minor] = [
    Minor("1.32", ["1.32.13", "1.32.14"], official=False),
    Minor("1.33", ["1.33.12", "1.33.13"], official=False),
    Minor("1.34", ["1.34.8", "1.34.9"]),
    Minor("1.35", ["1.35.5", "1.35.6"], default=True),
    Minor("1.36", ["1.36.1", "1.36.2"]),
    Minor("1.37", ["1.37.0"]),
]


def default_version() -> str:
    """The minor version of a cluster whose request names none."""
    return next(minor.name for minor in MINORS if minor.default)


def minor_of(version: str) -> Minor | None:
    """The minor version that `1.36` or `1.36.2` belongs to."""
    return next((minor for minor in MINORS if version.split(".")[:2] == minor.name.split(".")), None)


def resolve(version: str) -> str | None:
    """The patch version that a request means: the newest one for an alias, None for what is not offered."""
    minor = minor_of(version)
    if minor is None:
        return None
    if version == minor.name:
        return minor.patches[-1]
    return version if version in minor.patches else None


def order(version: str) -> tuple[int, ...]:
    """Sort key of a version."""
    return tuple(int(part) for part in version.split("."))


def upgrades(current: str) -> list[str]:
    """Patches that a control plane at `current` can be upgraded to: newer ones of its minor and those of the next minor."""
    major, minor = order(current)[:2]
    return [
        patch
        for each in MINORS
        for patch in each.patches
        if order(patch) > order(current) and order(patch)[:2] in ((major, minor), (major, minor + 1))
    ]


def kubernetes_versions() -> dict[str, t.Any]:
    """Body of `locations/{location}/kubernetesVersions`."""
    return {
        "values": [
            {
                "version": minor.name,
                "capabilities": {"supportPlan": minor.plans},
                "patchVersions": {patch: {"upgrades": upgrades(patch)} for patch in minor.patches},
                **({"isDefault": True} if minor.default else {}),
                **({"isPreview": True} if minor.preview else {}),
            }
            for minor in MINORS
        ]
    }


def orchestrators(subscription: str, location: str) -> dict[str, t.Any]:
    """Body of the older `locations/{location}/orchestrators`, which lists patches and has no long-term support."""
    offered = [minor for minor in MINORS if minor.official]
    return {
        "id": f"/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}/orchestrators",
        "name": "default",
        "type": "Microsoft.ContainerService/locations/orchestrators",
        "properties": {
            "orchestrators": [
                {
                    "orchestratorType": "Kubernetes",
                    "orchestratorVersion": patch,
                    **({"default": True} if minor.default and patch == minor.patches[-1] else {}),
                    "upgrades": [{"orchestratorType": "Kubernetes", "orchestratorVersion": newer} for newer in upgrades(patch)],
                }
                for minor in offered
                for patch in minor.patches
            ]
        },
    }
