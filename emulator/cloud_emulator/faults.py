"""Faults that a user asks for: on this call, fail so, this many times.

A faults file is a YAML list of rules (or `faults:` with that list); emulator/README.md describes the fields of a rule.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

import yaml

from .store import Store

FOREVER = "forever"
LEAVES = ("nothing", "failed", "dropping")  # what a database server's failed creation leaves behind
DEFAULT_CODES = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}
Json = dict[str, t.Any]


@dataclasses.dataclass
class Rule:
    """One rule: which calls it is for, how often, and what happens to them."""

    path: str  # glob on host and path without query; starts with `/`: any host; starts with `^`: regular expression
    method: str = "*"
    times: int | None = 1  # None = for ever
    after: int = 0  # calls let through first
    status: int | None = None
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    retry_after: float | None = None  # seconds, sent as Retry-After
    operation_error: dict[str, str] | None = None  # {code, message, leaves}: the call is accepted, its operation ends Failed
    delay: float = 0  # seconds before the answer
    drop: bool = False  # close the connection instead of answering

    def matches(self, method: str, address: str) -> bool:
        if self.method not in ("*", method.upper()):
            return False
        if self.path.startswith("^"):
            return re.search(self.path, address, re.IGNORECASE) is not None
        pattern = f"*{self.path}" if self.path.startswith("/") else self.path
        return fnmatch.fnmatchcase(address.lower(), pattern.lower())

    def answer(self) -> tuple[int, dict[str, str], t.Any]:
        """Status, headers and body of a rule that has a status."""
        assert self.status is not None
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers.setdefault("Retry-After", f"{self.retry_after:g}")
        code = DEFAULT_CODES.get(self.status, "InjectedFault")
        body = self.body if self.body is not None else {"error": {"code": code, "message": "This answer was asked for with a fault rule."}}
        return self.status, headers, body


class Faults:
    """The rules in force, in the order they were given; the first that matches a call and has any left applies. Kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        kept = store.get("faults", "rules") or {"rules": []}
        self.rules = [Rule(**rule) for rule in kept["rules"]]

    def set(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._save()

    def add(self, rules: list[Rule]) -> None:
        self.set([*self.rules, *rules])

    def listed(self) -> list[Json]:
        """The rules with what is left of each, as JSON."""
        return [dataclasses.asdict(rule) for rule in self.rules]

    def take(self, method: str, host: str, path: str) -> Rule | None:
        """The rule that applies to this call, counted down; None where the call goes its ordinary way."""
        return self._take(method, f"{host}{path}", operation=False)

    def operation_error(self, method: str, path: str) -> dict[str, str] | None:
        """{code, message} where the operation that this Resource Manager call starts must end Failed (counted down), else None."""
        rule = self._take(method, f"management.azure.com{path}", operation=True)
        return rule.operation_error if rule else None

    def _take(self, method: str, address: str, *, operation: bool) -> Rule | None:
        for rule in self.rules:
            if (rule.operation_error is not None) is not operation or rule.times == 0 or not rule.matches(method, address):
                continue
            if rule.after:
                rule.after -= 1
                self._save()
                continue
            if rule.times is not None:
                rule.times -= 1
                self._save()
            return rule
        return None

    def _save(self) -> None:
        self._store.put("faults", "rules", {"rules": self.listed()})


def change(faults: Faults, action: str, text: str) -> list[Json]:
    """Do what `cloud-emulator faults ACTION` says; the rules in force afterwards. Raises ValueError on a bad rule, with nothing changed."""
    if action == "clear":
        faults.set([])
    elif action == "set":
        faults.set(parse(text))
    elif action == "add":
        faults.add(parse(text))
    return faults.listed()


def parse(text: str) -> list[Rule]:
    """The rules of a faults file. Raises ValueError with one sentence that says which rule is wrong and why."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"The faults are not valid YAML: {' '.join(str(error).split())}") from error
    if isinstance(data, dict) and set(data) == {"faults"}:
        data = data["faults"]
    if isinstance(data, dict):
        data = [data]
    if not isinstance(data, list):
        raise ValueError("The faults must be a list of rules, such as: - {path: '*/agentPools/*', method: PUT, status: 500}.")
    return [_rule(f"Fault rule {number}", rule) for number, rule in enumerate(data, 1)]


def _is_number(value: t.Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_error(value: t.Any) -> bool:
    return isinstance(value, dict) and set(value) - {"leaves"} == {"code", "message"} and value.get("leaves", LEAVES[0]) in LEAVES


CHECKS: dict[str, tuple[t.Callable[[t.Any], bool], str]] = {
    "path": (lambda v: isinstance(v, str) and v != "", "a text such as 'management.azure.com/*/agentPools/*'"),
    "method": (lambda v: isinstance(v, str) and v != "", "a method such as PUT, or '*'"),
    "times": (lambda v: v is None or v == FOREVER or (_is_count(v) and v > 0), "a number above 0, or 'forever'"),
    "after": (_is_count, "a number of calls"),
    "status": (lambda v: _is_count(v) and 100 <= v <= 599, "an HTTP status from 100 to 599"),
    "body": (lambda v: True, ""),
    "headers": (lambda v: isinstance(v, dict), "names and values"),
    "retry_after": (_is_number, "a number of seconds"),
    "operation_error": (_is_error, "a code, a message and perhaps `leaves`: nothing, failed or dropping"),
    "delay": (_is_number, "a number of seconds"),
    "drop": (lambda v: isinstance(v, bool), "true or false"),
}


def _rule(where: str, data: t.Any) -> Rule:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be a set of fields, not {data!r}.")
    for name, value in data.items():
        if name not in CHECKS:
            raise ValueError(f"{where} has the unknown field '{name}'; the fields are {', '.join(CHECKS)}.")
        check, wanted = CHECKS[name]
        if not check(value):
            raise ValueError(f"{where}: {name} must be {wanted}, not {value!r}.")
    fields: Json = dict(data)
    if "path" not in fields:
        raise ValueError(f"{where} has no path; it says which calls the rule is for.")
    if "retry_after" in fields:
        fields.setdefault("status", 429)
    if not {"status", "operation_error", "delay", "drop"} & set(fields):
        raise ValueError(f"{where} does nothing; give it a status, an operation_error, a delay or drop.")
    if "operation_error" in fields and {"status", "delay", "drop"} & set(fields):
        raise ValueError(f"{where} has an operation_error and another effect; make two rules of it.")
    if fields["path"].startswith("^"):
        try:
            re.compile(fields["path"])
        except re.error as error:
            raise ValueError(f"{where}: path is not a regular expression: {error}.") from error
    if fields.get("times") == FOREVER:
        fields["times"] = None
    fields["method"] = fields.get("method", "*").upper()
    fields["headers"] = {str(name): str(value) for name, value in fields.get("headers", {}).items()}
    return Rule(**fields)
