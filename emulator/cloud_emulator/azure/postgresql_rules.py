"""What Flexible Server refuses about a server's own properties, in the service's words; network rules are in `postgresql_network`."""

from __future__ import annotations

import datetime
import re
import typing as t

from . import postgresql_capabilities as capabilities
from .arm.errors import ArmError

Body = dict[str, t.Any]

BLOCKED_LOGINS = {"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public", "replication"}
RETENTION_DAYS = range(7, 36)
#: modes that make a server out of another one's backup or log
COPYING_MODES = {"PointInTimeRestore", "GeoRestore", "Replica", "ReviveDropped"}


def invalid(parameter: str, value: t.Any) -> ArmError:
    """400 of a value that the service doesn't take."""
    return ArmError(
        400, "InvalidParameterValue", f"Invalid value given for parameter {parameter}. Specify a valid parameter value.", target=str(value)
    )


def out_of_range(parameter: str, allowed: t.Iterable[str]) -> ArmError:
    """400 of a value that is not in the region's capabilities."""
    return ArmError(400, "ParameterOutOfRange", f"The value of the '{parameter}' should be in: [{','.join(allowed)}].")


def check_server(body: Body, before: Body | None) -> None:
    """Raise ArmError for a server that can't be created so (`before` is None) or changed to this from `before`."""
    properties: Body = body.get("properties") or {}
    earlier: Body = (before or {}).get("properties") or {}
    _check_mode(properties, before)
    _check_version(properties.get("version"), earlier.get("version"))
    sku = _check_sku(body.get("sku") or {})
    _check_storage(properties.get("storage") or {}, earlier.get("storage") or {})
    _check_high_availability(properties.get("highAvailability") or {}, sku)
    _check_backup(properties.get("backup") or {})
    zone = properties.get("availabilityZone")
    if zone and zone not in capabilities.ZONES:
        raise ArmError(400, "AvailabilityZoneNotAvailable", f"Specified availability zone '{zone}' is not supported in this region.")
    if before is None:
        _check_administrator(properties)
    elif properties.get("administratorLoginPassword") is not None:
        check_password(properties["administratorLoginPassword"], earlier.get("administratorLogin", ""))


def _check_mode(properties: Body, before: Body | None) -> None:
    mode = properties.get("createMode")
    if mode in COPYING_MODES:
        raise ArmError(400, "FeatureNotSupported", f"createMode {mode} needs backups of another server, which the emulator does not keep.")
    if mode == "Update" and before is None:
        raise ArmError(404, "ServerNotFound", "The requested server was not found.")


def _check_version(version: str | None, earlier: str | None) -> None:
    if version is None or version == earlier:
        return
    if earlier is None and version not in capabilities.CREATABLE_VERSIONS:
        raise out_of_range("Version", capabilities.CREATABLE_VERSIONS)
    if earlier is not None and version not in capabilities.upgrades(earlier):
        raise ArmError(400, "VersionUpgradeNotSupported", f"Major version upgrade from {earlier} to {version} is not supported.")


def _check_sku(sku: Body) -> capabilities.Sku | None:
    if not sku:
        return None
    known = capabilities.sku(sku["name"])
    if known is None or known.tier != sku["tier"]:
        message = f"Specified SKU is not supported in this region: name '{sku['name']}', tier '{sku['tier']}'."
        raise ArmError(400, "SkuNotAvailable" if known is None else "InvalidSku", message)
    return known


def _check_storage(storage: Body, earlier: Body) -> None:
    size, before = storage.get("storageSizeGB"), earlier.get("storageSizeGB")
    if storage.get("type") in ("PremiumV2_LRS", "UltraSSD_LRS"):
        raise ArmError(400, "FeatureNotSupported", f"Storage type {storage['type']} is not offered in this region.")
    if size is not None and capabilities.disk_of_size(size) is None:
        raise out_of_range("StorageSizeGB", [str(disk.size) for disk in capabilities.DISKS])
    if size is not None and before is not None and size < before:
        raise ArmError(400, "StorageSizeShrinkNotAllowed", f"Storage size can't be reduced from {before} GB to {size} GB.")
    tier = capabilities.disk_of_tier(storage["tier"]) if storage.get("tier") else None
    lowest = capabilities.disk_of_size(size or before or capabilities.DISKS[0].size)
    # A tier that stays from before a growth is raised by the service itself.
    if tier and lowest and tier.size < lowest.size and storage["tier"] != earlier.get("tier"):
        raise out_of_range("StorageTier", [disk.tier for disk in capabilities.DISKS if disk.size >= lowest.size])


