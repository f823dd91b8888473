"""What all types of Microsoft.Network have in common."""

from __future__ import annotations

import typing as t

from .arm import styles
from .arm.errors import ArmError
from .arm.resource import Call, Naming, ResourceType

if t.TYPE_CHECKING:
    from .arm.operations import Operation
    from .arm.schema import Fault


class NetworkType(ResourceType):
    """Async with ``azure-asyncnotification``, ETags, its own words for bad bodies and for writes at the same time."""

    styles = styles.NETWORK
    etags = True
    creating = "Updating"
    naming = Naming(
        r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?",
        "InvalidResourceName",
        "Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a word character, and it must end with a word "
        "character or with '_'. The name may contain word characters or '.', '-', '_'.",
    )

    def invalid(self, fault: Fault) -> ArmError:
        """A body that the service's JSON reader refuses."""
        return ArmError(400, "InvalidRequestFormat", "Cannot parse the request.", details=[{"code": "InvalidJson", "message": str(fault)}])

    def busy(self, call: Call, operation: Operation) -> ArmError:
        """A write while another one runs in the same network."""
        uri = f"https://management.azure.com{operation.asynchronous}?api-version={operation.api_version}"
        message = f"Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: {uri}."
        return ArmError(409, "AnotherOperationInProgress", message, details=[])
