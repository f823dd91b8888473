"""Server parameters as resources, and their way onto the real server."""

from __future__ import annotations

import typing as t

from . import postgresql_capabilities as capabilities
from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Record, ResourceType, Work
from .postgresql_parameters import PARAMETERS, Parameter, apply, default_of
from .postgresql_server import SERVER, busy, forget_dropped, require_usable

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager
    from .arm.operations import Operation


class ServerChild(ResourceType):
    """What lies below a server: shares its lock and its place."""

    tracked = False
    location = "none"
    provisioning_state = False

    def exclusive(self, record_id: ResourceId) -> str | None:
        assert record_id.parent is not None
        return str(record_id.parent)

    def busy(self, call: Call, operation: Operation) -> ArmError:
        return busy(call.resource_id.names[0])

    @staticmethod
    def server(manager: ResourceManager, child: ResourceId) -> Record | None:
        """The server that an id lies below."""
        server_id = child.parent
        return forget_dropped(manager, manager.get(server_id.key)) if server_id else None

    def require_server(self, call: Call, operation: str, *, running: bool = True) -> Record:
        """The server of the call's id, in a state that allows a write; raises ArmError."""
        server = self.server(call.manager, call.resource_id)
        assert server is not None  # the framework has refused a missing parent
        require_usable(server, operation, running=running)
        return server


class Configurations(ServerChild):
    """One parameter of a server. All of them exist from the start and none can be deleted."""

    type = f"{SERVER}/configurations"
    model = "azure.mgmt.postgresqlflexibleservers.models.Configuration"
    patch_model = "azure.mgmt.postgresqlflexibleservers.models.ConfigurationForUpdate"
    styles = styles.postgresql("UpdateServerParameterManagementOperation", "DropServerParameterManagementOperation")
    methods = frozenset({"GET", "PUT", "PATCH"})

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        parameter, server = PARAMETERS.get(record_id.name.lower()), self.server(call.manager, record_id)
        if parameter is None or server is None:
            return None
        return call.manager.get(record_id.key) or _record(server, parameter)

    def listed(self, call: Call, scope: str) -> list[Record]:
        server = call.manager.get(scope)
        if server is None:
            return []
        kept = {record.name.lower(): record for record in call.manager.children(scope, self.type)}
        return [kept.get(name) or _record(server, parameter) for name, parameter in PARAMETERS.items()]

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        self.require_server(call, "UpdateServerParameter")
        name = call.resource_id.name
        parameter = PARAMETERS.get(name.lower())
        if parameter is None:
            raise ArmError(404, "InvalidParameterName", f"The server parameter '{name}' does not exist.")
        value = (body.get("properties") or {}).get("value")
        if parameter.read_only:
            raise ArmError(400, "ReadOnlyServerParameter", f"The server parameter '{parameter.name}' is read-only.")
        if value is None or parameter.refuses(value):
            message = f"Invalid value given for parameter {parameter.name}. Specify a valid parameter value. Allowed values: {parameter.allowed}."
            raise ArmError(400, "InvalidParameterValue", message)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        server, parameter = self.server(call.manager, call.resource_id), PARAMETERS[record.name.lower()]
        assert server is not None
        wanted = record.properties["value"]
        record.body = _record(server, parameter).body
        record.properties["value"] = wanted
        record.properties["source"] = "system-default" if wanted == record.properties["defaultValue"] else "user-override"
        earlier = before.properties["value"] if before else record.properties["defaultValue"]
        running = before.private.get("running", earlier) if before else earlier
        record.private["running"] = wanted if parameter.dynamic else running
        record.properties["isConfigPendingRestart"] = not parameter.dynamic and wanted != running

    async def update(self, work: Work) -> None:
        parameter = PARAMETERS[work.record.name.lower()]
        if parameter.dynamic:
            server = work.manager.parse(work.record.id).parent
            assert server is not None
            await apply(work.emulator, server.key, parameter.name, work.record.properties["value"])

    create = update

    def failed(self, work: Work, error: ArmError) -> None:
        """The parameter goes back to what runs on the server."""
        work.record.properties["value"] = work.record.private["running"]
        work.record.properties["isConfigPendingRestart"] = False
        super().failed(work, error)


def _record(server: Record, parameter: Parameter) -> Record:
    default = default_of(parameter, capabilities.sku(server.body["sku"]["name"]), server.properties["version"])
    resource_id = f"{server.id}/configurations/{parameter.name}"
    body: Body = {
        "id": resource_id,
        "name": parameter.name,
        "type": Configurations.type,
        "properties": {
            "value": default,
            "description": parameter.description,
            "defaultValue": default,
            "dataType": parameter.kind,
            "allowedValues": parameter.allowed,
            "source": "system-default",
            "isDynamicConfig": parameter.dynamic,
            "isReadOnly": parameter.read_only,
            "isConfigPendingRestart": False,
            "unit": parameter.unit,
            "documentationLink": parameter.documentation,
        },
    }
    return Record(id=resource_id, type=Configurations.type, body=body)
