"""Tells the API server of one pod: its status whenever it has changed, and its events in their order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t
import uuid

from ..kubernetes_api import STRATEGIC, Api, ApiError, Object
from .status import now

log = logging.getLogger(__name__)


class Reporter:
    """One task that writes to the API server; `status` gives what it shall say at that moment."""

    def __init__(self, api: Api, pod: Object, status: t.Callable[[], Object]) -> None:
        self._api, self._status = api, status
        metadata = pod["metadata"]
        self._namespace, self._name = metadata["namespace"], metadata["name"]
        self._reference = {"apiVersion": "v1", "kind": "Pod", "namespace": self._namespace, "name": self._name, "uid": metadata["uid"]}
        self._node = pod["spec"]["nodeName"]
        self._events: list[tuple[str, str, str, str]] = []
        self._counts: dict[tuple[str, str, str, str], tuple[str, int]] = {}
        self._dirty = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._write())

    def changed(self) -> None:
        """The status is another one now."""
        self._dirty = True
        self._idle.clear()
        self._wake.set()

    def event(self, kind: str, reason: str, message: str, container: str = "") -> None:
        """Something happened: `kind` is Normal or Warning, `container` a path such as spec.containers{x}."""
        self._events.append((kind, reason, message, container))
        self._idle.clear()
        self._wake.set()

    async def flush(self) -> None:
        """Wait until all is told, for a few seconds at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), 10)

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty or self._events:
                try:
                    events, self._events = self._events, []
                    for event in events:
                        await self._record(event)
                    if self._dirty:
                        self._dirty = False
                        path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}/status"
                        await self._api.patch(path, {"metadata": {"uid": self._reference["uid"]}, "status": self._status()}, STRATEGIC)
                except ApiError as error:
                    if error.status == 409:  # the name belongs to another pod by now
                        continue
                    log.warning("pod %s/%s: %s", self._namespace, self._name, error)
                    if error.status == 0 or error.status >= 500:  # it may be better the next time
                        self._dirty = True
                        await asyncio.sleep(1)
            self._idle.set()

    async def _record(self, event: tuple[str, str, str, str]) -> None:
        kind, reason, message, container = event
        events = f"/api/v1/namespaces/{self._namespace}/events"
        name, count = self._counts.get(event, (f"{self._name}.{uuid.uuid4().hex[:16]}", 0))
        self._counts[event] = (name, count + 1)
        if count:
            await self._api.patch(f"{events}/{name}", {"count": count + 1, "lastTimestamp": now()})
            return
        body = {
            "metadata": {"name": name, "namespace": self._namespace},
            "involvedObject": {**self._reference, **({"fieldPath": container} if container else {})},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self._node},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        with contextlib.suppress(ApiError):  # such as a namespace that is going away
            await self._api.create(events, body)
