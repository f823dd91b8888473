"""Errors as Azure Resource Manager words them."""

from __future__ import annotations

import typing as t


class ArmError(Exception):
    """A refusal or a failure that the client sees.

    ``flat`` leaves out the ``error`` wrapper (AKS answers so before it starts an operation); ``extra`` are fields beside code and message.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: list[dict[str, t.Any]] | None = None,
        headers: t.Mapping[str, str] | None = None,
        flat: bool = False,
        extra: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.headers = dict(headers or {})
        self.flat = flat
        self.extra = dict(extra or {})

    def description(self) -> dict[str, t.Any]:
        """Code, message and what else is known: the inside of the ``error`` object, and what a failed operation carries."""
        described: dict[str, t.Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            described["target"] = self.target
        if self.details is not None:
            described["details"] = self.details
        return {**described, **self.extra}

    def body(self) -> dict[str, t.Any]:
        """The answer's whole JSON body."""
        return self.description() if self.flat else {"error": self.description()}


def resource_not_found(resource_type: str, name: str, resource_group: str) -> ArmError:
    """404 of Resource Manager itself, for a resource that isn't there."""
    message = (
        f"The Resource '{resource_type}/{name}' under resource group '{resource_group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message, headers={"x-ms-failure-cause": "gateway"})


def resource_group_not_found(name: str) -> ArmError:
    """404 for a resource group that isn't there."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.", headers={"x-ms-failure-cause": "gateway"})


def subscription_not_found(subscription: str) -> ArmError:
    """404 for a subscription that isn't there or that the caller doesn't see."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.", headers={"x-ms-failure-cause": "gateway"})


def parent_not_found(resource_type: str, parent: str) -> ArmError:
    """404 for a child whose parent isn't there; ``parent`` is the parent's id."""
    relative = resource_type.partition("/")[2]
    message = f"Failed to perform 'write' on resource(s) of type '{relative}', because the parent resource '{parent}' could not be found."
    return ArmError(404, "ParentResourceNotFound", message, headers={"x-ms-failure-cause": "gateway"})
