# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a long module tells the user meanwhile: what is awaited, its state, the time so far.

The action plugin `progress` makes a FIFO in a private folder, names it in PROGRESS and shows each line that arrives there.
Run without the plugin, the module is silent and otherwise the same. Nothing secret goes through here: names and states only.
"""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t

from ._wait import Deadline

PROGRESS = "METAFLOW_INFRA_PROGRESS"
EVERY = 20.0  # seconds after which an unchanged state is told again


class Progress:
    """Writes lines, each when a state is new or has been told long ago. Threads may share one."""

    def __init__(self, deadline: Deadline, path: str | None = None) -> None:
        self.deadline, self.lock = deadline, threading.Lock()
        self.told: dict[str, tuple[str, float]] = {}
        self.fifo: int | None = None
        if path:
            # Nobody at the other end (another user, another machine): ENXIO, ENOENT or EACCES, and nothing is told.
            with contextlib.suppress(OSError):
                self.fifo = os.open(path, os.O_WRONLY | os.O_NONBLOCK)

    @classmethod
    def from_environment(cls, deadline: Deadline, environ: t.Mapping[str, str] | None = None) -> Progress:
        return cls(deadline, (os.environ if environ is None else environ).get(PROGRESS))

    def __call__(self, what: str, state: str) -> None:
        """Tell that `what` is in `state`."""
        now = self.deadline.elapsed
        with self.lock:
            last, when = self.told.get(what, ("", 0.0))
            if state == last and now - when < EVERY:
                return
            self.told[what] = (state, now)
            self.write(f"{what}: {state} ({minutes(now)})")

    def write(self, line: str) -> None:
        if self.fifo is not None:
            # Below PIPE_BUF a write is never mixed with another; a full pipe loses a line rather than the time of the module.
            with contextlib.suppress(OSError):
                os.write(self.fifo, " ".join(line.split()).encode()[:2000] + b"\n")


def minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}m{int(seconds % 60):02d}s" if seconds >= 60 else f"{int(seconds)}s"
