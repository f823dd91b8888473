# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in the order of its dependencies, side by side where nothing stands against it."""

from __future__ import annotations

import concurrent.futures
import typing as t

from ._errors import Failures, InfraError, InputError

T = t.TypeVar("T")
WORKERS = 16


def in_order(
    needs: t.Mapping[str, t.Collection[str]],
    work: t.Callable[[str], T],
    *,
    locks: t.Mapping[str, str] | None = None,
    workers: int = WORKERS,
) -> dict[str, T]:
    """Call `work(key)` for each key of `needs` in a thread, once all that it needs are done; keys with the same lock one at a time.

    A failure stops only what depends on it. Returns the results by key.
    :raises InputError: where keys need each other in a circle, before anything is done.
    :raises Failures: after all that could be done is done; a single failure is raised as it is.
    """
    locks = locks or {}
    waiting = {key: {n for n in names if n in needs and n != key} for key, names in needs.items()}
    refuse_circle(waiting)
    results: dict[str, T] = {}
    failed: dict[str, InfraError] = {}
    skipped: list[str] = []
    running: dict[concurrent.futures.Future[T], str] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(workers, len(needs)))) as pool:
        while waiting or running:
            held = {locks[key] for key in running.values() if key in locks}
            for key, names in list(waiting.items()):
                if names & (failed.keys() | set(skipped)):
                    skipped.append(key)
                    del waiting[key]
                elif names <= results.keys() and locks.get(key) not in held:
                    running[pool.submit(work, key)] = key
                    held |= {locks[key]} if key in locks else set()
                    del waiting[key]
            done, dummy = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                key = running.pop(future)
                try:
                    results[key] = future.result()
                except InfraError as error:
                    failed[key] = error
    errors = [failed[key] for key in needs if key in failed]
    if len(errors) == 1 and not skipped:
        raise errors[0]
    if errors:
        raise Failures(errors, skipped)
    return results


def all_of(keys: t.Iterable[str], work: t.Callable[[str], T], workers: int = WORKERS) -> dict[str, T]:
    """`work(key)` for each key, side by side."""
    return in_order(dict.fromkeys(keys, ()), work, workers=workers)


def refuse_circle(needs: t.Mapping[str, t.Collection[str]]) -> None:
    left = {key: set(names) for key, names in needs.items()}
    while left:
        free = [key for key, names in left.items() if not names & left.keys()]
        if not free:
            raise InputError(f"These need each other in a circle: {', '.join(sorted(left))}.")
        for key in free:
            del left[key]
