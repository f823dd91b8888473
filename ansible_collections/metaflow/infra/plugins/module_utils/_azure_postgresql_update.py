# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing a Flexible Server that is there: itself, its parameters, its databases, one write at a time, and its restart."""

from __future__ import annotations

import dataclasses
import typing as t

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
        return plan(self.path, self.wanted if live is None else grown(self.wanted, live), live, RULES)

    def changes(self, live: Json | None) -> list[Change]:
        """All changes: the server's, then those of its parameters, then of its databases; each of these is read, side by side."""
        wanted = {
            f"{self.path}/configurations/{name}": (configuration_body(v), CONFIGURATION_RULES) for name, v in self.params["configurations"].items()
        }
        wanted |= {f"{self.path}/databases/{database['name']}": (database_body(database), DATABASE_RULES) for database in self.params["databases"]}
        found = all_of(wanted, lambda child: self.azure.get(child, API_VERSION)) if live is not None else {}
        for child, setting in found.items():
            if "/configurations/" in child and (sentence := configuration_fault(child.rsplit("/", 1)[-1], setting, *wanted[child])):
                raise InputError(sentence)
        return [self.server_change(live), *(plan(child, body, found.get(child), rules) for child, (body, rules) in wanted.items())]

    def apply(self, live: Json, attempts: t.Sequence[Json] = ()) -> Json:
        """Make a server that is Ready, and what it holds, as declared; the module's result. `attempts` created it, if there are any."""
        server, *children = self.changes(live)
        always = self.params["update_password"] == "always"  # noqa: S105  (a choice, no password)
        if always and not attempts:
            server = with_password(server, self.params["administrator_password"])
        now = {change.key: change.after if self.run.check_mode else change.live for change in children}
        if self.run.writes([server, *children]):
            for body in patches(server):
                live = self.azure.patch(self.path, API_VERSION, body)
            for change in filter(None, children):
                write = self.azure.put if "/databases/" in change.key else self.azure.patch
                now[change.key] = write(change.key, API_VERSION, change.wanted)
        pending = sorted(setting["name"] for setting in now.values() if setting and dig(setting, PENDING))
        if pending and self.params["restart"]:
            live, pending = self.restart(live), []
        children = [dataclasses.replace(change, after=now[change.key]) for change in children]
        return self.result(server.after if self.run.check_mode else live, children, attempts, pending)

    def restart(self, live: Json) -> Json:
        """Restart the server, and wait until it is Ready again."""
        self.run.changed = True
        if self.run.check_mode:
            return live
        self.azure.post(f"{self.path}/restart", API_VERSION)
        return t.cast("Json", self.azure.until(self.path, API_VERSION, lambda found: state_of(found) == "Ready"))

    def result(self, server: Json | None, changes: t.Sequence[Change], attempts: t.Sequence[Json], pending: t.Sequence[str] = ()) -> Json:
        """What the module returns; never a password."""
        if server and PASSWORD in server.get("properties", {}):
            server = {**server, "properties": {key: value for key, value in server["properties"].items() if key != PASSWORD}}
        databases = [change.after for change in changes if "/databases/" in change.key]
        return {"server": server, "databases": databases, "restart_pending": list(pending), "attempts": list(attempts)}


def with_password(change: Change, password: str) -> Change:
    """The change with a new password in it, which no comparison can find."""

    def put(body: Json | None) -> Json:
        return {**(body or {}), "properties": {**(body or {}).get("properties", {}), PASSWORD: password}}

    difference = Difference(f"properties.{PASSWORD}", None, password)
    return dataclasses.replace(
        change, action="update", wanted=put(change.wanted), after=put(change.after), differences=(*change.differences, difference)
    )
