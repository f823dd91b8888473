# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL Flexible Server as data: the bodies sent, what can't be changed, and what Azure offers. Pure.

Facts: a server has no ``provisioningState``; it is usable when ``properties.state`` is ``Ready``. The administrator's password is write-only.
Storage only grows, the version only goes up, and what RULES calls immutable is fixed at creation.
"""

from __future__ import annotations

import secrets
import string
import typing as t

from ._compare import Rules, differences
from ._plan import Change

Json = dict[str, t.Any]

API_VERSION: t.Final = "2025-08-01"
TYPE: t.Final = "Microsoft.DBforPostgreSQL/flexibleServers"
STORAGE_STEPS: t.Final = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
TIERS: t.Final = {"standard_b": "Burstable", "standard_d": "GeneralPurpose", "standard_e": "MemoryOptimized"}
SYSTEM_DATABASES: t.Final = frozenset({"postgres", "azure_maintenance", "azure_sys"})

# Option -> where it stands in the server's body.
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


def same_switch(wanted: t.Any, live: t.Any) -> bool:
    """Disabled is also what the service doesn't return."""
    return bool((wanted or "Disabled") == (live or "Disabled"))


RULES: t.Final = Rules(
    read_only=(
        "id",
        "name",
        "type",
        "systemData",
        "properties.minorVersion",
        "properties.state",
        "properties.fullyQualifiedDomainName",
        "properties.backup.earliestRestoreDate",
        "properties.highAvailability.state",
        "properties.replicaCapacity",
        "properties.replica",
        "properties.privateEndpointConnections",
    ),
    immutable=(
        "location",
        "properties.administratorLogin",
        "properties.network.delegatedSubnetResourceId",
        "properties.backup.geoRedundantBackup",
    ),
    write_only=("properties.administratorLoginPassword",),
    create_only=("properties.createMode", "properties.authConfig"),
    ignore_case=("sku.name", "sku.tier"),
    equal=dict.fromkeys(("properties.backup.geoRedundantBackup", "properties.storage.autoGrow", "properties.highAvailability.mode"), same_switch),
)
SWITCHES: t.Final = frozenset({"storage_auto_grow", "geo_redundant_backup"})
IN_BODY: t.Final = {"disabled": "Disabled", "same_zone": "SameZone", "zone_redundant": "ZoneRedundant", True: "Enabled", False: "Disabled"}
DATABASE_RULES: t.Final = Rules(
    read_only=("id", "name", "type", "systemData"),
    immutable=("properties.charset", "properties.collation"),
    ignore_case=("properties.charset", "properties.collation"),
)
CONFIGURATION_RULES: t.Final = Rules()


def random_password() -> str:
    """A password that passes Azure's rule (8 to 128 characters, three of four classes), for an account nobody is to log in with yet."""
    alphabet = string.ascii_letters + string.digits
    return "Aa1" + "".join(secrets.choice(alphabet) for dummy in range(45))


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
    if password := params.get("administrator_password"):
        found += password_faults(password, params.get("administrator_login"))
    elif params.get("update_password") == "always":
        found.append("update_password is always, and there is no administrator_password to set.")
    days = params.get("backup_retention_days")
    if days is not None and not 7 <= days <= 35:
        found.append(f"backup_retention_days is {days} and must be from 7 to 35.")
    return found


def password_faults(password: str, login: str | None) -> list[str]:
    """What Azure would refuse about a password (PasswordTooShort, PasswordTooLong, PasswordNotComplex), without showing it."""
    kinds = (str.islower, str.isupper, str.isdigit, lambda character: not character.isalnum())
    if not 8 <= len(password) <= 128:
        return ["The administrator's password must have 8 to 128 characters."]
    if sum(any(map(kind, password)) for kind in kinds) < 3:
        return ["The administrator's password must have characters of three kinds of: lower case, upper case, digits, others."]
    if login and login.lower() in password.lower():
        return ["The administrator's password must not contain the login name."]
    return []


def limits(name: str, body: Json, live: Json) -> str | None:
    """The sentence for what is declared lower than it is and can only go up; None where all can be had."""
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


def creation_faults(params: t.Mapping[str, t.Any]) -> str | None:
    """The sentence for what a creation needs and isn't declared; None where all is."""
    missing = [name for name in ("location", "version", "sku", "storage_gb", "administrator_login") if params.get(name) is None]
    return f"The server {params['name']} doesn't exist, and to create it these are needed too: {', '.join(missing)}." if missing else None


def patches(change: Change) -> list[Json]:
    """The bodies to send for a changed server, in order: a new major version by itself, after the rest."""
    body = change.patch if change else {}
    properties = dict(body.get("properties") or {})
    version = properties.pop("version", None)
    rest = {key: value for key, value in {**body, "properties": properties}.items() if value}
    upgrade = {"properties": {"version": version, "createMode": "Update"}}
    return [*([rest] if rest else []), *([upgrade] if version else [])]


def configuration_fault(name: str, live: Json | None, body: Json, rules: Rules) -> str | None:
    """The sentence for a server parameter that can't be set; None for one that can, or is already right."""
    if live is None:
        return f"The server has no parameter {name}."
    if live.get("properties", {}).get("isReadOnly") and differences(body, live, rules):
        return f"The server parameter {name} is {live['properties'].get('value')} and can't be changed: Azure keeps it read-only."
    return None


def value_text(value: t.Any) -> str:
    """A configuration's value as the server writes it: YAML's true and false are on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value)
    return {"true": "on", "false": "off"}.get(text.lower(), text)


def database_body(database: t.Mapping[str, t.Any]) -> Json:
    """The body of a database: character set and collation, which only a creation takes."""
    return {"properties": {key: database[key] for key in ("charset", "collation") if database.get(key)}}


def configuration_body(value: t.Any) -> Json:
    """What a server parameter is to be. Who set it (``source``) doesn't matter: a value that is right by default stays the default."""
    return {"properties": {"value": value_text(value)}}


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
