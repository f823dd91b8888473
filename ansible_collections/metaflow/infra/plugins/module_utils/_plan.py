# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From desired and live to changes, and from changes to a diff. Pure: nothing here talks to anything."""

from __future__ import annotations

import dataclasses
import typing as t

from ._compare import PLAIN, Difference, Rules, differences, masked, matches, merged, projected, stripped
from ._errors import InputError

UNSHOWN = {"id", "properties", "systemData", "etag"}  # of what is deleted: its kind, place and tags say enough
Action = t.Literal["create", "update", "delete", "none"]


@dataclasses.dataclass(frozen=True)
class Change:
    """What is to happen to one resource. False where nothing is."""

    key: str
    """Its id or name, as shown to the user."""
    action: Action
    wanted: dict[str, t.Any]
    live: dict[str, t.Any] | None
    after: dict[str, t.Any] | None
    """The resource as it will be (None: absent); what check mode returns."""
    differences: tuple[Difference, ...] = ()
    rules: Rules = PLAIN

    def __bool__(self) -> bool:
        return self.action != "none"

    @property
    def body(self) -> dict[str, t.Any]:
        """What to send with PUT: all of the resource but what only the service may set."""
        return t.cast("dict[str, t.Any]", stripped(self.after or {}, self.rules))

    @property
    def patch(self) -> dict[str, t.Any]:
        """What to send with PATCH: the keys that differ, and nothing else. A list goes whole, and so do tags, which PATCH replaces."""
        result: dict[str, t.Any] = {}
        for path in dict.fromkeys(d.path.split("[]")[0] for d in self.differences):
            keys = ["tags"] if path.split(".")[0] == "tags" else path.split(".")
            source, target = self.body, result
            for key in keys[:-1]:
                source, target = source.get(key) or {}, target.setdefault(key, {})
            target[keys[-1]] = source.get(keys[-1])
        return result


def plan(key: str, wanted: t.Mapping[str, t.Any], live: dict[str, t.Any] | None, rules: Rules = PLAIN) -> Change:
    """The change that makes `live` (None: absent) fit `wanted`.

    :raises InputError: where that would need a change of an immutable property; it names them all.
    """
    wanted = dict(wanted)
    if live is None:
        return Change(key, "create", wanted, None, merged(wanted, None, rules), rules=rules)
    found = tuple(differences(wanted, live, rules))
    fixed = [d for d in found if any(matches(prefix, rules.immutable) for prefix in prefixes(d.path))]
    if fixed:
        what = "; ".join(f"{d.path} is {masked(d.before, rules, d.path)!r} and was to be {masked(d.after, rules, d.path)!r}" for d in fixed)
        raise InputError(f"{key} exists and cannot be changed in this: {what}. It was left alone; declare it as it is, or choose another name.")
    return Change(key, "update" if found else "none", wanted, live, merged(wanted, live, rules) if found else live, found, rules)


def plan_absent(key: str, live: dict[str, t.Any] | None) -> Change:
    """The change that makes `live` go away."""
    return Change(key, "delete" if live is not None else "none", {}, live, None)


def prefixes(path: str) -> list[str]:
    """The path and those above it: a.b.c -> a, a.b, a.b.c."""
    parts = path.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def diff(changes: t.Iterable[Change]) -> dict[str, dict[str, t.Any]]:
    """Before and after by resource, of what changes and of what was declared only, secrets masked."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for change in changes:
        if not change:
            continue
        if change.live is not None:
            shown = change.wanted or {k: v for k, v in change.live.items() if k not in UNSHOWN}
            before[change.key] = masked(projected(shown, change.live), change.rules)
        if change.after is not None:
            after[change.key] = masked(projected(change.wanted, change.after), change.rules)
    return {"before": before, "after": after}
