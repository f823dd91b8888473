# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application of Entra ID with its service principal, owners and secrets. Used by the module azure_application.

Microsoft Graph is eventually consistent: what was made by one call may be unknown to the next for a minute, so all that follow are repeated.
"""

from __future__ import annotations

import datetime
import typing as t

from ._azure_client import Graph, Resource
from ._azure_errors import Transient
from ._errors import ApiError
from ._plan import Change, plan, plan_absent

LAG = 300.0
NEW = (
    Transient("Request_ResourceNotFound", LAG),
    Transient("ResourceNotFound", LAG),
    Transient("Request_BadRequest", LAG, "does not reference a valid application object|does not exist"),
    Transient("NoBackingApplicationObject", LAG),
    Transient("Authorization_RequestDenied", LAG, "must (be )?in the local tenant"),
    Transient("Directory_ConcurrencyViolation", LAG),
    Transient("ConcurrencyViolation", LAG),
)
UPSERT = {"Prefer": "create-if-missing"}


class Application:
    """What was asked for beside what is there: `read`, `plan`, `apply` or `delete`, `result`."""

    def __init__(self, graph: Graph, asked: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> None:
        self.graph, self.asked, self.warn = graph, asked, warn
        self.path = f"/applications(uniqueName='{asked['unique_name'].replace(chr(39), chr(39) * 2)}')"
        self.live: Resource | None = None
        self.principal: Resource | None = None
        self.owners: set[str] = set()
        self.client_secret: str | None = None

    def read(self) -> None:
        self.live = self.graph.get(self.path, "read the application")
        if self.live:
            self.principal = self.graph.get(f"/servicePrincipals(appId='{self.live['appId']}')", "read the service principal")
            if self.asked["owners"]:
                owners = self.graph.pages(f"/v1.0/applications/{self.live['id']}/owners", {"$select": "id"}, during="read the owners")
                self.owners = {owner["id"].lower() for owner in owners}

    # --- secrets

    def own_secrets(self) -> list[Resource]:
        """Those that this module made, the one that lasts longest first."""
        ours = [c for c in (self.live or {}).get("passwordCredentials") or [] if c.get("displayName") == self.asked["secret_name"]]
        return sorted(ours, key=lambda c: instant(c["endDateTime"]), reverse=True)

    def secret_needed(self) -> bool:
        good_until = now() + datetime.timedelta(days=self.asked["secret_renew_days"])
        lasting = any(instant(c["endDateTime"]) > good_until for c in self.own_secrets())
        return self.asked["secret"] == "rotate" or (self.asked["secret"] == "present" and not lasting)  # noqa: S105  (a mode, no secret)

    def surplus(self) -> list[str]:
        """Key ids of the secrets to remove: all where none is wanted, all but the newest where another is made, else none."""
        ours = [c["keyId"] for c in self.own_secrets()]
        if self.asked["secret"] == "absent":  # noqa: S105  (a mode, no secret)
            return ours
        return ours[1:] if self.secret_needed() else []

    # --- plan

    def missing_owners(self) -> list[str]:
        return [owner for owner in self.asked["owners"] if owner.lower() not in self.owners]

    def plan(self) -> list[Change]:
        kept = [c["keyId"] for c in self.own_secrets() if c["keyId"] not in self.surplus()]
        wanted: Resource = {
            "displayName": self.asked["display_name"],
            "servicePrincipal": True,
            "owners": sorted(self.owners | {o.lower() for o in self.asked["owners"]}),
            "credentials": kept + (["a new one"] if self.secret_needed() else []),
        }
        return [plan(self.asked["unique_name"], wanted, self.shown())]

    def plan_absent(self) -> list[Change]:
        return [plan_absent(self.asked["unique_name"], self.shown())]

    def shown(self) -> Resource | None:
        """What is there, as far as this module looks after it."""
        return self.live and {
            "displayName": self.live.get("displayName"),
            "servicePrincipal": self.principal is not None,
            "owners": sorted(self.owners),
            "credentials": [c["keyId"] for c in self.own_secrets()],
        }

    # --- apply

    def apply(self) -> None:
        if self.live is None or self.live.get("displayName") != self.asked["display_name"]:
            body = {"displayName": self.asked["display_name"]}
            created = self.graph.call("PATCH", self.path, body, during="write the application", table=NEW, headers=UPSERT)
            self.live = created or self.graph.call("GET", self.path, during="read the application", table=NEW)
        live = t.cast("Resource", self.live)
        if self.principal is None:
            path, body = f"/servicePrincipals(appId='{live['appId']}')", {"displayName": self.asked["display_name"]}
            created = self.graph.call("PATCH", path, body, during="make the service principal", table=NEW, headers=UPSERT)
            self.principal = created or self.graph.call("GET", path, during="read the service principal", table=NEW)
        for owner in self.missing_owners():
            body = {"@odata.id": f"{self.graph.base}/v1.0/directoryObjects/{owner}"}
            try:
                self.graph.call("POST", f"/applications/{live['id']}/owners/$ref", body, during="add an owner", table=NEW)
            except ApiError as error:
                if "already exist" not in error.message:  # who makes an application owns it at once
                    raise
        self.apply_secrets(live)

    def apply_secrets(self, live: Resource) -> None:
        surplus = self.surplus()
        if self.secret_needed():
            ends = now() + datetime.timedelta(days=self.asked["secret_lifetime_days"])
            credential = {"displayName": self.asked["secret_name"], "endDateTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
            body = {"passwordCredential": credential}
            made = self.graph.call("POST", f"/applications/{live['id']}/addPassword", body, during="make a secret", table=NEW)
            self.client_secret = made["secretText"]
            live["passwordCredentials"] = [*(live.get("passwordCredentials") or []), made]
        for key in surplus:
            self.graph.call("POST", f"/applications/{live['id']}/removePassword", {"keyId": key}, during="remove a secret")
        live["passwordCredentials"] = [c for c in live.get("passwordCredentials") or [] if c["keyId"] not in surplus]

    def delete(self) -> None:
        """Delete it, and purge what stays in the bin for 30 days: until then its unique name can't be used again."""
        live = t.cast("Resource", self.live)
        self.graph.call("DELETE", f"/applications/{live['id']}", during="delete the application")
        lag = (Transient("Request_ResourceNotFound", 30), Transient("ResourceNotFound", 30))
        try:
            self.graph.call("DELETE", f"/directory/deletedItems/{live['id']}", during="purge the deleted application", table=lag)
        except ApiError as error:
            if error.status != 404:
                self.warn(f"The application is deleted, but stays in the directory's bin for 30 days: {error}")

    def result(self) -> dict[str, t.Any]:
        live, principal = self.live or {}, self.principal or {}
        return {
            "app_id": live.get("appId"),
            "object_id": live.get("id"),
            "principal_id": principal.get("id"),
            "secrets": [c["keyId"] for c in live.get("passwordCredentials") or []],
        }


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def instant(text: str) -> datetime.datetime:
    """Graph's times have up to seven digits after the second, and end in Z."""
    return datetime.datetime.fromisoformat(text[:19] + "+00:00")
