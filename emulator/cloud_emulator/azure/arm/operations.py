"""Long-running operations: started by a write, polled by the client, kept in the store, carried on after a restart."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import datetime
import logging
import secrets
import typing as t
import uuid

from starlette.responses import JSONResponse, Response

from ...clock import timestamp
from .errors import ArmError
from .resource import Call, Principal, Record, ResourceType, Work
from .styles import Style

if t.TYPE_CHECKING:
    from .manager import ResourceManager

COLLECTION = "operations"
IN_PROGRESS, SUCCEEDED, FAILED, CANCELED = "InProgress", "Succeeded", "Failed", "Canceled"
METHODS = {"patch": "update"}  # verbs whose work is that of another one

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Operation:
    """A write that takes time."""

    id: str
    resource: str
    type: str
    verb: str
    api_version: str
    principal: str
    started: str
    #: seconds since 1970 before which it doesn't end (the duration that the settings give its type)
    not_before: float
    status: str = IN_PROGRESS
    ended: str | None = None
    error: dict[str, t.Any] | None = None
    #: key of the lock that it holds
    lock: str | None = None
    #: error that a fault rule asked for
    fault: dict[str, str] | None = None
    arguments: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    #: what an action answers in the end
    result: t.Any = None
    #: paths in lower case that it is polled at
    asynchronous: str | None = None
    location: str | None = None


def signature() -> dict[str, str]:
    """What the URL of an operation carries since 2026, about as long as Azure's: ticks, certificate, signature, hash."""
    ticks = int((datetime.datetime.now(datetime.UTC) - datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)).total_seconds() * 10_000_000)
    texts = {name: base64.urlsafe_b64encode(secrets.token_bytes(size)).decode().rstrip("=") for name, size in (("c", 1500), ("s", 256), ("h", 32))}
    return {"t": str(ticks), **texts}


