# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Desired against live, as pure functions: "every key I asked for is there and equal".

What is not declared is left alone, so a declared value is a pattern that the live one must fit:
mappings key by key, lists of things that have a name (or another key of LIST_KEYS) thing by thing, anything else as a whole.
A declared null means "unset": it fits what is absent or null.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

LIST_KEYS = ("name", "service", "id", "value")
MASK = "********"
SECRET = re.compile(r"password|secret(?!.*(name|uri|lifetime))|connectionstring|accountkey", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the properties of one type of resource behave. Entries are patterns over dotted paths: "properties.network.zoneId",
    "properties.subnets[].properties.ipConfigurations", "*.provisioningState" (* stands for any text, also for nothing before a dot)."""

    read_only: tuple[str, ...] = ()
    """Set by the service; never sent."""
    immutable: tuple[str, ...] = ()
    """Can't be changed once the resource exists."""
    write_only: tuple[str, ...] = ()
    """Secrets: sent, never returned, so never compared; masked in diffs."""
    create_only: tuple[str, ...] = ()
    """Sent at creation, left alone later, whatever they have become."""
    ignore_case: tuple[str, ...] = ()
    """The service answers in another case than it was asked."""
    ordered: tuple[str, ...] = ("*.dnsServers",)
    """Lists of plain values whose order matters (in all others it doesn't)."""
    equal: t.Mapping[str, t.Callable[[t.Any, t.Any], bool]] = dataclasses.field(default_factory=dict)
    """Own comparisons (wanted, live) for single paths."""


PLAIN = Rules()


class Difference(t.NamedTuple):
    path: str
    before: t.Any
    after: t.Any


def matches(path: str, patterns: t.Iterable[str]) -> bool:
    """Whether a dotted path is one of the patterns; `*.x` also matches a top-level x."""
    path = path.replace("[]", "{}")  # brackets are fnmatch's own
    return any(fnmatch.fnmatchcase(path, p.replace("[]", "{}")) or (p.startswith("*.") and path == p[2:]) for p in patterns)


def below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def differences(wanted: t.Any, live: t.Any, rules: Rules, path: str = "") -> list[Difference]:
    """Every place where live doesn't fit wanted, most precise path first come."""
    if matches(path, rules.write_only) or matches(path, rules.create_only):
        return []
    if path in rules.equal:
        return [] if rules.equal[path](wanted, live) else [Difference(path, live, wanted)]
    if isinstance(wanted, dict) and live is None and path.endswith("[]"):
        return [Difference(path, None, wanted)]  # a new thing in a list: nothing of it is changed
    if isinstance(wanted, dict) and isinstance(live, dict | None):
        # Absent altogether: each declared value differs by itself, as some may be immutable, null, or never returned.
        return [d for key, value in wanted.items() for d in differences(value, (live or {}).get(key), rules, below(path, key))]
    if isinstance(wanted, list) and isinstance(live, list):
        return list_differences(wanted, live, rules, path)
    return [] if same(wanted, live, rules, path) else [Difference(path, live, wanted)]


def list_differences(wanted: list[t.Any], live: list[t.Any], rules: Rules, path: str) -> list[Difference]:
    key = list_key(wanted, live)
    if key:
        found = {normal(item[key]): item for item in live}
        return [d for item in wanted for d in differences(item, found.get(normal(item[key])), rules, path + "[]")]
    if any(isinstance(item, dict | list) for item in wanted) and len(wanted) == len(live):
        return [d for one, other in zip(wanted, live, strict=True) for d in differences(one, other, rules, path + "[]")]
    one, other = [scalar(v, path, rules) for v in wanted], [scalar(v, path, rules) for v in live]
    if not matches(path, rules.ordered):
        one, other = sorted(one, key=repr), sorted(other, key=repr)
    return [] if one == other else [Difference(path, live, wanted)]


def list_key(wanted: list[t.Any], live: list[t.Any]) -> str | None:
    """What tells the things of both lists apart, if they are things."""
    items = [*wanted, *live]
    if not wanted or not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in LIST_KEYS if all(isinstance(item.get(key), str) for item in items)), None)


def same(wanted: t.Any, live: t.Any, rules: Rules, path: str) -> bool:
    if wanted is None:
        return live in (None, "", [], {})
    return bool(scalar(wanted, path, rules) == scalar(live, path, rules))


def scalar(value: t.Any, path: str, rules: Rules) -> t.Any:
    """The form in which two spellings of one value are equal."""
    if not isinstance(value, str):
        return value
    if path.rsplit(".", 1)[-1].rstrip("[]") in ("location", "locations"):
        return re.sub(r"\s", "", value).lower()  # "West US 2" comes back for westus2
    return value.lower() if matches(path, rules.ignore_case) else normal(value)


def normal(value: str) -> str:
    """Resource ids are equal in any case, with or without a slash at the end."""
    return value.rstrip("/").lower() if re.match(r"/(subscriptions|providers|resourcegroups)/", value, re.IGNORECASE) else value


def merged(wanted: t.Any, live: t.Any, rules: Rules, path: str = "") -> t.Any:
    """What the resource becomes: live with each declared value set. Where live fits already, live's own spelling stays."""
    if isinstance(wanted, dict) and isinstance(live, dict | None):
        result = dict(live or {})
        for key, value in wanted.items():
            where = below(path, key)
            if live is not None and matches(where, rules.create_only):
                continue
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(value, result.get(key), rules, where)
        return result
    if isinstance(wanted, list) and isinstance(live, list | None):
        live = live or []
        key = list_key(wanted, live)
        if key is None:
            return live if live and not list_differences(wanted, live, rules, path) else [merged(v, None, rules, path + "[]") for v in wanted]
        asked = {normal(item[key]): item for item in wanted}
        known = {normal(item[key]) for item in live}
        kept = [merged(asked[normal(i[key])], i, rules, path + "[]") if normal(i[key]) in asked else i for i in live]
        return kept + [merged(item, None, rules, path + "[]") for name, item in asked.items() if name not in known]
    return live if live is not None and same(wanted, live, rules, path) else wanted


def stripped(value: t.Any, rules: Rules, path: str = "") -> t.Any:
    """The value without what only the service may set: what may be sent."""
    if isinstance(value, dict):
        return {k: stripped(v, rules, below(path, k)) for k, v in value.items() if not matches(below(path, k), rules.read_only)}
    if isinstance(value, list):
        return [stripped(item, rules, path + "[]") for item in value]
    return value


def projected(wanted: t.Any, live: t.Any) -> t.Any:
    """The part of live that wanted speaks about: what a diff shows as before."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: projected(value, live[key]) for key, value in wanted.items() if key in live}
    if isinstance(wanted, list) and isinstance(live, list) and (key := list_key(wanted, live)):
        asked = {normal(item[key]): item for item in wanted}
        return [projected(asked[normal(item[key])], item) for item in live if normal(item[key]) in asked]
    return live


def masked(value: t.Any, rules: Rules = PLAIN, path: str = "") -> t.Any:
    """The value with its secrets made unreadable."""
    if isinstance(value, dict):
        return {k: masked(v, rules, below(path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(item, rules, path + "[]") for item in value]
    name = path.rsplit(".", 1)[-1]
    return MASK if isinstance(value, str) and (matches(path, rules.write_only) or SECRET.search(name)) else value
