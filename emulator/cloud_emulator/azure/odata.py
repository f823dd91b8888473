"""The part of OData's query language that clients of Graph use: $filter, $select, $top."""

from __future__ import annotations

import re
import typing as t

Json = dict[str, t.Any]
_WORD = r"[A-Za-z][A-Za-z0-9_/]*"
_TEXT = r"'(?:[^']|'')*'"
_TERMS = (
    (re.compile(rf"startswith\(({_WORD}),\s*({_TEXT})\)", re.IGNORECASE), "startswith"),
    (re.compile(rf"({_WORD})/any\((\w+):\s*\2\s+eq\s+({_TEXT})\)", re.IGNORECASE), "any"),
    (re.compile(rf"({_WORD})\s+eq\s+({_TEXT}|true|false|null|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})", re.IGNORECASE), "eq"),
    (re.compile(rf"({_WORD})\s+in\s+\(({_TEXT}(?:\s*,\s*{_TEXT})*)\)", re.IGNORECASE), "in"),
)


class FilterError(Exception):
    """A $filter that is not understood."""


def matches(text: str, value: Json) -> bool:
    """Whether an object fits a $filter. Raises FilterError on what is not supported: an answer of all objects would mislead."""
    return any(all(_term(term.strip(), value) for term in _split(part, " and ")) for part in _split(text, " or "))


def select(value: Json, names: str) -> Json:
    """The properties that $select names, with the id."""
    if not names:
        return value
    wanted = {name.strip() for name in names.split(",")}
    return {name: inner for name, inner in value.items() if name in wanted or name.startswith("@odata")}


def _split(text: str, operator: str) -> list[str]:
    """Split at an operator outside of quotes."""
    parts, start, quoted = [], 0, False
    for index, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and text[index : index + len(operator)].lower() == operator:
            parts.append(text[start:index])
            start = index + len(operator)
    return [*parts, text[start:]]


def _term(term: str, value: Json) -> bool:
    if term.startswith("(") and term.endswith(")"):
        return matches(term[1:-1], value)
    for pattern, operator in _TERMS:
        if match := pattern.fullmatch(term):
            found: t.Any = value
            for name in match[1].split("/"):
                found = found.get(name) if isinstance(found, dict) else None
            if operator == "startswith":
                return isinstance(found, str) and found.lower().startswith(_literal(match[2]).lower())
            if operator == "any":
                return _literal(match[3]).lower() in [str(item).lower() for item in found or []]
            if operator == "in":
                return _same(found, [_literal(item) for item in re.findall(_TEXT, match[2])])
            return _same(found, [_literal(match[2])])
    raise FilterError(f"Invalid filter clause: unsupported query '{term}'.")


def _literal(text: str) -> t.Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return {"true": True, "false": False, "null": None}.get(text.lower(), text)


def _same(found: t.Any, wanted: list[t.Any]) -> bool:
    if isinstance(found, str):
        return found.lower() in [item.lower() for item in wanted if isinstance(item, str)]
    return found in wanted
