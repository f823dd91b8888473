"""Request bodies held against the descriptions that `describe` makes of Microsoft's SDK models.

The descriptions are made once, in a process of its own, and kept in the user's cache under a name that carries the SDKs' versions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import typing as t

from . import describe
from .resource import Body, Call, ResourceType

ENVELOPE = frozenset({"id", "name", "type", "etag", "systemData", "apiVersion"})
JSON_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
NAMES = {"str": "System.String", "int": "System.Int32", "float": "System.Double", "bool": "System.Boolean", "list": "System.Collections.Generic.List"}
Classes = dict[str, dict[str, list[t.Any]]]

_loaded: Classes = {}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with a body; as text it reads as Azure's JSON reader words it."""

    kind: t.Literal["unknown", "type", "value", "missing"]
    path: str
    #: name of the property
    name: str
    #: short name of the object's class, or of the type that was expected
    of: str
    value: t.Any = None
    allowed: tuple[str, ...] = ()
    position: int = 0

    def __str__(self) -> str:
        place = f"Path '{self.path}', line 1, position {self.position}."
        if self.kind == "unknown":
            return f"Could not find member '{self.name}' on object of type '{self.of}'. {place}"
        if self.kind == "missing":
            return f"Required property '{self.name}' not found in JSON. {place}"
        return f"Error converting value {json.dumps(self.value)} to type '{self.of}'. {place}"


def prepare(types: t.Iterable[ResourceType]) -> None:
    """Load the descriptions that the types need, made anew where the cache has none for these SDKs. Blocking; the first time some 10 s."""
    names = sorted({name for kind in types for name in (kind.model, kind.patch_model, kind.read_model) if name})
    if not all(name in _loaded for name in names):
        _loaded.update(_descriptions(names))


def check(call: Call, resource_type: ResourceType, body: Body, *, patch: bool = False) -> None:
    """Refuse a body that doesn't fit, in the provider's words; with ``patch`` nothing is required."""
    model = (resource_type.patch_model if patch else None) or resource_type.model
    if model is None:
        return
    prepare([resource_type])
    lenient = patch and resource_type.patch_model is None
    fault = _Check(resource_type, lenient).fault(model, body)
    if fault is not None:
        raw: str = call.request.scope.get("raw_body", "")
        raise resource_type.invalid(dataclasses.replace(fault, position=_position(raw, fault.path)))


def without_read_only(resource_type: ResourceType, body: Body) -> Body:
    """The body without what only the service sets, which Azure ignores when a client sends back what it read, and what says nothing."""
    if resource_type.model is None:
        return body
    prepare([resource_type])
    kept: Body = _Check(resource_type, True).kept(resource_type.model, body, "")
    return {**{key: value for key, value in body.items() if key in ENVELOPE}, **kept}


