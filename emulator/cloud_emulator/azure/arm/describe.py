"""Write down what Microsoft's SDK models say about bodies; run as a program of its own, as importing the SDKs takes seconds and memory.

    python -m cloud_emulator.azure.arm.describe azure.mgmt.network.models.VirtualNetwork ... > descriptions.json

The output maps each class, and each one that it mentions, to its properties: ``{name: [kind, flags]}`` where flags are ``r`` (read-only) and ``q``
(required), and a kind is ``any``, ``str``, ``int``, ``float``, ``bool``, ``["list", kind]``, ``["map", kind]``, ``["ref", class]`` or
``["enum", name, value, ...]``. Both generations of models are understood: those with ``rest_field`` and those with ``_attribute_map``.
"""

from __future__ import annotations

import datetime
import enum
import importlib
import json
import sys
import types
import typing as t

Kind = t.Any
Properties = dict[str, list[t.Any]]
SCALARS: dict[t.Any, str] = {str: "str", int: "int", float: "float", bool: "bool", bytes: "str"}
OLD_SCALARS = {"str": "str", "int": "int", "long": "int", "float": "float", "bool": "bool", "object": "any", "iso-8601": "str", "duration": "str"}


class Describer:
    """Collects descriptions of classes, following what they mention."""

    def __init__(self) -> None:
        self.classes: dict[str, Properties] = {}

    def describe(self, model: type) -> str:
        """Describe a class (once) and give its key."""
        key = f"{model.__module__}.{model.__qualname__}"
        if key in self.classes:
            return key
        self.classes[key] = {}
        for variant in (model, *subclasses(model)):
            found = self._old(variant) if hasattr(variant, "_attribute_map") else self._new(variant)
            for name, value in found.items():
                self.classes[key].setdefault(name, value if variant is model else [value[0], value[1].replace("q", "")])
        return key

    # --- models with rest_field ----------------------------------------------------------------------------------------------------------

    def _new(self, model: t.Any) -> Properties:
        model.__new__(model)  # the generated base class collects the fields when the first instance is made
        fields = model._attr_to_rest_field
        hints: dict[str, t.Any] = {}
        for base in reversed(model.__mro__):
            if "__annotations__" in vars(base) and ".models." in base.__module__:
                hints.update(hints_of(base))
        properties: Properties = {}
        for attribute, field in fields.items():
            optional, kind = self._kind(hints[attribute])
            read_only = field._visibility == ["read"]
            properties[field._rest_name] = [kind, "r" if read_only else "" if optional else "q"]
        return properties

    def _kind(self, hint: t.Any) -> tuple[bool, Kind]:
        origin, arguments = t.get_origin(hint), t.get_args(hint)
        if origin in (t.Union, types.UnionType):
            rest = [argument for argument in arguments if argument is not type(None)]
            enums = [argument for argument in rest if isinstance(argument, type) and issubclass(argument, enum.Enum)]
            chosen = enums[0] if enums else rest[0] if len(rest) == 1 else t.Any
            return len(rest) < len(arguments), self._kind(chosen)[1]
        if origin in (list, t.List):  # noqa: UP006  # what older models write
            return False, ["list", self._kind(arguments[0])[1]]
        if origin in (dict, t.Dict):  # noqa: UP006
            return False, ["map", self._kind(arguments[1])[1]]
        if origin is t.Literal:
            value = arguments[0]
            return False, ["enum", "", *[str(getattr(argument, "value", argument)) for argument in arguments]] if isinstance(value, str) else "any"
        return False, self._class(hint)

    def _class(self, hint: t.Any) -> Kind:
        if hint in SCALARS:
            return SCALARS[hint]
        if not isinstance(hint, type):
            return "any"
        if issubclass(hint, enum.Enum):
            return ["enum", hint.__name__, *[str(member.value) for member in hint]]
        if issubclass(hint, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)):
            return "str"
        return ["ref", self.describe(hint)] if hint.__module__.startswith("azure.mgmt.") else "any"

    # --- models with _attribute_map ------------------------------------------------------------------------------------------------------

    def _old(self, model: t.Any) -> Properties:
        properties: Properties = {}
        for attribute, entry in model._attribute_map.items():
            rules = model._validation.get(attribute, {})
            flags = "r" if rules.get("readonly") else "q" if rules.get("required") else ""
            path = [part.replace("\\.", ".") for part in entry["key"].replace("\\.", "\0").split(".")]
            path = [part.replace("\0", ".") for part in path]
            place = properties
            for part in path[:-1]:  # flattened properties: "properties.issuer"
                inner = f"{model.__module__}.{model.__qualname__}.{part}"
                place.setdefault(part, [["ref", inner], "q" if flags == "q" else ""])
                place = self.classes.setdefault(inner, {})
            place[path[-1]] = [self._old_kind(entry["type"], model), flags]
        return properties

    def _old_kind(self, name: str, model: type) -> Kind:
        if name in OLD_SCALARS:
            return OLD_SCALARS[name]
        if name.startswith("["):
            return ["list", self._old_kind(name[1:-1], model)]
        if name.startswith("{"):
            return ["map", self._old_kind(name[1:-1], model)]
        found = getattr(importlib.import_module(model.__module__.rpartition(".")[0]), name, None)
        return self._class(found) if found else "any"


def subclasses(model: t.Any) -> list[t.Any]:
    """Classes that a discriminator may choose instead: all below a class that has one."""
    discriminated = getattr(model, "__mapping__", None) or getattr(model, "_subtype_map", None)
    if not discriminated:
        return []
    return [child for direct in model.__subclasses__() for child in (direct, *subclasses(direct))]


def hints_of(base: type) -> dict[str, t.Any]:
    """A class' own annotations as objects; names that only type checkers import are found in the package's models."""
    models = importlib.import_module(base.__module__.rpartition(".")[0])
    scope = {**vars(sys.modules[base.__module__]), "_models": models, "_types": models, "datetime": datetime}
    found = {}
    for name, text in vars(base)["__annotations__"].items():
        try:
            found[name] = eval(text, scope) if isinstance(text, str) else resolved(text, scope)  # noqa: S307  # annotations of an installed SDK
        except (NameError, AttributeError):
            found[name] = t.Any
    return found


def resolved(hint: t.Any, scope: dict[str, t.Any]) -> t.Any:
    """An annotation with the strings inside of it (forward references) replaced by what they name."""
    return t.get_type_hints(type("Holder", (), {"__annotations__": {"value": hint}}), scope, scope)["value"]


def main() -> None:
    describer = Describer()
    for name in sys.argv[1:]:
        module, _, attribute = name.rpartition(".")
        model = getattr(importlib.import_module(module), attribute)
        describer.classes[name] = describer.classes[describer.describe(model)]
    json.dump(describer.classes, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