class Operations:
    """Starts, runs, resumes and answers operations."""

    def __init__(self, manager: ResourceManager) -> None:
        self._manager = manager
        self._store = manager.emulator.store
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def get(self, operation_id: str) -> Operation | None:
        """An operation by its id, None: there is none."""
        value = self._store.get(COLLECTION, operation_id.lower())
        return Operation(**value) if value else None

    def holder(self, lock: str) -> Operation | None:
        """The operation in progress that holds ``lock``."""
        return next((found for found in self.in_progress() if found.lock == lock.lower()), None)

    def in_progress(self) -> list[Operation]:
        """Every operation that hasn't ended: each has a task."""
        found = (self.get(operation_id) for operation_id in self._tasks)
        return [operation for operation in found if operation is not None and operation.status == IN_PROGRESS]

    def start_resumed(self) -> None:
        """Carry on with what a stopped emulator left in progress."""
        for _, value in self._store.items(COLLECTION):
            if value["status"] == IN_PROGRESS:
                self._launch(Operation(**value))

    async def stop(self) -> None:
        """End the tasks; their operations stay in progress in the store."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, call: Call, record: Record, verb: str, arguments: dict[str, t.Any] | None = None) -> Response:
        """Start a write's work and give its first answer; without operation URLs the work is over by then.

        Raises `ArmError` where such a synchronous write fails.
        """
        resource_type, emulator = self._manager.type_of(record), self._manager.emulator
        style = resource_type.style(verb)
        now = emulator.clock.now()
        durations = emulator.settings.durations
        duration = durations.get(f"{resource_type.kind}.{verb}", durations.get(resource_type.kind, 0))
        lock = resource_type.exclusive(self._manager.parse(record.id))
        operation = Operation(
            id=str(uuid.uuid4()),
            resource=record.key,
            type=resource_type.type,
            verb=verb,
            api_version=call.api_version,
            principal=call.principal.id,
            started=timestamp(now),
            not_before=now.timestamp() + duration,
            lock=lock.lower() if lock else None,
            fault=emulator.faults.operation_error(call.request.method, call.request.url.path),
            arguments=arguments or {},
        )
        for name in ("asynchronous", "location"):
            template = getattr(style, name)
            if template:
                setattr(operation, name, self._path(template, resource_type, record, operation))
        record.operation = operation.id
        self._manager.put(record)
        self._save(operation)
        task = self._launch(operation)
        if not style.is_asynchronous:
            await asyncio.shield(task)
            ended = self.get(operation.id) or operation
            if ended.error:
                raise ArmError(int(ended.error.pop("status", 500)), ended.error.pop("code"), ended.error.pop("message"), extra=ended.error)
            record = self._manager.get(record.key) or record
        return self.first_answer(call, record, operation)

    async def cancel(self, record: Record) -> bool:
        """Abort the operation of a resource; False where none is in progress. The resource's state becomes Canceled."""
        operation = self.get(record.operation) if record.operation else None
        if operation is None or operation.status != IN_PROGRESS:
            return False
        task = self._tasks.get(operation.id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._end(operation, CANCELED, {"code": "OperationPreempted", "message": "The operation was canceled by a later request."})
        current = self._manager.get(record.key)
        if current is not None:
            current.state = CANCELED
            self._manager.put(current)
        return True

    def poll(self, call: Call, path: str) -> Response | None:
        """Answer of a poll, None where ``path`` is no operation's."""
        operation = self.get(path.rsplit("/", 1)[-1].rpartition(";")[2])
        if operation is None or call.request.method != "GET":
            return None
        if path.lower() == (operation.asynchronous or "").lower():
            return self._poll_status(call, operation)
        if path.lower() == (operation.location or "").lower():
            return self._poll_location(call, operation)
        return None

    # --- answers -----------------------------------------------------------------------------------------------------------------------

    def _path(self, template: str, resource_type: ResourceType, record: Record, operation: Operation) -> str:
        record_id = self._manager.parse(record.id)
        token = operation.id
        if "privateDnsOperation" in template:
            token = f"{base64.urlsafe_b64encode(operation.verb.encode()).decode().rstrip('=')};{operation.id}"
        return template.format(
            subscription=record_id.subscription,
            group=record_id.group_id,
            namespace=resource_type.namespace,
            location=self._manager.location_of(record),
            operation=token,
        )

    def _headers(self, call: Call, operation: Operation, style: Style) -> dict[str, str]:
        version = style.api_version or operation.api_version
        headers = {"Retry-After": str(self._manager.emulator.settings.retry_after)}
        for header, path, extra in (("Azure-AsyncOperation", operation.asynchronous, ""), ("Location", operation.location, "monitor=true&")):
            if path:
                query = "&".join(f"{name}={value}" for name, value in signature().items())
                headers[header] = f"{call.host}{path}?{extra if style.body == 'text' else ''}api-version={version}&{query}"
        return headers

    def first_answer(self, call: Call, record: Record, operation: Operation) -> Response:
        """What the call that starts an operation is answered, and one that asks for the same again."""
        resource_type = self._manager.type_of(record)
        style = resource_type.style(operation.verb)
        headers = dict(style.headers)
        if style.is_asynchronous:
            headers.update(self._headers(call, operation, style))
        if style.body == "resource":
            return JSONResponse(resource_type.render(self._manager, record), style.status, headers)
        if style.body == "object":
            return JSONResponse({}, style.status, headers)
        if style.body == "operation":
            return JSONResponse({"operation": style.operation, "startTime": operation.started}, style.status, headers)
        return Response(b"", style.status, headers, media_type="text/plain" if style.body == "text" else None)

    def _poll_status(self, call: Call, operation: Operation) -> Response:
        style = self._manager.types[operation.type.lower()].style(operation.verb)
        known = {"name": operation.id, "startTime": operation.started, "endTime": operation.ended}
        body: dict[str, t.Any] = {name: known[name] for name in style.poll if known[name] is not None}
        body["status"] = operation.status
        if operation.error:
            body["error"] = {name: value for name, value in operation.error.items() if name != "status"}
        headers = self._headers(call, operation, style) if operation.status == IN_PROGRESS else {}
        if not headers:
            headers = {"Retry-After": str(self._manager.emulator.settings.retry_after)}
        return JSONResponse(body, 200, headers)

    def _poll_location(self, call: Call, operation: Operation) -> Response:
        resource_type = self._manager.types[operation.type.lower()]
        style = resource_type.style(operation.verb)
        if operation.status == IN_PROGRESS:
            return Response(b"", 202, self._headers(call, operation, style), media_type="text/plain" if style.body == "text" else None)
        if operation.error:
            error = dict(operation.error)
            raise ArmError(int(error.pop("status", 409)), error.pop("code"), error.pop("message"), extra=error)
        record = self._manager.get(operation.resource)
        if style.location_body == "resource" and record is not None:
            return JSONResponse(resource_type.render(self._manager, record), style.location_status)
        if style.location_body == "result" and operation.result is not None:
            return JSONResponse(operation.result, style.location_status)
        return Response(b"", style.location_status)

    # --- work --------------------------------------------------------------------------------------------------------------------------

    def _save(self, operation: Operation) -> None:
        self._store.put(COLLECTION, operation.id, dataclasses.asdict(operation))

    def _end(self, operation: Operation, status: str, error: dict[str, t.Any] | None = None) -> None:
        operation.status, operation.error, operation.arguments = status, error, {}
        operation.ended = timestamp(self._manager.emulator.clock.now())
        self._save(operation)

    def _launch(self, operation: Operation) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(operation), name=f"{operation.verb} {operation.resource}")
        self._tasks[operation.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(operation.id, None))
        return task

    async def _run(self, operation: Operation) -> None:
        record = self._manager.get(operation.resource)
        if record is None:
            return self._end(operation, SUCCEEDED)
        resource_type = self._manager.type_of(record)
        work = Work(self._manager, record, operation, operation.arguments)
        try:
            if operation.fault is None:
                await getattr(resource_type, METHODS.get(operation.verb, operation.verb))(work)
            remaining = operation.not_before - self._manager.emulator.clock.now().timestamp()
            if remaining > 0:
                await self._manager.emulator.clock.sleep(remaining)
            if operation.fault is not None:
                raise ArmError(409, operation.fault["code"], operation.fault["message"])
        except ArmError as error:
            return self._fail(operation, resource_type, work, error)
        except Exception:
            log.exception("%s of %s failed", operation.verb, operation.resource)
            message = f"An unexpected error occured while processing the request. Tracking ID: '{operation.id}'"
            return self._fail(operation, resource_type, work, ArmError(500, "InternalServerError", message))
        self._succeed(operation, work)
        return None

    def _fail(self, operation: Operation, resource_type: ResourceType, work: Work, error: ArmError) -> None:
        resource_type.failed(work, error)
        self._end(operation, FAILED, {"status": error.status, **error.description()})

    def _succeed(self, operation: Operation, work: Work) -> None:
        if operation.verb == "delete":
            self._manager.forget(work.record.id)
        else:
            if operation.verb in ("create", "update", "patch"):
                work.record.state = SUCCEEDED
            work.save()
        self._end(operation, SUCCEEDED)


__all__ = ["Operation", "Operations", "Principal"]
