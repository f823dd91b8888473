# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting: a pure predicate, a clock and a loop."""

from __future__ import annotations

import itertools
import time
import typing as t

from ._errors import Timeout

T = t.TypeVar("T")


class Clock(t.Protocol):
    """Seconds that never run backwards, and a way to let them pass. `time` itself is one; tests bring their own."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Deadline:
    """A point in time that something must be done by, `seconds` from now."""

    def __init__(self, seconds: float, clock: Clock = time) -> None:
        self.clock, self.seconds, self.start = clock, seconds, clock.monotonic()

    @property
    def elapsed(self) -> float:
        return self.clock.monotonic() - self.start

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.elapsed)

    def within(self, seconds: float) -> Deadline:
        """A deadline `seconds` from now, but never after this one."""
        return Deadline(min(seconds, self.left), self.clock)

    def sleep(self, seconds: float, what: str, state: str) -> None:
        """Let `seconds` pass; :raises Timeout: where they would end after the deadline."""
        if seconds > self.left:
            raise Timeout(what, self.elapsed, state)
        self.clock.sleep(seconds)


def intervals(first: float = 1.0, last: float = 10.0, factor: float = 1.5) -> t.Iterator[float]:
    """Growing pauses in seconds: quick things are seen at once, slow ones aren't asked all the time."""
    return (min(last, first * factor**n) for n in itertools.count())


def wait_for(
    read: t.Callable[[], T],
    done: t.Callable[[T], bool],
    *,
    what: str,
    deadline: Deadline,
    state: t.Callable[[T], str] = str,
    report: t.Callable[[str, str], None] = lambda what, state: None,
    pauses: t.Iterable[float] | None = None,
) -> T:
    """Read until `done` says so, and return what was read last.

    `what` names the thing, `state` puts what was read into words, `report` is told both at each round.
    :raises Timeout: at the deadline, with the last state seen.
    """
    for pause in pauses or intervals():
        seen = read()
        if done(seen):
            return seen
        report(what, state(seen))
        deadline.sleep(pause, what, state(seen))
    raise Timeout(what, deadline.elapsed, "not asked again")
