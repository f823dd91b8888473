"""What Flexible Server offers in a region: editions, compute sizes, storage steps, versions.

The shape is that of `GET …/locations/{location}/capabilities`; the figures follow the service's published compute and storage
pages. Everything that validates a request asks here, so that an answer to `capabilities` and a refusal can't contradict each other.
"""

from __future__ import annotations

import re
import typing as t


class Sku(t.NamedTuple):
    """A compute size; memory in GiB."""

    name: str
    tier: str
    cores: int
    memory: float

    @property
    def family(self) -> str:
        """Series by which the subscription's quota is counted, such as standardDDSv5Family."""
        match = re.fullmatch(r"Standard_([A-Z])\d+([a-z]*?)(?:_(v\d))?", self.name)
        assert match is not None
        return "standardBSFamily" if self.tier == "Burstable" else f"standard{match[1]}{match[2].upper()}{match[3]}Family"

    @property
    def high_availability(self) -> list[str]:
        """Burstable servers have no standby."""
        return [] if self.tier == "Burstable" else ["SameZone", "ZoneRedundant"]


class Disk(t.NamedTuple):
    """A step of Premium_LRS storage: size in GiB and the performance tier that belongs to it."""

    size: int
    tier: str
    iops: int


def _series(tier: str, pattern: str, sizes: t.Iterable[int], gib_per_core: int) -> list[Sku]:
    return [Sku(pattern.format(cores), tier, cores, cores * gib_per_core) for cores in sizes]


_LARGE = (2, 4, 8, 16, 32, 48, 64)
SKUS: dict[str, Sku] = {
    sku.name.lower(): sku
    for sku in [
        Sku("Standard_B1ms", "Burstable", 1, 2),
        Sku("Standard_B2s", "Burstable", 2, 4),
        Sku("Standard_B2ms", "Burstable", 2, 8),
        *_series("Burstable", "Standard_B{}ms", (4, 8, 12, 16, 20), 4),
        *_series("GeneralPurpose", "Standard_D{}s_v3", _LARGE, 4),
        *_series("GeneralPurpose", "Standard_D{}ds_v4", _LARGE, 4),
        *_series("GeneralPurpose", "Standard_D{}ds_v5", (*_LARGE, 96), 4),
        *_series("GeneralPurpose", "Standard_D{}ads_v5", (*_LARGE, 96), 4),
        *_series("MemoryOptimized", "Standard_E{}s_v3", _LARGE, 8),
        *_series("MemoryOptimized", "Standard_E{}ds_v4", (2, 4, 8, 16, 20, 32, 48, 64), 8),
        *_series("MemoryOptimized", "Standard_E{}ds_v5", (2, 4, 8, 16, 20, 32, 48, 64, 96), 8),
        *_series("MemoryOptimized", "Standard_E{}ads_v5", (2, 4, 8, 16, 20, 32, 48, 64, 96), 8),
    ]
}
FAMILIES: list[str] = list(dict.fromkeys(sku.family for sku in SKUS.values()))
DISKS: list[Disk] = [
    Disk(32, "P4", 120),
    Disk(64, "P6", 240),
    Disk(128, "P10", 500),
    Disk(256, "P15", 1100),
    Disk(512, "P20", 2300),
    Disk(1024, "P30", 5000),
    Disk(2048, "P40", 7500),
    Disk(4096, "P50", 7500),
    Disk(8192, "P60", 16000),
    Disk(16384, "P70", 18000),
    Disk(32767, "P80", 20000),
]
_DEFAULT_SKUS = {"Burstable": "Standard_B1ms", "GeneralPurpose": "Standard_D2ds_v5", "MemoryOptimized": "Standard_E2ds_v5"}
MINOR_VERSIONS = {"13": "23", "14": "20", "15": "15", "16": "11", "17": "7", "18": "1"}
CREATABLE_VERSIONS = ["14", "15", "16", "17", "18"]  # 11 to 13 are retired: no new servers
FEATURES = {
    "OfferRestricted": False,
    "FastProvisioning": False,
    "GeoBackup": True,
    "OnlineResize": True,
    "StorageAutoGrowth": True,
    "ZoneRedundantHa": True,
    "ZoneRedundantHaAndGeoBackup": True,
}
ZONES = ["1", "2", "3"]


def sku(name: str) -> Sku | None:
    """The compute size of that name, in any case."""
    return SKUS.get(name.lower())


def disk_of_size(gib: int) -> Disk | None:
    """The storage step of exactly that size."""
    return next((disk for disk in DISKS if disk.size == gib), None)


def disk_of_tier(tier: str) -> Disk | None:
    """The storage step whose performance tier has that name."""
    return next((disk for disk in DISKS if disk.tier == tier), None)


def upgrades(version: str) -> list[str]:
    """Major versions that a server of this one can be upgraded to."""
    return [other for other in MINOR_VERSIONS if int(other) > int(version)]


def capabilities(*, restricted: bool, versions: list[str] | None = None) -> dict[str, t.Any]:
    """Body of the one element of `capabilities`; `restricted` is an offer restriction of the subscription in this region."""
    return {
        "name": "FlexibleServerCapabilities",
        "supportedServerEditions": [] if restricted else [_edition(tier) for tier in _DEFAULT_SKUS],
        "supportedServerVersions": [_version(name) for name in (CREATABLE_VERSIONS if versions is None else versions)] if not restricted else [],
        "supportedFeatures": [
            {"name": name, "status": "Enabled" if (restricted if name == "OfferRestricted" else enabled) else "Disabled"}
            for name, enabled in FEATURES.items()
        ],
        "fastProvisioningSupported": "Disabled",
        "supportedFastProvisioningEditions": [],
        "geoBackupSupported": "Enabled",
        "zoneRedundantHaSupported": "Enabled",
        "zoneRedundantHaAndGeoBackupSupported": "Enabled",
        "storageAutoGrowthSupported": "Enabled",
        "onlineResizeSupported": "Enabled",
        "restricted": "Enabled" if restricted else "Disabled",
    } | ({"reason": "Subscriptions are restricted from provisioning in this region. Please choose a different region."} if restricted else {})


def _edition(tier: str) -> dict[str, t.Any]:
    return {
        "name": tier,
        "defaultSkuName": _DEFAULT_SKUS[tier],
        "supportedStorageEditions": [
            {"name": "ManagedDisk", "defaultStorageSizeMb": DISKS[0].size * 1024, "supportedStorageMb": [_storage(disk) for disk in DISKS]}
        ],
        "supportedServerSkus": [
            {
                "name": sku.name,
                "vCores": sku.cores,
                "supportedIops": 20000 if tier != "Burstable" else min(sku.cores * 640, 4320),
                "supportedMemoryPerVcoreMb": int(sku.memory * 1024 / sku.cores),
                "supportedZones": ZONES,
                "supportedHaMode": sku.high_availability,
                "supportedFeatures": [],
                "securityProfile": "none",
            }
            for sku in SKUS.values()
            if sku.tier == tier
        ],
    }


def _storage(disk: Disk) -> dict[str, t.Any]:
    return {
        "supportedIops": disk.iops,
        "storageSizeMb": disk.size * 1024,
        "defaultIopsTier": disk.tier,
        "supportedIopsTiers": [{"name": other.tier, "iops": other.iops} for other in DISKS if other.size >= disk.size],
    }


def _version(name: str) -> dict[str, t.Any]:
    return {"name": name, "supportedVersionsToUpgrade": upgrades(name), "supportedFeatures": []}