class _Check:
    """One walk over a body."""

    def __init__(self, resource_type: ResourceType, lenient: bool) -> None:
        self._type = resource_type
        self._lenient = lenient
        self._read = _loaded.get(resource_type.read_model or "", {})

    def fault(self, model: str, body: Body) -> Fault | None:
        return next(self._object(model, body, ""), None)

    def kept(self, model: str, value: t.Any, path: str) -> t.Any:
        properties, result = _loaded[model], {}
        for name, inner in value.items():
            place = f"{path}{name}"
            if inner is None or (not path and name in ENVELOPE) or (inner == "" and self._type.empty_is_missing):
                continue
            if name not in properties:
                if place in self._type.accepted:
                    result[name] = inner
                continue
            kind, flags = properties[name]
            if flags != "r":
                result[name] = self._kept_value(kind, inner, place)
        return result

    def _kept_value(self, kind: t.Any, value: t.Any, path: str) -> t.Any:
        if isinstance(kind, list) and kind[0] == "ref" and isinstance(value, dict):
            return self.kept(kind[1], value, f"{path}.") if _loaded[kind[1]] else value
        if isinstance(kind, list) and kind[0] == "list" and isinstance(value, list):
            return [self._kept_inner(kind[1], item, path) for item in value]
        if isinstance(kind, list) and kind[0] == "map" and isinstance(value, dict):
            return {key: self._kept_inner(kind[1], item, path) for key, item in value.items()}
        return value

    def _kept_inner(self, kind: t.Any, value: t.Any, path: str) -> t.Any:
        """An object of a list keeps its id and name even where the model calls them read-only: they say which one is meant."""
        found = self._kept_value(kind, value, path)
        if isinstance(found, dict) and isinstance(value, dict):
            return {**{key: value[key] for key in ("id", "name") if key in value}, **found}
        return found

    def _object(self, model: str, body: Body, path: str) -> t.Iterator[Fault]:
        properties = _loaded[model]
        if not properties:  # a class without properties: anything goes
            return
        of = model.rsplit(".", 2)[-2] if model.endswith(".properties") else model.rsplit(".", 1)[-1]
        for name, value in body.items():
            place = f"{path}{name}"
            if not path and name in ENVELOPE:
                continue
            if name not in properties:
                if not self._known_elsewhere(place):
                    yield Fault("unknown", place, name, of)
                continue
            kind, flags = properties[name]
            if value is not None and flags != "r":
                yield from self._value(kind, value, place, name)
        if not self._lenient:
            for name, (_, flags) in properties.items():
                if flags == "q" and body.get(name) is None and not (not path and name == "location"):  # a missing location has its own refusal
                    yield Fault("missing", path.rstrip("."), name, of)

    def _known_elsewhere(self, place: str) -> bool:
        """Known to other api-versions, or shown by a GET alone."""
        plain = "".join(part.partition("]")[2] if "]" in part else part for part in place.split("["))
        if plain in self._type.accepted:
            return True
        properties = self._read
        for part in plain.split(".")[:-1]:
            kind = properties.get(part, [None])[0]
            properties = _loaded.get(kind[1], {}) if isinstance(kind, list) and kind[0] == "ref" else {}
        return plain.rsplit(".", 1)[-1] in properties

    def _value(self, kind: t.Any, value: t.Any, path: str, name: str) -> t.Iterator[Fault]:
        if kind == "any":
            return
        if isinstance(kind, str):
            if not isinstance(value, JSON_TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
                yield Fault("type", path, name, NAMES[kind], value)
        elif kind[0] == "ref":
            if isinstance(value, dict):
                yield from self._object(kind[1], value, f"{path}.")
            else:
                yield Fault("type", path, name, kind[1].rsplit(".", 1)[-1], value)
        elif kind[0] == "list":
            if isinstance(value, list):
                for number, item in enumerate(value):
                    yield from self._value(kind[1], item, f"{path}[{number}]", name)
            else:
                yield Fault("type", path, name, NAMES["list"], value)
        elif kind[0] == "map":
            if isinstance(value, dict):
                for key, item in value.items():
                    if item is not None:
                        yield from self._value(kind[1], item, f"{path}.{key}", key)
            else:
                yield Fault("type", path, name, "System.Collections.Generic.Dictionary", value)
        elif not isinstance(value, str):
            yield Fault("type", path, name, kind[1], value)
        elif value and kind[1] not in self._type.open_enums and value.lower() not in {known.lower() for known in kind[2:]}:
            yield Fault("value", path, name, kind[1], value, tuple(kind[2:]))


def _position(raw: str, path: str) -> int:
    """Where the reader stands in the text when it stumbles: behind the name (and colon) of the last part of the path."""
    place = 0
    for part in path.replace("[", ".[").split("."):
        if part and not part.startswith("["):
            found = raw.find(f'"{part}"', place)
            place = raw.find(":", found) + 1 if found >= 0 else place
    return place


def cache_folder() -> pathlib.Path:
    """Where generated things are kept from run to run."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "metaflow-infra"


def _descriptions(names: list[str]) -> Classes:
    packages = sorted(dist.name for dist in importlib.metadata.distributions() if dist.name.startswith("azure-mgmt-"))
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in packages]
    source = pathlib.Path(describe.__file__).read_text()
    digest = hashlib.sha256("\n".join([*versions, *names, source]).encode()).hexdigest()[:16]
    file = cache_folder() / "schemas" / f"azure-{digest}.json"
    if not file.exists():
        done = subprocess.run([sys.executable, "-m", describe.__name__, *names], check=True, capture_output=True, text=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(done.stdout)
        temporary.replace(file)
    found: Classes = json.loads(file.read_text())
    return found
