"""Microsoft.Compute: what sizes there are, which of them the subscription may use, and how much of its quota is left."""

from __future__ import annotations

import re

from . import compute_sizes as sizes
from .arm import regions
from .arm.app import VERSIONS
from .arm.errors import ArmError
from .arm.resource import Body, Call, Provider, Route

#: rows of the usages list that count no processors: name, text, limit
_COUNTS = (
    ("availabilitySets", "Availability Sets", 2500),
    ("virtualMachines", "Virtual Machines", 25000),
    ("virtualMachineScaleSets", "Virtual Machine Scale Sets", 2500),
)


async def skus(call: Call) -> Body:
    """Every size of every region, or of the one that the filter names."""
    wanted = call.query.get("$filter", "")
    match = re.fullmatch(r"\s*location eq '([^']*)'\s*", wanted)
    if wanted and match is None:
        raise ArmError(400, "InvalidParameter", f"The filter '{wanted}' is not supported; only 'location' can be filtered by.")
    only = regions.normal(match[1]) if match else None
    rows = [_sku(call, size, region) for region in regions.REGIONS if only in (None, region.name) for size in _offered(region.name)]
    return {"value": rows}


def _offered(location: str) -> list[sizes.Size]:
    return [size for size in sizes.SIZES.values() if location in size.regions]


def _sku(call: Call, size: sizes.Size, region: regions.Region) -> Body:
    zones = ["1", "2", "3"] if region.zones else []
    restrictions = []
    if sizes.restricted(call.manager, size, region.name):
        reason = {"reasonCode": "NotAvailableForSubscription", "values": [region.name]}
        restrictions = [{"type": "Location", **reason, "restrictionInfo": {"locations": [region.name]}}]
        if zones:
            info = {"locations": [region.name], "zones": zones}
            restrictions.append({"type": "Zone", "values": [region.name], "reasonCode": "NotAvailableForSubscription", "restrictionInfo": info})
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": size.tier,
        "size": size.name.partition("_")[2],
        "family": size.family,
        "locations": [region.name],
        "locationInfo": [{"location": region.name, "zones": zones, "zoneDetails": []}],
        "capabilities": [{"name": name, "value": value} for name, value in _capabilities(size).items()],
        "restrictions": restrictions,
    }


def _capabilities(size: sizes.Size) -> dict[str, str]:
    return {
        "MaxResourceVolumeMB": "0" if "ds" not in size.name else str(size.vcpus * 38400),
        "OSVhdSizeMB": "1047552",
        "vCPUs": str(size.vcpus),
        "HyperVGenerations": "V2" if size.architecture == "Arm64" else "V1,V2",
        "MemoryGB": f"{size.memory:g}",
        "MaxDataDiskCount": str(min(32, max(2, size.vcpus * 2))),
        "CpuArchitectureType": size.architecture,
        "LowPriorityCapable": str(not size.family.startswith("standardB")),
        "PremiumIO": str(size.premium),
        "VMDeploymentTypes": "IaaS",
        "vCPUsAvailable": str(size.vcpus),
        "vCPUsPerCore": "1" if size.architecture == "Arm64" else "2",
        **({"GPUs": str(size.gpus)} if size.gpus else {}),
        "EphemeralOSDiskSupported": str("ds" in size.name),
        "EncryptionAtHostSupported": "True",
        "AcceleratedNetworkingEnabled": str(size.vcpus >= 2),
        "RdmaEnabled": "False",
        "MaxNetworkInterfaces": str(min(8, max(2, size.vcpus // 2))),
    }


async def usages(call: Call) -> Body:
    """What the subscription uses of its quota in a region: all processors, and those of each family."""
    location = _location(call, "locations/usages")
    used = sizes.used(call.manager, location)
    counts = [_usage(name, text, 0, limit) for name, text, limit in _COUNTS]
    rows = [_usage("cores", "Total Regional vCPUs", used["cores"], sizes.limit(call.manager, location, "cores"))]
    for family in sorted({size.family for size in _offered(location)}):
        text = re.sub(r"(?i)^standard(.*)Family$", r"Standard \1 Family vCPUs", family)
        rows.append(_usage(family, text, used.get(family, 0), sizes.limit(call.manager, location, family)))
    return {"value": [counts[0], rows[0], *counts[1:], *rows[1:]]}


def _usage(name: str, text: str, current: int, limit: int) -> Body:
    return {"limit": limit, "unit": "Count", "currentValue": current, "name": {"value": name, "localizedValue": text}}


async def vm_sizes(call: Call) -> Body:
    """Sizes of a region in the old form, without restrictions."""
    location = _location(call, "locations/vmSizes")
    rows = [
        {
            "name": size.name,
            "numberOfCores": size.vcpus,
            "osDiskSizeInMB": 1047552,
            "resourceDiskSizeInMB": 0,
            "memoryInMB": int(size.memory * 1024),
            "maxDataDiskCount": min(32, max(2, size.vcpus * 2)),
        }
        for size in _offered(location)
    ]
    return {"value": rows}


def _location(call: Call, kind: str) -> str:
    location = regions.normal(call.parameters["location"])
    if location not in regions.BY_NAME:
        message = (
            f"No registered resource provider found for location '{call.parameters['location']}' and API version '{call.api_version}' "
            f"for type '{kind}'. "
            f"The supported api-versions are '{', '.join(VERSIONS)}'. The supported locations are '{', '.join(regions.BY_NAME)}'."
        )
        raise ArmError(400, "NoRegisteredProviderFound", message)
    return location


_PATH = "/subscriptions/{subscription}/providers/Microsoft.Compute"
PROVIDER = Provider(
    "Microsoft.Compute",
    routes=[
        Route("GET", f"{_PATH}/skus", skus, "Microsoft.Compute/skus/read"),
        Route("GET", f"{_PATH}/locations/{{location}}/usages", usages, "Microsoft.Compute/locations/usages/read"),
        Route("GET", f"{_PATH}/locations/{{location}}/vmSizes", vm_sizes, "Microsoft.Compute/locations/vmSizes/read"),
    ],
)
