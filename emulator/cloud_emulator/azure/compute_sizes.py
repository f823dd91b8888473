"""Virtual machine sizes: families, processors, memory, where they are offered, and how much of a quota clusters use."""

from __future__ import annotations

import dataclasses
import typing as t

from .arm import regions
from .arm.manager import ResourceManager
from .arm.resource import Body

CLUSTERS = "Microsoft.ContainerService/managedClusters"
DEFAULT_LIMIT = 100


@dataclasses.dataclass(frozen=True)
class Size:
    """A size, such as Standard_D4s_v5; ``memory`` in GiB."""

    name: str
    family: str
    vcpus: int
    memory: float
    premium: bool = True
    architecture: str = "x64"
    gpus: int = 0
    regions: frozenset[str] = frozenset()

    @property
    def tier(self) -> str:
        """Standard or Basic."""
        return self.name.partition("_")[0]


_LARGE = (2, 4, 8, 16, 32, 48, 64, 96)
#: series: pattern of the name, family, vCPUs, GiB a vCPU, premium disks, architecture
_SERIES: tuple[tuple[str, str, tuple[int, ...], float, bool, str], ...] = (
    ("Standard_D{}_v3", "standardDv3Family", (2, 4, 8, 16, 32, 48, 64), 4, False, "x64"),
    ("Standard_D{}s_v3", "standardDSv3Family", (2, 4, 8, 16, 32, 48, 64), 4, True, "x64"),
    ("Standard_D{}_v4", "standardDv4Family", (2, 4, 8, 16, 32, 48, 64), 4, False, "x64"),
    ("Standard_D{}s_v4", "standardDSv4Family", (2, 4, 8, 16, 32, 48, 64), 4, True, "x64"),
    ("Standard_D{}_v5", "standardDv5Family", _LARGE, 4, False, "x64"),
    ("Standard_D{}s_v5", "standardDSv5Family", _LARGE, 4, True, "x64"),
    ("Standard_D{}ds_v5", "standardDDSv5Family", _LARGE, 4, True, "x64"),
    ("Standard_D{}as_v5", "standardDASv5Family", _LARGE, 4, True, "x64"),
    ("Standard_D{}ps_v5", "standardDPSv5Family", (2, 4, 8, 16, 32, 48, 64), 4, True, "Arm64"),
    ("Standard_D{}s_v6", "standardDsv6Family", _LARGE, 4, True, "x64"),
    ("Standard_D{}ds_v6", "standardDdsv6Family", _LARGE, 4, True, "x64"),
    ("Standard_D{}as_v6", "standardDav6Family", _LARGE, 4, True, "x64"),
    ("Standard_E{}s_v3", "standardESv3Family", (2, 4, 8, 16, 20, 32, 48), 8, True, "x64"),
    ("Standard_E{}s_v5", "standardESv5Family", (2, 4, 8, 16, 20, 32, 48, 64), 8, True, "x64"),
    ("Standard_E{}ds_v5", "standardEDSv5Family", (2, 4, 8, 16, 20, 32, 48, 64), 8, True, "x64"),
    ("Standard_F{}s_v2", "standardFSv2Family", (2, 4, 8, 16, 32, 48, 64, 72), 2, True, "x64"),
    ("Standard_B{}s_v2", "standardBsv2Family", (2, 4, 8, 16, 32), 4, True, "x64"),
    ("Standard_B{}as_v2", "standardBasv2Family", (2, 4, 8, 16, 32), 4, True, "x64"),
)
#: sizes without a pattern: name, family, vCPUs, GiB, premium disks, GPUs
_SINGLE: tuple[tuple[str, str, int, float, bool, int], ...] = (
    ("Standard_D1_v2", "standardDv2Family", 1, 3.5, False, 0),
    ("Standard_D2_v2", "standardDv2Family", 2, 7, False, 0),
    ("Standard_D3_v2", "standardDv2Family", 4, 14, False, 0),
    ("Standard_D4_v2", "standardDv2Family", 8, 28, False, 0),
    ("Standard_D5_v2", "standardDv2Family", 16, 56, False, 0),
    ("Standard_DS1_v2", "standardDSv2Family", 1, 3.5, True, 0),
    ("Standard_DS2_v2", "standardDSv2Family", 2, 7, True, 0),
    ("Standard_DS3_v2", "standardDSv2Family", 4, 14, True, 0),
    ("Standard_DS4_v2", "standardDSv2Family", 8, 28, True, 0),
    ("Standard_A2_v2", "standardAv2Family", 2, 4, False, 0),
    ("Standard_A4_v2", "standardAv2Family", 4, 8, False, 0),
    ("Standard_B1s", "standardBSFamily", 1, 1, True, 0),
    ("Standard_B1ms", "standardBSFamily", 1, 2, True, 0),
    ("Standard_B2s", "standardBSFamily", 2, 4, True, 0),
    ("Standard_B2ms", "standardBSFamily", 2, 8, True, 0),
    ("Standard_B4ms", "standardBSFamily", 4, 16, True, 0),
    ("Standard_B8ms", "standardBSFamily", 8, 32, True, 0),
    ("Standard_NC4as_T4_v3", "Standard NCASv3_T4 Family", 4, 28, True, 1),
    ("Standard_NC8as_T4_v3", "Standard NCASv3_T4 Family", 8, 56, True, 1),
    ("Standard_NC24ads_A100_v4", "StandardNCADSA100v4Family", 24, 220, True, 1),
)
#: regions that a family is in, where that is not everywhere
_ONLY_IN: dict[str, tuple[str, ...]] = {
    "standardDsv6Family": ("eastus", "eastus2", "centralus", "southcentralus", "westus", "westus2", "westus3", "northeurope", "westeurope", "uksouth",
                           "francecentral", "swedencentral", "southeastasia", "japaneast", "australiaeast"),
    "standardDPSv5Family": ("eastus", "eastus2", "centralus", "southcentralus", "westus2", "westus3", "northeurope", "westeurope", "uksouth",
                            "francecentral", "southeastasia", "japaneast", "australiaeast", "centralindia"),
    "Standard NCASv3_T4 Family": ("eastus", "eastus2", "southcentralus", "westus2", "westus3", "westeurope", "northeurope", "uksouth", "japaneast"),
    "StandardNCADSA100v4Family": ("eastus", "eastus2", "southcentralus", "westus3", "westeurope", "swedencentral"),
}  # fmt: skip
_ONLY_IN["standardDdsv6Family"] = _ONLY_IN["standardDav6Family"] = _ONLY_IN["standardDsv6Family"]


