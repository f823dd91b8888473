"""Which machine sizes a pool may have, and whether the subscription's quota is enough for it."""

from __future__ import annotations

import json
import typing as t
import uuid

from . import compute_sizes
from .arm.resource import Body, Record
from .compute_sizes import Size, find
from .container_service_network import refusal

if t.TYPE_CHECKING:
    from .arm.errors import ArmError
    from .arm.manager import ResourceManager

QUOTA_PAGE = "https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView"
TARGET = "agentPoolProfile.vmSize"


class Minimum(t.NamedTuple):
    """The least that a machine of a pool must have; memory in GiB."""

    cores: int
    memory: float


def check_size(manager: ResourceManager, name: str, location: str, mode: str, minimum: Minimum) -> None:
    """Raise ArmError for a size that is unknown, not offered to the subscription in the region, or too small."""
    size = find(name)
    if size is None or location not in size.regions or compute_sizes.restricted(manager, size, location):
        usable = [
            each.name.lower()
            for each in compute_sizes.SIZES.values()
            if location in each.regions and not compute_sizes.restricted(manager, each, location) and each.vcpus >= minimum.cores
        ]
        message = (
            f"The VM size of {name} is not allowed in your subscription in location '{location}'. The available VM sizes are '{','.join(usable)}'"
        )
        raise refusal("VMSizeNotSupported", message, TARGET)
    if size.vcpus < minimum.cores or size.memory < minimum.memory:
        code = "SystemPoolSkuTooLow" if mode == "System" else "AgentPoolSkuTooLow"
        message = (
            f"The VM size {size.name} is not supported for {mode.lower()} agent pools: "
            f"at least {minimum.cores} vCPUs and {minimum.memory:g} GB of memory are needed."
        )
        raise refusal(code, message, TARGET)


def check_cluster_quota(manager: ResourceManager, pools: list[tuple[Body, Record | None]], location: str) -> None:
    """Raise ArmError where a cluster's new machines don't fit the quota; each entry is a whole pool and its record where it is there."""
    needed: dict[str, int] = {}
    for pool, before in pools:
        for family, cores in _needed(pool, before).items():
            needed[family] = needed.get(family, 0) + cores
    for family, cores in needed.items():
        left = _left(manager, location, family)
        if cores > left:
            message = (
                f"Insufficient vcpu quota requested {cores}, remaining {left} for family {family} for region {location}. "
                f"If you want to increase the quota, please follow this instruction: {QUOTA_PAGE}. Surge nodes would also consume vcpu quota."
            )
            raise refusal("ErrCode_InsufficientVCPUQuota", message)
    _check_region(manager, sum(needed.values()), location)


def check_pool_quota(manager: ResourceManager, name: str, pool: Body, before: Record | None, location: str) -> None:
    """Raise ArmError where a pool's new machines don't fit the quota: of its family as Compute words it, of the region as AKS does."""
    for family, cores in _needed(pool, before).items():
        limit, used = compute_sizes.limit(manager, location, family), compute_sizes.used(manager, location).get(family, 0)
        if used + cores > limit:
            raise _exceeded(name, family, location, limit=limit, used=used, cores=cores)
        _check_region(manager, cores, location)


def _check_region(manager: ResourceManager, cores: int, location: str) -> None:
    left = _left(manager, location, "cores")
    if cores > left:
        message = (
            f"Insufficient regional vcpu quota left for location {location}. left regional vcpu quota {left}, requested quota {cores}. "
            f"If you want to increase the quota, please follow this instruction: {QUOTA_PAGE}"
        )
        raise refusal("ErrCode_InsufficientVCPUQuota", message)


def _exceeded(name: str, family: str, location: str, *, limit: int, used: int, cores: int) -> ArmError:
    """The failed validation of the template that AKS deploys a pool with: JSON inside of a message."""
    inner = (
        f"Operation could not be completed as it results in exceeding approved {family} Cores quota. Additional details - Deployment Model: "
        f"Resource Manager, Location: {location}, Current Limit: {limit}, Current Usage: {used}, Additional Required: {cores}, "
        f"(Minimum) New Limit Required: {used + cores}. Submit a request for Quota increase at {QUOTA_PAGE} by specifying parameters listed in the "
        "'Details' section for deployment to succeed. Please read more about quota limits at "
        "https://docs.microsoft.com/en-us/azure/azure-supportability/per-vm-quota-requests"
    )
    tracking = str(uuid.uuid4())
    deployment = {
        "code": "InvalidTemplateDeployment",
        "message": f"The template deployment '{uuid.uuid4()}' is not valid according to the validation procedure. The tracking id is '{tracking}'. "
        "See inner errors for details.",
        "details": [{"code": "QuotaExceeded", "message": inner}],
    }
    return refusal("PreconditionFailed", f"Provisioning of resource(s) for Agent Pool {name} failed. Error: {json.dumps(deployment)}")


def _needed(pool: Body, before: Record | None) -> dict[str, int]:
    """Further cores that a pool needs, by family."""
    size = find(pool["vmSize"])
    there = before.properties["count"] if before else 0
    return {size.family: size.vcpus * max(0, pool["count"] - there)} if size else {}


def _left(manager: ResourceManager, location: str, name: str) -> int:
    return max(0, compute_sizes.limit(manager, location, name) - compute_sizes.used(manager, location).get(name, 0))


__all__ = ["Minimum", "Size", "check_cluster_quota", "check_pool_quota", "check_size", "find"]
