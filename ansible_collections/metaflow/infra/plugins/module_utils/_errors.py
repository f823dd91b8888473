# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exceptions of the engine and its clients. Each says in one sentence what went wrong; `run` alone turns them into a module's failure."""

from __future__ import annotations

import typing as t


class InfraError(Exception):
    """Base of all; `str()` of it is what the user reads, `failure` what a playbook can look at."""

    hint: str | None = None

    @property
    def failure(self) -> dict[str, t.Any]:
        return {"status": None, "code": type(self).__name__, "message": str(self), "request_id": None}


class InputError(InfraError):
    """What was asked for can't be done; nothing was written."""


class Timeout(InfraError):
    """`what` was awaited for `seconds`; `state` is the last state seen."""

    def __init__(self, what: str, seconds: float, state: str) -> None:
        super().__init__(f"{what} was not ready after {seconds:.0f} s (timeout); its last state was: {state}")
        self.state = state


class ApiError(InfraError):
    """An API's refusal. `status` is 0 where no answer came; `during` names the call in words ("create subnet db")."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        request_id: str | None = None,
        details: list[dict[str, t.Any]] | None = None,
        *,
        retry_after: float | None = None,
        hint: str | None = None,
        during: str = "",
    ) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message, self.request_id = status, code, message, request_id
        self.details = details or []
        self.retry_after, self.hint, self.during = retry_after, hint, during

    @property
    def codes(self) -> list[str]:
        """Its code and those of all nested details: services often hide the reason in there."""

        def walk(details: list[dict[str, t.Any]]) -> t.Iterator[str]:
            for detail in details:
                if detail.get("code"):
                    yield str(detail["code"])
                yield from walk(detail.get("details") or [])

        return [self.code, *walk(self.details)]

    def __str__(self) -> str:
        where = f"{self.during}: " if self.during else ""
        facts = [self.code]
        if self.status:
            facts.append(f"HTTP {self.status}")
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        extra = [str(d["message"]) for d in self.details if d.get("message") and str(d["message"]) not in self.message]
        return f"{where}{' '.join([self.message, *extra])} ({', '.join(facts)})"

    @property
    def failure(self) -> dict[str, t.Any]:
        return {"status": self.status, "code": self.code, "message": self.message, "request_id": self.request_id}


class Failures(InfraError):
    """Several things failed side by side; the first leads, the others are added to its sentence."""

    def __init__(self, errors: t.Sequence[InfraError], skipped: t.Sequence[str] = ()) -> None:
        super().__init__(*errors)
        self.errors, self.skipped = list(errors), list(skipped)
        self.hint = errors[0].hint

    def __str__(self) -> str:
        text = str(self.errors[0])
        others = [e for e in self.errors[1:] if not alike(e, self.errors[0])]
        same = [e.during for e in self.errors[1:] if alike(e, self.errors[0]) and isinstance(e, ApiError)]
        if same:
            text += f" THE SAME HAPPENED to {', '.join(same)}."
        if others:
            text += f" ALSO FAILED: {'; '.join(map(str, others))}"
        if self.skipped:
            text += f" NOT TRIED, as they depend on these: {', '.join(self.skipped)}"
        return text

    @property
    def failure(self) -> dict[str, t.Any]:
        return {**self.errors[0].failure, "others": [error.failure for error in self.errors[1:]]}


def alike(one: InfraError, other: InfraError) -> bool:
    """Whether two calls were refused for the same reason."""
    return isinstance(one, ApiError) and isinstance(other, ApiError) and (one.code, one.message) == (other.code, other.message)
