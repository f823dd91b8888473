# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resources as data: a list of ids with bodies, read, compared and written at once. Used by the module azure_resource."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ._azure_client import Azure, Resource, state_of
from ._azure_ids import GROUP, contains, name_of, normal, title, type_of
from ._azure_types import Type, lock_of, type_known
from ._compare import Difference
from ._errors import InputError
from ._graph import all_of, in_order
from ._plan import Change, plan, plan_absent

FINAL = {"succeeded", "failed", "canceled", "present", "absent", "ready", "stopped", "disabled", "inaccessible"}  # the last four: of database servers


@dataclasses.dataclass(frozen=True)
class Target:
    """One resource that was asked for."""

    id: str
    kind: Type
    body: Resource


class Resources:
    """The resources of one task, by normal id, in the order asked."""

    def __init__(self, azure: Azure, asked: t.Sequence[dict[str, t.Any]], tags: dict[str, t.Any], *, wait: bool) -> None:
        self.azure, self.wait = azure, wait
        self.targets: dict[str, Target] = {}
        for item in asked:
            resource_id = azure.complete(item["id"])
            if normal(resource_id) in self.targets:
                raise InputError(f"{resource_id} is declared twice.")
            body = tagged(completed(item["body"] or {}, azure.subscription_id), tags)
            self.targets[normal(resource_id)] = Target(resource_id, type_known(resource_id, item["api_version"]), body)
        titles = [title(target.id) for target in self.targets.values()]
        # What the user sees; where two groups have one of the same name, the whole id.
        self.titles = {key: target.id if titles.count(title(target.id)) > 1 else title(target.id) for key, target in self.targets.items()}
        self.live: dict[str, Resource | None] = {}

    def read(self, *, settle: bool) -> None:
        """One read a resource, side by side. With `settle`, what is still being made or deleted (by a run that was killed) is awaited."""
        self.live = all_of(self.targets, self.get)
        if settle:
            busy = [key for key, live in self.live.items() if state_of(live).lower() not in FINAL]
            self.live.update(all_of(busy, lambda key: self.azure.until(self.targets[key].id, self.targets[key].kind.api_version, settled)))

    def get(self, key: str) -> Resource | None:
        return self.azure.get(self.targets[key].id, self.targets[key].kind.api_version)

    def plan(self) -> dict[str, Change]:
        """:raises InputError: naming every immutable property that is declared otherwise."""
        changes, refused = {}, []
        for key, target in self.targets.items():
            live = self.live[key]
            wanted = target.kind.spelled(target.body, live) if live else target.body
            try:
                change = plan(self.titles[key], wanted, live, target.kind.rules)
            except InputError as error:
                refused.append(str(error))
                continue
            changes[key] = repaired(change)
        if refused:
            raise InputError(" ".join(refused))
        return changes

    def plan_absent(self, *, force: bool) -> dict[str, Change]:
        """:raises InputError: where a group holds what was not named, and `force` does not allow that it goes too."""
        changes = {
            key: plan_absent(self.titles[key], None if target.kind.permanent and type_of(target.id) != GROUP else self.live[key])
            for key, target in self.targets.items()
        }
        for key, target in self.targets.items():
            if type_of(target.id) == GROUP and changes[key] and not force:
                self.refuse_foreign(target)
        return changes

    def refuse_foreign(self, group: Target) -> None:
        held = [r["id"] for r in self.azure.list(f"{group.id}/resources", "2021-04-01")]
        foreign = [i for i in held if normal(i) not in self.targets and not any(contains(k, i) for k in self.targets if k != normal(group.id))]
        if foreign:
            raise InputError(
                f"Resource group {name_of(group.id)} was left alone, as it holds {len(foreign)} more: "
                f"{', '.join(title(i) for i in foreign[:10])}. Delete them first, or set force if they should go with it."
            )

    def apply(self, changes: dict[str, Change]) -> list[Resource | None]:
        """Write what changes, in the order of its dependencies; the live resources in the order asked."""
        needs = self.needs()
        locks = {key: lock for key, target in self.targets.items() if (lock := lock_of(target.id, target.kind))}
        if any(change.action == "delete" for change in changes.values()):
            needs = {key: {other for other, names in needs.items() if key in names} for key in needs}
        done = in_order(needs, lambda key: self.write(self.targets[key], changes[key]), locks=locks)
        return [done[key] for key in self.targets]

    def write(self, target: Target, change: Change) -> Resource | None:
        version = target.kind.api_version
        if change.action == "delete":
            self.azure.delete(target.id, version, wait=self.wait)
            return None
        if change.action == "create":
            return self.azure.put(target.id, version, change.body, wait=self.wait)
        if change.action == "update":
            tags_only = all(d.path.split(".")[0] == "tags" for d in change.differences)
            if target.kind.update == "PATCH" or (tags_only and target.kind.tags_patch):
                return self.azure.patch(target.id, version, change.patch, wait=self.wait)
            return self.azure.put(target.id, version, change.body, wait=self.wait)
        return change.live

    def planned(self, changes: dict[str, Change]) -> list[Resource | None]:
        """The resources as they would be."""
        return [
            {"id": target.id, "name": name_of(target.id), "type": type_of(target.id), **change.body} if change.action == "create" else change.after
            for target, change in zip(self.targets.values(), changes.values(), strict=True)
        ]

    def needs(self) -> dict[str, set[str]]:
        """What each must come after: what contains it, and what its body mentions (or what contains that)."""
        result = {}
        for key, target in self.targets.items():
            mentioned = {normal(text) for text in ids_in(target.body)}
            result[key] = {
                other
                for other in self.targets
                if other != key and (contains(other, key) or any(other == m or contains(other, m) for m in mentioned)) and not contains(key, other)
            }
        return result


def settled(live: Resource | None) -> bool:
    return state_of(live).lower() in FINAL


def repaired(change: Change) -> Change:
    """A resource that Azure gave up on is written again, though its properties fit."""
    if change or state_of(change.live).lower() not in ("failed", "canceled"):
        return change
    return dataclasses.replace(change, action="update", differences=(Difference("properties.provisioningState", state_of(change.live), "Succeeded"),))


def tagged(body: Resource, tags: dict[str, t.Any]) -> Resource:
    """The body with the tags, where it has a location: only such resources have tags."""
    if not tags or "location" not in body:
        return body
    return {**body, "tags": {key: str(value) for key, value in {**tags, **(body.get("tags") or {})}.items()}}


def completed(value: t.Any, subscription_id: str) -> t.Any:
    """The value with its /resourceGroups/… ids completed."""
    if isinstance(value, dict):
        return {k: completed(v, subscription_id) for k, v in value.items()}
    if isinstance(value, list):
        return [completed(v, subscription_id) for v in value]
    if isinstance(value, str) and re.match(r"/resourceGroups/[^/]+(/|$)", value, re.IGNORECASE):
        return f"/subscriptions/{subscription_id}{value}"
    return value


def ids_in(value: t.Any) -> t.Iterator[str]:
    """Every resource id anywhere in the value, also as a key (user-assigned identities are)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ids_in(key)
            yield from ids_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_in(inner)
    elif isinstance(value, str) and value.lower().startswith("/subscriptions/"):
        yield value
