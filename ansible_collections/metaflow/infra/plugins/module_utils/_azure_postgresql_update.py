# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing a Flexible Server that is there: itself, its parameters, its databases, one write at a time, and its restart."""

from __future__ import annotations

import dataclasses
import typing as t

from ._azure_ids import title
from ._azure_postgresql import (
    API_VERSION,
    CONFIGURATION_RULES,
    DATABASE_RULES,
    RULES,
    configuration_body,
    configuration_fault,
    database_body,
    dig,
    grown,
    limits,
    patches,
)
from ._azure_postgresql_recovery import state_of
from ._compare import Difference
from ._errors import InputError
from ._graph import all_of
from ._plan import Change, plan

if t.TYPE_CHECKING:
    from ._azure_client import Azure
    from ._run import Run

Json = dict[str, t.Any]
PENDING: t.Final = ("properties", "isConfigPendingRestart")
PASSWORD: t.Final = "administratorLoginPassword"  # noqa: S105  (the name of a property)


class Update:
    """What one server is to become, by the module's options."""

    def __init__(self, run: Run, azure: Azure, path: str, wanted: Json) -> None:
        self.run, self.azure, self.path, self.wanted, self.params = run, azure, path, wanted, run.params

    def server_change(self, live: Json | None) -> Change:
        """The server's own change. :raises InputError: for what this server can't become."""
        if live is not None and (sentence := limits(self.params["name"], self.wanted, live)):
            raise InputError(sentence)
        return plan(title(self.path), self.wanted if live is None else grown(self.wanted, live), live, RULES)

    def changes(self, live: Json | None) -> dict[str, Change]:
        """All changes by id: the server's, then those of its parameters, then of its databases; each of these is read, side by side."""
        wanted = {
            f"{self.path}/configurations/{name}": (configuration_body(v), CONFIGURATION_RULES) for name, v in self.params["configurations"].items()
        }
        wanted |= {f"{self.path}/databases/{database['name']}": (database_body(database), DATABASE_RULES) for database in self.params["databases"]}
        found = all_of(wanted, lambda child: self.azure.get(child, API_VERSION)) if live is not None else {}
        for child, setting in found.items():
            if "/configurations/" in child and (sentence := configuration_fault(child.rsplit("/", 1)[-1], setting, *wanted[child])):
                raise InputError(sentence)
        children = {child: plan(title(child), body, found.get(child), rules) for child, (body, rules) in wanted.items()}
        return {self.path: self.server_change(live), **children}

    def apply(self, live: Json, attempts: t.Sequence[Json] = ()) -> Json:
        """Make a server that is Ready, and what it holds, as declared; the module's result. `attempts` created it, if there are any."""
        children = self.changes(live)
        server = children.pop(self.path)
        always = self.params["update_password"] == "always"  # noqa: S105  (a choice, no password)
        if always and not attempts:
            server = with_password(server, self.params["administrator_password"])
        now = {child: change.after if self.run.check_mode else change.live for child, change in children.items()}
        if self.run.writes([server, *children.values()]):
            for body in patches(server):
                live = self.azure.patch(self.path, API_VERSION, body)
            for child, change in children.items():
                if change:
                    now[child] = self.write(child, change)
        pending = sorted(setting["name"] for setting in now.values() if setting and dig(setting, PENDING))
        if pending and self.params["restart"]:
            live, pending = self.restart(live), []
        return self.result(server.after if self.run.check_mode else live, now, attempts, pending)

    def write(self, child: str, change: Change) -> Json:
        """Create a database, or set a parameter as ``az`` and terraform do it."""
        if "/databases/" in child:
            return self.azure.put(child, API_VERSION, change.wanted)
        return self.azure.patch(child, API_VERSION, {"properties": {**change.wanted["properties"], "source": "user-override"}})

    def restart(self, live: Json) -> Json:
        """Restart the server, and wait until it is Ready again."""
        self.run.changed = True
        if self.run.check_mode:
            return live
        self.azure.post(f"{self.path}/restart", API_VERSION)
        return t.cast("Json", self.azure.until(self.path, API_VERSION, lambda found: state_of(found) == "Ready"))

    def result(self, server: Json | None, children: t.Mapping[str, Json | None], attempts: t.Sequence[Json], pending: t.Sequence[str] = ()) -> Json:
        """What the module returns; never a password."""
        if server and PASSWORD in server.get("properties", {}):
            server = {**server, "properties": {key: value for key, value in server["properties"].items() if key != PASSWORD}}
        databases = [found for child, found in children.items() if "/databases/" in child]
        return {"server": server, "databases": databases, "restart_pending": list(pending), "attempts": list(attempts)}


def with_password(change: Change, password: str) -> Change:
    """The change with a new password in it, which no comparison can find."""

    def put(body: Json | None) -> Json:
        return {**(body or {}), "properties": {**(body or {}).get("properties", {}), PASSWORD: password}}

    difference = Difference(f"properties.{PASSWORD}", None, password)
    return dataclasses.replace(
        change, action="update", wanted=put(change.wanted), after=put(change.after), differences=(*change.differences, difference)
    )
