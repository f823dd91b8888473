# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure's naming rules as one table, and the sentence for a name that breaks them."""

from __future__ import annotations

import dataclasses
import re
import typing as t


@dataclasses.dataclass(frozen=True)
class Rule:
    """Length, pattern (matched fully) and the pattern in words."""

    what: str
    shortest: int
    longest: int
    pattern: str
    words: str


# From Azure's "Naming rules and restrictions for Azure resources" and the providers' own error texts.
RULES: t.Final = {
    "resource_group": Rule(
        "resource group", 1, 90, r"[-\w.()]*[-\w()]", "letters, digits, underscores, hyphens, periods and parentheses, not ending with a period"
    ),
    "virtual_network": Rule(
        "virtual network", 2, 64, r"[A-Za-z0-9][\w.-]*\w", "letters, digits, underscores, periods and hyphens, starting with a letter or digit"
    ),
    "subnet": Rule("subnet", 1, 80, r"[A-Za-z0-9]([\w.-]*\w)?", "letters, digits, underscores, periods and hyphens, starting with a letter or digit"),
    "postgresql_server": Rule("PostgreSQL server", 3, 63, r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "lower-case letters, digits and inner hyphens"),
    "storage_account": Rule("storage account", 3, 24, r"[a-z0-9]+", "lower-case letters and digits"),
    "storage_container": Rule("storage container", 3, 63, r"[a-z0-9](-?[a-z0-9])*", "lower-case letters, digits and single inner hyphens"),
    "cluster": Rule(
        "AKS cluster",
        1,
        63,
        r"[A-Za-z0-9]([\w-]*[A-Za-z0-9])?",
        "letters, digits, underscores and hyphens, starting and ending with a letter or digit",
    ),
    "dns_prefix": Rule("DNS prefix", 1, 54, r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", "letters, digits and inner hyphens"),
    "node_pool": Rule("node pool", 1, 12, r"[a-z][a-z0-9]*", "lower-case letters and digits, starting with a letter"),
    "managed_identity": Rule(
        "user-assigned identity", 3, 128, r"[A-Za-z0-9][\w-]*", "letters, digits, underscores and hyphens, starting with a letter or digit"
    ),
    "private_dns_zone": Rule("private DNS zone", 1, 253, r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", "two or more labels with periods between them"),
}

# Names that PostgreSQL or Azure keep for themselves (error codes InvalidUserName, BlockedUserName).
BLOCKED_LOGINS: t.Final = frozenset({"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public"})


def fault(kind: str, name: str) -> str | None:
    """The sentence for a name that breaks its kind's rule, with the rule; None for a good one. ``kind`` is a key of RULES."""
    rule = RULES[kind]
    if len(name) > rule.longest:
        return f"The name {name} of the {rule.what} has {len(name)} characters and Azure allows {rule.longest}: shorten org_prefix or stack."
    if len(name) < rule.shortest:
        return f"The name {name!r} of the {rule.what} has {len(name)} characters and Azure wants at least {rule.shortest}."
    if not re.fullmatch(rule.pattern, name, re.ASCII):
        return f"The name {name} of the {rule.what} has characters that Azure doesn't allow there: {rule.words}."
    return None


def login_fault(login: str) -> str | None:
    """The sentence for an administrator's login that a Flexible Server refuses; None for a good one."""
    if login.lower() in BLOCKED_LOGINS or login.lower().startswith("pg_"):
        return f"The administrator's login {login} is one that Azure keeps for itself: choose another."
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", login):
        return f"The administrator's login {login} must be 1 to 63 letters, digits and underscores and must not start with a digit."
    return None
