# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing a Flexible Server into being: creation, and recovery where Azure fails it. The decisions are in `_azure_postgresql_recovery`."""

from __future__ import annotations

import datetime
import typing as t

from ._azure_failures import creation_hint, creation_may_pass
from ._azure_machines import UNKNOWN
from ._azure_postgresql import API_VERSION, creation, dig, offer_fault
from ._azure_postgresql_recovery import MOVING, Next, next_step, pause, refusal, removable, state_of
from ._errors import ApiError, InputError, Timeout
from ._wait import Deadline

if t.TYPE_CHECKING:
    from ._azure_client import Azure
    from ._run import Run

Json = dict[str, t.Any]


def refuse_offer(run: Run, azure: Azure, body: Json) -> None:
    """Ask what the region offers. :raises InputError: where this server can't be had there, which a creation would hide in InternalServerError."""
    location = str(body["location"])
    path = f"/subscriptions/{azure.subscription_id}/providers/Microsoft.DBforPostgreSQL/locations/{location}/capabilities"
    try:
        offered = azure.pages(path, {"api-version": API_VERSION}, during="read the offer of PostgreSQL servers")
    except ApiError as error:
        if not UNKNOWN & set(error.codes):
            raise
        run.warn(f"What PostgreSQL servers {location} offers could not be asked: {error}")
        return
    if sentence := offer_fault(offered, location, dig(body, ("properties", "version")), dig(body, ("sku", "name"))):
        raise InputError(sentence)


class Creation:
    """One server on its way to Ready. `attempts` tells what was tried: number, seconds since the start, the error that ended it (None: none)."""

    def __init__(self, run: Run, azure: Azure, path: str, body: Json, password: str) -> None:
        self.run, self.azure, self.path, self.body = run, azure, path, creation(body, password)
        self.name = path.rsplit("/", 1)[-1]
        self.what = f"PostgreSQL server {self.name}"
        self.deadline: Deadline = run.deadline.within(run.params["creation_timeout"])
        self.attempts: list[Json] = []
        self.seen: set[str] = set()
        self.created_now = False
        self.error: ApiError | None = None

    def start(self) -> Json | None:
        """Ask for the server and don't wait. A failure that may pass is left to a later call that waits."""
        return self.attempt(wait=False)

    def finish(self, server: Json | None) -> Json:
        """Create, wait and recover until the server is Ready, and return it.

        :raises ApiError: for what doesn't pass by itself, and the last failure where `creation_timeout` is over.
        :raises InputError: for a server that is left alone, as it may hold data.
        """
        while (step := self.next(server)) is not Next.TAKE:
            if step is Next.REFUSE:
                raise self.refused(t.cast("Json", server))
            server = self.step(step, server)
        return t.cast("Json", server)

    def next(self, server: Json | None) -> Next:
        """The next step; asks for the databases only where a removal is considered."""
        self.seen |= {state} if (state := state_of(server)) else set()
        if server is None or next_step(server, ours=True) is not Next.REMOVE:
            return next_step(server, ours=False)
        return next_step(
            server, ours=removable(server, self.databases(), self.seen, created_now=self.created_now, now=datetime.datetime.now(datetime.UTC))
        )

    def step(self, step: Next, server: Json | None) -> Json | None:
        """Do it, and return the server as it is then."""
        if step is Next.CREATE:
            self.rest()
            return self.attempt(wait=True)
        if step is Next.REMOVE:
            self.run.report(self.what, f"{state_of(server)} and never used: removing it")
            self.run.changed = True
            self.azure.delete(self.path, API_VERSION)
            return None
        staying = {"Dropping"} if step is Next.WAIT_GONE else MOVING
        try:
            return self.run.wait_for(
                lambda: self.azure.get(self.path, API_VERSION),
                lambda found: state_of(found) not in staying,
                self.what,
                lambda found: str(state_of(found)),
                timeout=self.deadline.left,
            )
        except Timeout as timeout:
            raise self.over(timeout) from None

    def attempt(self, *, wait: bool) -> Json | None:
        """One PUT, awaited or not, and the server as it is then. A failure that may pass is kept in `error`, any other is raised."""
        number, since = len(self.attempts) + 1, self.deadline.elapsed
        self.run.report(self.what, f"creating, attempt {number}")
        self.seen, self.created_now, self.run.changed = set(), True, True
        try:
            server = self.azure.put(self.path, API_VERSION, self.body, wait=wait)
        except ApiError as error:
            self.attempts.append({"attempt": number, "seconds": round(since), "error": str(error)})
            if not creation_may_pass(error.status, error.codes, str(error)):
                raise self.explained(error) from None
            self.error = error
            return self.azure.get(self.path, API_VERSION)
        self.attempts.append({"attempt": number, "seconds": round(since), "error": None})
        return server if "id" in server else self.azure.until(self.path, API_VERSION, lambda found: found is not None)

    def rest(self) -> None:
        """Pause before another attempt. :raises ApiError: the last failure, where the time for attempts would be over."""
        if self.error is None:
            return
        seconds = pause(len(self.attempts))
        self.run.report(self.what, f"creation failed with {self.error.code}; attempt {len(self.attempts) + 1} in {seconds:.0f} s")
        try:
            self.deadline.sleep(seconds, self.what, self.error.code)
        except Timeout as timeout:
            raise self.over(timeout) from None

    def over(self, timeout: Timeout) -> ApiError | Timeout:
        """The failure to end with once `creation_timeout` is over: the last one that Azure gave, if any."""
        if self.error is None:
            return timeout
        location = dig(self.body, ("location",))
        self.error.hint = (
            f"So ended {len(self.attempts)} attempts in {self.deadline.elapsed:.0f} s (creation_timeout is {self.run.params['creation_timeout']} s). "
            "Run it again later; if it stays so, choose another region or size, or ask Azure support, with the request id, "
            f"why PostgreSQL Flexible Servers can't be created in {location}."
        )
        return self.error

    def explained(self, error: ApiError) -> ApiError:
        """The error with what to ask Azure for."""
        facts = {
            "location": dig(self.body, ("location",)),
            "sku": dig(self.body, ("sku", "name")),
            "version": dig(self.body, ("properties", "version")),
        }
        hint = creation_hint(error.codes, str(error), **{name: str(value) for name, value in facts.items()})
        error.hint = f"What to do: {hint}." if hint else error.hint
        return error

    def refused(self, server: Json) -> InputError:
        """The sentence for a server that is left alone, with the failure that made it so, if this run knows it."""
        return InputError(f"{refusal(self.name, server)}{f' Its creation failed with: {self.error}' if self.error else ''}")

    def databases(self) -> list[Json] | None:
        """What the server lists, None where it can't say."""
        try:
            return self.azure.pages(f"{self.path}/databases", {"api-version": API_VERSION})
        except ApiError:
            return None