def _everywhere(family: str) -> frozenset[str]:
    return frozenset(_ONLY_IN.get(family, tuple(regions.BY_NAME)))


_ALL = [
    *(
        Size(pattern.format(vcpus), family, vcpus, vcpus * ratio, premium, architecture, regions=_everywhere(family))
        for pattern, family, counts, ratio, premium, architecture in _SERIES
        for vcpus in counts
    ),
    *(Size(name, family, vcpus, memory, premium, gpus=gpus, regions=_everywhere(family)) for name, family, vcpus, memory, premium, gpus in _SINGLE),
]
#: every size by its name in lower case
SIZES: dict[str, Size] = {size.name.lower(): size for size in _ALL}
#: families that a new subscription has no quota for
NO_QUOTA = frozenset({"standard ncasv3_t4 family", "standardncadsa100v4family"})


def find(name: str) -> Size | None:
    """A size by its name in any case."""
    return SIZES.get(name.lower())


def restricted(manager: ResourceManager, size: Size, location: str) -> bool:
    """Whether the subscription may not use a size in a region: the setting limits.restricted.{size} or limits.restricted.{region}.{size}."""
    setting = manager.emulator.settings.get
    return any(setting(f"limits.restricted.{name}") for name in (size.name, f"{location}.{size.name}"))


def limit(manager: ResourceManager, location: str, name: str) -> int:
    """vCPUs that the subscription may use in a region, of a family or (``cores``) in all; the setting quotas.{region}.{name} or quotas.{name}."""
    settings = {key.lower(): value for key, value in manager.emulator.settings.all().items()}
    for key in (f"quotas.{location}.{name}", f"quotas.{name}"):
        if key.lower() in settings:
            return int(settings[key.lower()])
    return 0 if name.lower() in NO_QUOTA else DEFAULT_LIMIT


def used(manager: ResourceManager, location: str) -> dict[str, int]:
    """vCPUs in use in a region by family (as SIZES spells it), and ``cores`` in all: those of the clusters' running pools."""
    found: dict[str, int] = {"cores": 0}
    for cluster in manager.find(CLUSTERS):
        if cluster.location != location:
            continue
        for pool in _pools(manager, cluster.id, cluster.properties):
            size = find(str(pool.get("vmSize", "")))
            if size is not None and (pool.get("powerState") or {}).get("code") != "Stopped":
                cores = size.vcpus * int(pool.get("count") or 0)
                found[size.family] = found.get(size.family, 0) + cores
                found["cores"] += cores
    return found


def _pools(manager: ResourceManager, cluster_id: str, properties: Body) -> t.Iterable[Body]:
    """Pools of a cluster, each once, whether they are kept as resources or in the cluster's profile."""
    inline = {str(pool.get("name")): pool for pool in properties.get("agentPoolProfiles") or []}
    own = {record.name: record.properties for record in manager.children(cluster_id, f"{CLUSTERS}/agentPools")}
    return {**inline, **own}.values()
