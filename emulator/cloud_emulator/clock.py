"""The emulator's one clock, so that a test can bring its own."""

from __future__ import annotations

import asyncio
import datetime


class Clock:
    """Time as every part of the emulator sees it."""

    def now(self) -> datetime.datetime:
        """The time, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def timestamp(moment: datetime.datetime) -> str:
    """A moment as Azure writes it, such as 2026-03-01T09:30:00.1234567Z (seven digits of a second)."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
