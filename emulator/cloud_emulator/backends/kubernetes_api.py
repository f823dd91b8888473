"""A small client of an API server: requests, and informers that keep a local copy of what they watch."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import json
import logging
import threading
import typing as t

import urllib3

Object = dict[str, t.Any]
log = logging.getLogger(__name__)
_threads = concurrent.futures.ThreadPoolExecutor(max_workers=8, thread_name_prefix="kubernetes-api")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclasses.dataclass
class ApiError(Exception):
    """What an API server refused (status 0: it did not answer)."""

    status: int
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.message}"


class Api:
    """An API server, spoken to with a client certificate."""

    def __init__(self, url: str, ca_file: str, cert_file: str, key_file: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(
            maxsize=16, ca_certs=ca_file, cert_file=cert_file, key_file=key_file, retries=False, headers={"User-Agent": "cloud-emulator"}
        )

    async def request(self, method: str, path: str, body: t.Any = None, content_type: str = "application/json", timeout: float = 30) -> Object:
        """One request; the answer's JSON. Raises ApiError."""
        return await asyncio.get_running_loop().run_in_executor(_threads, self._request, method, path, body, content_type, timeout)

    async def get(self, path: str) -> Object | None:
        """An object, or None where there is none."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Object) -> None:
        """Create an object; does nothing where it exists."""
        with _ignoring(409):
            await self.request("POST", path, body)

    async def apply(self, path: str, body: Object) -> Object:
        """Server-side apply at the object's own path."""
        return await self.request("PATCH", f"{path}?fieldManager=cloud-emulator&force=true", body, APPLY)

    async def patch(self, path: str, body: Object, content_type: str = MERGE) -> None:
        """Patch an object; does nothing where it is gone."""
        with _ignoring(404):
            await self.request("PATCH", path, body, content_type)

    async def delete(self, path: str, body: Object | None = None) -> None:
        """Delete an object; does nothing where it is gone."""
        with _ignoring(404, 409):
            await self.request("DELETE", path, body)

    def _request(self, method: str, path: str, body: t.Any, content_type: str, timeout: float) -> Object:
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "cloud-emulator"}
        data = None if body is None else json.dumps(body)
        try:
            answer = self._pool.request(method, self.url + path, body=data, headers=headers, timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, "Unreachable", str(error)) from error
        return _decoded(answer.status, answer.data)

    def stream(self, path: str) -> urllib3.BaseHTTPResponse:
        """A watch that has begun. Raises ApiError."""
        try:
            answer = self._pool.request("GET", self.url + path, preload_content=False, timeout=urllib3.Timeout(connect=10, read=400))
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, "Unreachable", str(error)) from error
        if answer.status >= 300:
            _decoded(answer.status, answer.data)
        return answer

    def list(self, path: str) -> Object:
        """As `request`, for threads."""
        return self._request("GET", path, None, "application/json", 60)

    def close(self) -> None:
        self._pool.clear()


class Informer:
    """A local copy of all objects of one kind, kept by a thread. `changed(object, gone)` is called in the event loop."""

    def __init__(self, api: Api, path: str, changed: t.Callable[[Object, bool], None]) -> None:
        self._api, self._path, self._changed = api, path, changed
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._answer: urllib3.BaseHTTPResponse | None = None
        self.objects: dict[str, Object] = {}
        self.synced = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin; `synced` is set once `objects` is complete."""
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; `changed` is not called any more."""
        self._stopped.set()
        if self._answer is not None:
            with contextlib.suppress(Exception):
                self._answer.shutdown()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except (ApiError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if not self._stopped.is_set():
                    log.debug("watch %s: %s", self._path, error)
            self._stopped.wait(0.5)

    def _follow(self) -> None:
        found = self._api.list(self._path)
        self._tell(self._replace, found.get("items") or [])
        version = found["metadata"]["resourceVersion"]
        while not self._stopped.is_set():
            self._answer = self._api.stream(f"{self._path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={version}")
            for event in _lines(self._answer):
                if event["type"] == "ERROR":  # too old a version, mostly: list again
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._tell(self._change, event["object"], event["type"] == "DELETED")

    def _tell(self, function: t.Callable[..., None], *arguments: t.Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _replace(self, objects: list[Object]) -> None:
        present = {key_of(item) for item in objects}
        for gone in [item for key, item in self.objects.items() if key not in present]:
            self._change(gone, True)
        for item in objects:
            self._change(item, False)
        self.synced.set()

    def _change(self, item: Object, gone: bool) -> None:
        if self._stopped.is_set():
            return
        if gone:
            self.objects.pop(key_of(item), None)
        else:
            self.objects[key_of(item)] = item
        try:
            self._changed(item, gone)
        except Exception:
            log.exception("handling a change of %s", key_of(item))


def key_of(item: Object) -> str:
    """namespace/name."""
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def _lines(answer: urllib3.BaseHTTPResponse) -> t.Iterator[Object]:
    rest = b""
    for chunk in answer.stream(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _decoded(status: int, data: bytes) -> Object:
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        body = {"message": data.decode(errors="replace")}
    if status >= 300:
        raise ApiError(status, body.get("reason", ""), body.get("message", ""))
    return t.cast(Object, body)


@contextlib.contextmanager
def _ignoring(*statuses: int) -> t.Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.status not in statuses:
            raise
