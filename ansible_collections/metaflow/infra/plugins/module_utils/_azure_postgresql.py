"""Private to this collection: a PostgreSQL Flexible Server as data: the bodies sent, what can't be changed, and what Azure offers. Pure.

Facts: a server has no ``provisioningState``; it is usable when ``properties.state`` is ``Ready``. The administrator's password is write-only.
Storage only grows, the version only goes up, and the properties of IMMUTABLE are fixed at creation.
"""

from __future__ import annotations

import secrets
import string
import typing as t

from ._azure_compute import normalized

Json = dict[str, t.Any]

API_VERSION: t.Final = "2025-08-01"
STORAGE_STEPS: t.Final = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
TIERS: t.Final = {"standard_b": "Burstable", "standard_d": "GeneralPurpose", "standard_e": "MemoryOptimized"}
SYSTEM_DATABASES: t.Final = frozenset({"postgres", "azure_maintenance", "azure_sys"})

# Option -> where it stands in the server's body. A tuple below "sku" and "properties" keeps the order in which a diff is read.
PATHS: t.Final[dict[str, tuple[str, ...]]] = {
    "location": ("location",),
    "tags": ("tags",),
    "version": ("properties", "version"),
    "administrator_login": ("properties", "administratorLogin"),
    "storage_gb": ("properties", "storage", "storageSizeGB"),
    "storage_auto_grow": ("properties", "storage", "autoGrow"),
    "backup_retention_days": ("properties", "backup", "backupRetentionDays"),
    "geo_redundant_backup": ("properties", "backup", "geoRedundantBackup"),
    "high_availability": ("properties", "highAvailability", "mode"),
    "delegated_subnet_id": ("properties", "network", "delegatedSubnetResourceId"),
    "private_dns_zone_id": ("properties", "network", "privateDnsZoneArmResourceId"),
}
IMMUTABLE: t.Final = ("location", "administrator_login", "delegated_subnet_id", "geo_redundant_backup")
SWITCHES: t.Final = frozenset({"storage_auto_grow", "geo_redundant_backup"})
IN_BODY: t.Final = {"disabled": "Disabled", "same_zone": "SameZone", "zone_redundant": "ZoneRedundant", True: "Enabled", False: "Disabled"}


def random_password() -> str:
    """A password that passes Azure's rule (8 to 128 characters, three of four classes), for an account nobody is to log in with yet."""
    alphabet = string.ascii_letters + string.digits
    return "Aa1" + "".join(secrets.choice(alphabet) for _ in range(45))


def tier_of(sku_name: str) -> str | None:
    """The tier that a size belongs to, by the letter after ``Standard_``."""
    return TIERS.get(sku_name.lower()[: len("standard_x")])


def desired(params: t.Mapping[str, t.Any]) -> Json:
    """The body that the options declare; what they don't mention isn't in it."""
    body: Json = {}
    for option, path in PATHS.items():
        value = params.get(option)
        if value is None:
            continue
        if option in SWITCHES or option == "high_availability":
            value = IN_BODY[value]
        place(body, path, value)
    if sku := params.get("sku"):
        body["sku"] = {"name": sku["name"], "tier": sku.get("tier") or tier_of(sku["name"])}
    return body


def place(body: Json, path: tuple[str, ...], value: t.Any) -> None:
    """Set a value deep in a body."""
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value


def dig(body: t.Any, path: tuple[str, ...]) -> t.Any:
    """The value deep in a body, None where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def creation(body: Json, password: str) -> Json:
    """The body of the PUT that creates a server: what is declared, and what only a creation takes."""
    once = {
        "createMode": "Create",
        "administratorLoginPassword": password,
        "authConfig": {"activeDirectoryAuth": "Disabled", "passwordAuth": "Enabled"},
    }
    return {**body, "properties": {**once, **body.get("properties", {})}}


def faults(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options by themselves, each as one sentence."""
    found = []
    sku, storage = params.get("sku"), params.get("storage_gb")
    tier = (sku.get("tier") or tier_of(sku["name"])) if sku else None
    if sku and tier is None:
        found.append(f"The size {sku['name']} is of no tier that is known: set sku.tier.")
    if storage is not None and storage not in STORAGE_STEPS:
        found.append(f"storage_gb is {storage} and must be one of {', '.join(map(str, STORAGE_STEPS))}.")
    if tier == "Burstable" and params.get("high_availability") not in (None, "disabled"):
        found.append(f"High availability needs the tier GeneralPurpose or MemoryOptimized, and {sku['name'] if sku else ''} is Burstable.")
    if bool(params.get("delegated_subnet_id")) != bool(params.get("private_dns_zone_id")):
        found.append("delegated_subnet_id and private_dns_zone_id go together: a server in a virtual network needs both.")
    days = params.get("backup_retention_days")
    if days is not None and not 7 <= days <= 35:
        found.append(f"backup_retention_days is {days} and must be from 7 to 35.")
    return found