def _check_high_availability(wanted: Body, sku: capabilities.Sku | None) -> None:
    mode = wanted.get("mode", "Disabled")
    if mode != "Disabled" and sku is not None and mode not in sku.high_availability:
        raise ArmError(400, "HighAvailabilityNotSupported", f"High availability is not supported for the '{sku.tier}' tier.")


def _check_backup(backup: Body) -> None:
    days = backup.get("backupRetentionDays")
    if days is not None and days not in RETENTION_DAYS:
        raise out_of_range("BackupRetentionDays", [f"{RETENTION_DAYS[0]}-{RETENTION_DAYS[-1]}"])


def _check_administrator(properties: Body) -> None:
    if (properties.get("authConfig") or {}).get("passwordAuth", "Enabled") == "Disabled":
        return
    login = properties.get("administratorLogin") or ""
    if not login:
        raise ArmError(400, "MissingRequiredParameter", "Required parameter administratorLogin is missing.")
    if login.lower() in BLOCKED_LOGINS or login.lower().startswith("pg_"):
        raise ArmError(400, "BlockedUserName", f"The admin user name '{login}' is not allowed; choose another one.")
    if not re.fullmatch(r"[A-Za-z_][\w$-]{0,62}", login):
        raise ArmError(400, "InvalidUserName", f"The admin user name '{login}' is not valid.")
    if not properties.get("administratorLoginPassword"):
        raise ArmError(400, "MissingRequiredParameter", "Required parameter administratorLoginPassword is missing.")
    check_password(properties["administratorLoginPassword"], login)


def check_password(password: str, login: str) -> None:
    """Raise ArmError for a password that the service refuses: 8 to 128 characters of three classes, without the login name."""
    if len(password) < 8:
        raise ArmError(400, "PasswordTooShort", "The password must be at least 8 characters long.")
    if len(password) > 128:
        raise ArmError(400, "PasswordTooLong", "The password must be at most 128 characters long.")
    classes = sum(re.search(kind, password) is not None for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z\d]"))
    if classes < 3 or (login and login.lower() in password.lower()):
        message = (
            "Password must contain characters from three of the following categories - uppercase letters, lowercase letters, numbers (0-9), "
            "and non-alphanumeric characters - and must not contain all or part of the login name."
        )
        raise ArmError(400, "PasswordNotComplex", message)


def complete_server(body: Body, before: Body | None, *, name: str, now: datetime.datetime) -> None:
    """Fill in what the service fills in; `body` is what was asked for, without the password."""
    properties: Body = body.setdefault("properties", {})
    earlier: Body = (before or {}).get("properties") or {}
    properties.pop("createMode", None)
    body.setdefault("sku", (before or {}).get("sku") or {"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"})
    for key, default in _defaults().items():
        properties[key] = (
            {**default, **earlier.get(key, {}), **(properties.get(key) or {})}
            if isinstance(default, dict)
            else (properties.get(key) or earlier.get(key) or default)
        )
    properties["minorVersion"] = capabilities.MINOR_VERSIONS[properties["version"]]
    properties["fullyQualifiedDomainName"] = f"{name}.postgres.database.azure.com"
    properties["backup"]["earliestRestoreDate"] = earlier.get("backup", {}).get("earliestRestoreDate") or now.isoformat()
    standby = properties["highAvailability"]["mode"] != "Disabled"
    properties["highAvailability"]["state"] = "Healthy" if standby else "NotEnabled"
    _complete_storage(properties["storage"], earlier.get("storage", {}))
    if "administratorLogin" in earlier:
        properties.setdefault("administratorLogin", earlier["administratorLogin"])


def _defaults() -> Body:
    return {
        "version": "17",
        "availabilityZone": "1",
        "authConfig": {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"},
        "backup": {"backupRetentionDays": 7, "geoRedundantBackup": "Disabled"},
        "dataEncryption": {"type": "SystemManaged"},
        "highAvailability": {"mode": "Disabled"},
        "maintenanceWindow": {"customWindow": "Disabled", "dayOfWeek": 0, "startHour": 0, "startMinute": 0},
        "network": {},
        "replica": {"capacity": 5, "role": "Primary"},
        "replicaCapacity": 5,
        "replicationRole": "Primary",
        "storage": {"storageSizeGB": 32, "autoGrow": "Disabled"},
    }


def _complete_storage(storage: Body, earlier: Body) -> None:
    disk = capabilities.disk_of_size(storage["storageSizeGB"]) or capabilities.DISKS[0]
    tier = capabilities.disk_of_tier(storage.get("tier", "")) or disk
    if tier.size < disk.size or (storage["storageSizeGB"] != earlier.get("storageSizeGB") and storage.get("tier") == earlier.get("tier")):
        tier = disk  # growth takes the tier of the new size along
    storage.update(tier=tier.tier, iops=tier.iops)
