"""What hooks of resource types are given: a resource's record, the call, the work, and rules of names."""

from __future__ import annotations

import copy
import dataclasses
import re
import typing as t

from .errors import ArmError
from .ids import ResourceId

if t.TYPE_CHECKING:
    from starlette.requests import Request

    from ...emulator import Emulator
    from .manager import ResourceManager
    from .operations import Operation

Body = dict[str, t.Any]


@dataclasses.dataclass
class Record:
    """What the store keeps of one resource."""

    id: str
    type: str
    #: as a GET shows it: id, name, type, location, tags, properties, ...
    body: Body
    #: Creating, Updating, Deleting, Succeeded, Failed: shown where the type has a provisioning state
    state: str = "Succeeded"
    #: what no GET shows: keys, passwords' traces, addresses of backends
    private: Body = dataclasses.field(default_factory=dict)
    etag: str = ""
    created: str = ""
    #: id of the last operation
    operation: str = ""

    @property
    def key(self) -> str:
        """Id in lower case."""
        return self.id.lower()

    @property
    def name(self) -> str:
        """Last name of the id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def location(self) -> str:
        """Region without spaces, in lower case; '' where the resource has none."""
        return str(self.body.get("location", "")).replace(" ", "").lower()

    @property
    def properties(self) -> Body:
        """``properties`` of the body, made when there are none."""
        found: Body = self.body.setdefault("properties", {})
        return found


@dataclasses.dataclass(frozen=True)
class Principal:
    """Who calls: ``id`` is the object id in the directory."""

    id: str
    app_id: str
    claims: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Call:
    """One request, with what a hook may need."""

    manager: ResourceManager
    request: Request
    principal: Principal
    api_version: str
    parameters: dict[str, str]
    #: parsed JSON body, None without one
    body: t.Any = None
    #: id that the path names, None for a `Route` that names none
    id: ResourceId | None = None

    @property
    def emulator(self) -> Emulator:
        """The emulator with its store, clock, settings, directory and backends."""
        return self.manager.emulator

    @property
    def query(self) -> t.Mapping[str, str]:
        """Query parameters."""
        return self.request.query_params

    @property
    def host(self) -> str:
        """Scheme and host that operation URLs start with."""
        return f"https://{self.request.headers.get('host', self.request.url.netloc)}"

    @property
    def resource_id(self) -> ResourceId:
        """Id that the path names; only in hooks of a type."""
        assert self.id is not None
        return self.id


@dataclasses.dataclass
class Work:
    """The real part of an operation; hooks may change ``record`` (saved when the work ends, or earlier by ``save``)."""

    manager: ResourceManager
    record: Record
    operation: Operation
    #: what the call that started it passed on; forgotten when the operation ends
    arguments: Body

    @property
    def emulator(self) -> Emulator:
        """The emulator with its store, clock, settings, directory and backends."""
        return self.manager.emulator

    def save(self) -> None:
        """Keep the record as it is now."""
        self.manager.put(self.record)


@dataclasses.dataclass(frozen=True)
class Naming:
    """Rule of a name: a regular expression for all of it, and Azure's refusal (``{name}`` and ``{type}`` are filled in)."""

    pattern: str
    code: str
    message: str
    status: int = 400

    def check(self, name: str, resource_type: str) -> None:
        """Raise `ArmError` for a name that breaks the rule."""
        if not re.fullmatch(self.pattern, name):
            raise ArmError(self.status, self.code, self.message.format(name=name, type=resource_type))


def merge(old: t.Any, new: t.Any) -> t.Any:
    """JSON merge patch (RFC 7396)."""
    if not isinstance(new, dict):
        return copy.deepcopy(new)
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