def same(option: str, wanted: t.Any, live: t.Any) -> bool:
    """Whether a declared value is the live one, as Azure compares: regions without spaces and case, ids without case."""
    if option == "location":
        return normalized(str(wanted)) == normalized(str(live))
    return str(wanted).lower() == str(live).lower() if isinstance(wanted, str) else bool(wanted == live)


def mismatch(name: str, body: Json, live: Json) -> str | None:
    """The sentence for the first declared property that Azure can't change on this server; None where all can be had."""
    for option in IMMUTABLE:
        wanted, have = dig(body, PATHS[option]), dig(live, PATHS[option])
        if wanted is not None and not same(option, wanted, have):
            return f"The server {name} exists with {option} {have or 'unset'} and {wanted} is wanted: Azure can't change that. Nothing was changed."
    version, have = dig(body, PATHS["version"]), dig(live, PATHS["version"])
    if version is not None and have is not None and int(version) < int(have):
        return f"The server {name} runs PostgreSQL {have} and version {version} is wanted: Azure can't lower it. Nothing was changed."
    storage, has = dig(body, PATHS["storage_gb"]), dig(live, PATHS["storage_gb"])
    grows = dig(live, PATHS["storage_auto_grow"]) == "Enabled"
    if storage is not None and has is not None and storage < has and not grows:
        return f"The server {name} has {has} GB of storage and storage_gb {storage} is wanted: storage can only grow. Nothing was changed."
    return None


def grown(body: Json, live: Json) -> Json:
    """The declared body without a storage size that the server has outgrown by itself (auto grow)."""
    wanted, have = dig(body, PATHS["storage_gb"]), dig(live, PATHS["storage_gb"])
    if wanted is None or have is None or wanted >= have:
        return body
    storage = {key: value for key, value in body["properties"]["storage"].items() if key != "storageSizeGB"}
    properties = {**body["properties"], "storage": storage}
    return {**body, "properties": properties if storage else {k: v for k, v in properties.items() if k != "storage"}}


def value_text(value: t.Any) -> str:
    """A configuration's value as the server writes it: YAML's true and false are on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value)
    return {"true": "on", "false": "off"}.get(text.lower(), text)


def database_body(database: t.Mapping[str, t.Any]) -> Json:
    """The body of a database: character set and collation, which only a creation takes."""
    return {"properties": {key: database[key] for key in ("charset", "collation") if database.get(key)}}


def database_mismatch(database: t.Mapping[str, t.Any], live: Json) -> str | None:
    """The sentence for a database that exists with another character set or collation."""
    for key in ("charset", "collation"):
        wanted, have = database.get(key), live.get("properties", {}).get(key)
        if wanted and have and wanted.lower() != have.lower():
            return f"The database {database['name']} exists with {key} {have} and {wanted} is wanted: that can't be changed. Nothing was changed."
    return None


def offer_fault(capabilities: t.Sequence[Json], location: str, version: str | None, sku_name: str | None) -> str | None:
    """Why this subscription can't have such a server in the region, as a sentence, from the region's ``capabilities``; None where it can."""
    features = {feature.get("name"): feature.get("status") for one in capabilities for feature in one.get("supportedFeatures") or ()}
    if not capabilities or features.get("OfferRestricted") == "Enabled" or any(one.get("restricted") == "Enabled" for one in capabilities):
        reason = next((one["reason"] for one in capabilities if one.get("reason")), "")
        return (
            f"This subscription may not have PostgreSQL Flexible Servers in {location}{': ' + reason if reason else ''}. Open a support request "
            f"(Service and subscription limits, Azure Database for PostgreSQL flexible server, {location}), or choose another region."
        )
    versions = {offered["name"] for one in capabilities for offered in one.get("supportedServerVersions") or ()}
    if version is not None and versions and version not in versions:
        return f"PostgreSQL {version} is not offered in {location}: choose one of {', '.join(sorted(versions, key=int))}."
    sizes = {
        size["name"]: edition["name"]
        for one in capabilities
        for edition in one.get("supportedServerEditions") or ()
        for size in edition.get("supportedServerSkus") or ()
    }
    if sku_name is not None and sizes and sku_name.lower() not in map(str.lower, sizes):
        tier = tier_of(sku_name)
        like = sorted(name for name, edition in sizes.items() if tier in (None, edition))
        return f"The PostgreSQL server size {sku_name} is not offered in {location}: choose one of {', '.join(like or sorted(sizes))}."
    return None
