# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do after the creation of a Flexible Server failed. Pure decisions; nothing here calls Azure.

The first creation in a subscription often ends with InternalServerError, a catch-all. What Azure leaves then varies: nothing, a server
that becomes Ready all the same, one that is being dropped, or one that is broken and blocks its name.
"""

from __future__ import annotations

import datetime
import enum
import typing as t

from ._azure_postgresql import SYSTEM_DATABASES

Json = dict[str, t.Any]


class Next(enum.Enum):
    """The next step with a server."""

    CREATE = "create"
    TAKE = "take"
    WAIT = "wait"
    WAIT_GONE = "wait until it is gone"
    REMOVE = "remove"
    REFUSE = "refuse"


MOVING: t.Final = frozenset({"Provisioning", "Updating", "Starting", "Stopping", "Restarting"})
# States that only a server which has served comes into. What has been in one of them is never removed, whatever else is known.
SERVED: t.Final = frozenset({"Ready", "Stopped", "Stopping", "Starting", "Restarting", "Inaccessible"})
ADVICE: t.Final = {
    "Stopped": "start it first (az postgres flexible-server start)",
    "Inaccessible": "its encryption key can't be read: restore the key or the access to it",
}
YOUNG: t.Final = datetime.timedelta(days=1)


def state_of(server: Json | None) -> str | None:
    """``properties.state``, None where there is no server."""
    return None if server is None else server.get("properties", {}).get("state") or "unknown"


def next_step(server: Json | None, *, ours: bool) -> Next:
    """What to do with a server found in this state. ``ours`` says that removing it is safe: see `removable`."""
    state = state_of(server)
    if state is None:
        return Next.CREATE
    if state == "Ready":
        return Next.TAKE
    if state == "Dropping":
        return Next.WAIT_GONE
    if state in MOVING:
        return Next.WAIT
    return Next.REMOVE if ours and state not in SERVED else Next.REFUSE


def removable(server: Json, databases: t.Sequence[Json] | None, states_seen: t.Collection[str], *, created_now: bool, now: datetime.datetime) -> bool:
    """Whether a server that isn't Ready certainly never served, so that removing it loses nothing.

    ``databases`` is what the server lists, None where it couldn't say; ``states_seen`` are the states this run has seen it in;
    ``created_now`` says that this run found no such server before its own creation. A server that an earlier run began must show by itself
    that it never served: it is less than a day old, and it lists its databases with none of a user's among them (or this run saw it Provisioning).
    """
    if set(states_seen) & SERVED:
        return False
    if any(database.get("name") not in SYSTEM_DATABASES for database in databases or ()):
        return False
    return created_now or (young(server, now) and (databases is not None or "Provisioning" in states_seen))


def young(server: Json, now: datetime.datetime) -> bool:
    """Whether the server was made within the last day. Backups are kept for at least 7 days, so the earliest one is as old as a young server;
    a server with none at all has never served."""
    dates = (server.get("systemData", {}).get("createdAt"), (server.get("properties", {}).get("backup") or {}).get("earliestRestoreDate"))
    return all(now - datetime.datetime.fromisoformat(date) < YOUNG for date in dates if date)


def refusal(name: str, server: Json) -> str:
    """The sentence for a server that is left alone in a state nothing can be done with."""
    state = state_of(server) or "unknown"
    advice = ADVICE.get(state, "it may hold data, so it is left alone: see its activity log, and remove it yourself if it is empty")
    return f"The server {name} is {state}: {advice}."


def pause(attempt: int, *, first: float = 30.0, most: float = 300.0) -> float:
    """Seconds to wait after the attempt of this number (from 1): 30, 60, 120, 240, then 300."""
    return min(first * 2.0 ** (attempt - 1), most)
