"""A small flow of everyday shape: a fan-out over shards, one of which fails at first and is retried, a join, artifacts of more than 1 MB."""

from __future__ import annotations

import hashlib

from metaflow import FlowSpec, Parameter, current, retry, step

MEGABYTE = 1024 * 1024


def shard_bytes(number: int) -> bytes:
    """The same bytes every time, which don't compress: a little over 1 MB for each shard."""
    return hashlib.shake_256(f"shard {number}".encode()).digest(MEGABYTE + number)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class DemoFlow(FlowSpec):
    shards = Parameter("shards", help="how many shards to work on, next to each other", default=3, type=int)

    @step
    def start(self) -> None:
        self.numbers = list(range(1, self.shards + 1))
        self.next(self.work, foreach="numbers")

    @retry(times=2, minutes_between_retries=0)
    @step
    def work(self) -> None:
        if self.input == 2 and current.retry_count == 0:
            raise RuntimeError("shard 2 fails at its first attempt, as it should: the second one is to succeed")
        self.number = self.input
        self.attempts = current.retry_count + 1
        self.data = shard_bytes(self.number)
        self.digest = digest(self.data)
        self.next(self.join)

    @step
    def join(self, inputs) -> None:  # type: ignore[no-untyped-def]  # Metaflow has no types
        ordered = sorted(inputs, key=lambda shard: shard.number)
        self.everything = b"".join(shard.data for shard in ordered)
        self.digests = [shard.digest for shard in ordered]
        self.attempts = {shard.number: shard.attempts for shard in ordered}
        self.next(self.end)

    @step
    def end(self) -> None:
        self.total = len(self.everything)
        print(f"{len(self.digests)} shards, {self.total} bytes")


if __name__ == "__main__":
    DemoFlow()
