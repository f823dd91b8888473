"""How each provider answers a write that takes time, as data.

A table maps a verb (``create``, ``update``, ``patch``, ``delete`` or an action's method name) to the style of its answers. ``patch`` falls back to
``update``. Paths are templates of ``{subscription} {group} {namespace} {location} {operation}``; ``{group}`` is the resource group's id.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Style:
    """First answer of a write, and what its operation URLs say.

    Without ``asynchronous`` and ``location`` the work is done before the answer is sent.
    """

    status: int
    #: resource: as a GET shows it; empty: no bytes; object: ``{}``; operation: name and time of the operation; text: no bytes, as text/plain
    body: t.Literal["resource", "empty", "object", "operation", "text"] = "resource"
    #: template of the Azure-AsyncOperation header's path
    asynchronous: str | None = None
    #: template of the Location header's path
    location: str | None = None
    #: name of the operation in an ``operation`` body
    operation: str = ""
    #: what a poll of Azure-AsyncOperation shows beside ``status`` (and ``error``)
    poll: tuple[str, ...] = ("name", "startTime", "endTime")
    #: status and body of Location once the operation has succeeded
    location_status: int = 200
    location_body: t.Literal["resource", "empty", "result"] = "empty"
    #: extra headers of the first answer
    headers: tuple[tuple[str, str], ...] = ()
    #: api-version that the operation URLs carry; None: that of the request
    api_version: str | None = None

    @property
    def is_asynchronous(self) -> bool:
        """Whether the client is sent to an operation URL."""
        return bool(self.asynchronous or self.location)


Styles = t.Mapping[str, Style]

SYNCHRONOUS: Styles = {"create": Style(201), "update": Style(200), "delete": Style(200, "empty")}

_LOCATION = "/subscriptions/{subscription}/providers/{namespace}/locations/{location}"

_NETWORK: dict[str, t.Any] = {
    "asynchronous": f"{_LOCATION}/operations/{{operation}}",
    "poll": (),
    "headers": (("azure-asyncnotification", "Enabled"),),
}
NETWORK: Styles = {
    "create": Style(201, **_NETWORK),
    "update": Style(200, **_NETWORK),
    "patch": Style(200),  # tags alone
    "delete": Style(202, "empty", location=f"{_LOCATION}/operationResults/{{operation}}", location_status=204, **_NETWORK),
}

_PRIVATE_DNS: dict[str, t.Any] = {
    "asynchronous": "{group}/providers/Microsoft.Network/privateDnsOperationStatuses/{operation}",
    "location": "{group}/providers/Microsoft.Network/privateDnsOperationResults/{operation}",
    "poll": (),
}
PRIVATE_DNS: Styles = {
    "create": Style(202, "object", location_body="resource", **_PRIVATE_DNS),
    "update": Style(202, "object", location_body="resource", **_PRIVATE_DNS),
    "delete": Style(202, "empty", **_PRIVATE_DNS),
}

_POSTGRESQL: dict[str, t.Any] = {
    "body": "operation",
    "asynchronous": f"{_LOCATION}/azureAsyncOperation/{{operation}}",
    "location": f"{_LOCATION}/operationResults/{{operation}}",
}


def postgresql(write: str, delete: str, **actions: str) -> Styles:
    """Styles of a PostgreSQL type: the operation names of its writes, its deletion and its actions (by the action's method name)."""
    return {
        "create": Style(202, operation=write, location_body="resource", **_POSTGRESQL),
        "update": Style(202, operation=write, location_body="resource", **_POSTGRESQL),
        "delete": Style(202, operation=delete, location_status=204, **_POSTGRESQL),
        **{method: Style(202, operation=name, location_body="result", **_POSTGRESQL) for method, name in actions.items()},
    }


STORAGE: Styles = {
    "create": Style(202, "text", location=f"{_LOCATION}/asyncoperations/{{operation}}", location_body="resource"),
    "update": Style(200),
    "delete": Style(200, "empty"),
}

_AKS: dict[str, t.Any] = {"asynchronous": f"{_LOCATION}/operations/{{operation}}", "api_version": "2025-03-01"}
_AKS_LOCATION: dict[str, t.Any] = {**_AKS, "location": f"{_LOCATION}/operationresults/{{operation}}", "location_status": 204}
CONTAINER_SERVICE: Styles = {
    "create": Style(201, **_AKS),
    "update": Style(200, **_AKS),
    "delete": Style(202, "empty", **_AKS_LOCATION),
    **{action: Style(202, "empty", **_AKS_LOCATION) for action in ("start", "stop", "abort", "upgrade_node_image")},
}

RESOURCE_GROUP: Styles = {
    **SYNCHRONOUS,
    "delete": Style(202, "empty", location="/subscriptions/{subscription}/operationresults/{operation}"),
}
