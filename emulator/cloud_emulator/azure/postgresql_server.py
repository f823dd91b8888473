"""Flexible Servers themselves; what lies below them is in `postgresql_children` and `postgresql_configurations`.

A server has no provisioningState: its state is `properties.state`. Writes to one server, also to what is below it, go one at a time.
The settings `limits.taken`, `limits.heldName`, `limits.dropping` and `limits.offerRestricted` of README.md belong to this file.
"""

from __future__ import annotations

import typing as t

from . import postgresql_capabilities as capabilities
from . import postgresql_network as network
from . import postgresql_parameters as parameters
from . import postgresql_rules as rules
from .arm import access, regions, styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Naming, Record, ResourceType, Response, Work

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager
    from .arm.operations import Operation

SERVER = "Microsoft.DBforPostgreSQL/flexibleServers"
NAME = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
HELD_NAMES = "held_server_names"
STATES = {
    "Creating": "Provisioning",
    "Updating": "Updating",
    "Deleting": "Dropping",
    "Succeeded": "Ready",
    "Failed": "Disabled",
    "Canceled": "Disabled",
}
_KEEPING_FIVE_DAYS = 5 * 24 * 3600


def busy(server: str) -> ArmError:
    """409 while another operation runs on the server or below it."""
    message = f"Cannot complete operation while server '{server}' is busy processing another operation. Try again later."
    return ArmError(409, "ServerIsBusy", message)


def require_usable(server: Record, operation: str, *, running: bool = True) -> None:
    """Raise ArmError where a server's state forbids a write to it or below it."""
    state = state_of(server)
    if state == "Dropping":
        raise ArmError(409, "ServerGroupDropping", "Operations on a server group in dropping state are not allowed.")
    if running and state != "Ready":
        message = f"Operation '{operation}' cannot be performed as server '{server.name}' is currently in state '{state}'."
        raise ArmError(409, "ServerUnavailableForOperation", message)


def state_of(server: Record) -> str:
    """`properties.state` of a server."""
    shown: str = server.private.get("state") or STATES[server.state]
    return shown


class FlexibleServers(ResourceType):
    """A server: created and changed with 202 and a body that names the operation, ready when its state says so."""

    type = SERVER
    model = "azure.mgmt.postgresqlflexibleservers.models.Server"
    patch_model = "azure.mgmt.postgresqlflexibleservers.models.ServerForPatch"
    styles = styles.postgresql(
        "UpsertServerManagementOperationV2",
        "DropServerManagementOperation",
        start="StartServerManagementOperation",
        stop="StopServerManagementOperation",
        restart="RestartServerManagementOperation",
    )
    naming = Naming(
        NAME,
        "InvalidServerName",
        "Invalid server name '{name}'. Server name must be 3 to 63 lowercase letters, digits and hyphens, and must not start or end with a hyphen.",
    )
    immutable = (
        "properties.administratorLogin",
        "properties.availabilityZone",
        "properties.network.delegatedSubnetResourceId",
        "properties.backup.geoRedundantBackup",
        "properties.storage.type",
        "properties.sourceServerResourceId",
        "properties.pointInTimeUTC",
        "properties.dataEncryption.type",
    )
    provisioning_state = False
    actions: t.ClassVar[t.Mapping[str, str]] = {"start": "begin_start", "stop": "begin_stop", "restart": "begin_restart"}

    def exclusive(self, record_id: ResourceId) -> str | None:
        return str(record_id)

    def busy(self, call: Call, operation: Operation) -> ArmError:
        return busy(call.resource_id.names[0])

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        return forget_dropped(call.manager, call.manager.get(record_id.key))

    def listed(self, call: Call, scope: str) -> list[Record]:
        return [record for record in call.manager.children(scope, self.type) if forget_dropped(call.manager, record)]

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        if before is None:
            _check_name(call, body)
        else:
            require_usable(before, "UpsertServer", running=False)
            if state_of(before) == "Stopped":
                message = "Only compute changes are supported for a stopped server; start the server first."
                raise ArmError(409, "UpsertServerManagementOperationComputeOnlySupportForStoppedServer", message)
        rules.check_server(body, before.body if before else None)
        _check_quota(call, body, before)
        wanted = (body.get("properties") or {}).get("network") or {}
        if before is not None and wanted.get("delegatedSubnetResourceId") and not before.properties["network"].get("delegatedSubnetResourceId"):
            message = "A server with public access can't be moved into a virtual network by an update."
            raise ArmError(400, "VirtualNetworkChangeNotSupported", message)
        network.check_network(call.manager, wanted, location=regions.normal(body.get("location", "")))
        for name, action in network.JOINS.items():
            if before is None and wanted.get(name):
                access.require_linked(call.emulator, call.principal, f"{SERVER}/write", str(call.resource_id), action, wanted[name])

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        # Until the operation has set it, the password is kept beside the record, as a restart must be able to carry on.
        password = record.properties.pop("administratorLoginPassword", None)
        if password is not None:
            record.private["password"] = password
        rules.complete_server(record.body, before.body if before else None, name=record.name, now=call.emulator.clock.now())
        net = record.properties["network"]
        net["publicNetworkAccess"] = "Disabled" if net.get("delegatedSubnetResourceId") else net.get("publicNetworkAccess", "Enabled")
        if record.properties["authConfig"]["activeDirectoryAuth"] == "Enabled":
            record.properties["authConfig"].setdefault("tenantId", call.emulator.tenant_id)
        record.body["location"] = regions.BY_NAME[record.location].display_name  # as this service shows it, whatever was sent
        if before is None:
            hold_name(call.manager, record)

    async def create(self, work: Work) -> None:
        server, backend = work.record, work.emulator.postgresql
        properties = server.properties
        if work.emulator.settings.get(f"limits.offerRestricted.{server.location}", 0):
            message = f"Subscriptions are restricted from provisioning in location '{server.location}'. Try again in a different location."
            raise ArmError(400, "LocationIsOfferRestricted", message)
        zone = properties["network"].get("privateDnsZoneArmResourceId")
        if zone:
            network.check_zone(zone, server.name)
        await backend.create(
            server.key,
            hostname=properties["fullyQualifiedDomainName"],
            administrator=properties.get("administratorLogin", "azureuser"),
            password=server.private.pop("password", ""),
            version=properties["version"],
        )
        network.attach(work.manager, server)
        server.private["made"] = True

    async def update(self, work: Work) -> None:
        password = work.record.private.pop("password", None)
        if password is not None:
            await work.emulator.postgresql.set_password(work.record.key, work.record.properties["administratorLogin"], password)

    async def check_delete(self, call: Call, record: Record) -> None:
        require_usable(record, "DropServer", running=False)

    async def delete(self, work: Work) -> None:
        if work.record.private.get("made"):
            await work.emulator.postgresql.delete(work.record.key)
        network.detach(work.manager, work.record)
        hold_name(work.manager, work.record)

    def failed(self, work: Work, error: ArmError) -> None:
        """What a failed creation leaves: nothing, or what the fault rule's `leaves` asks for (failed: a server that is not Ready; dropping)."""
        server, private = work.record, work.record.private
        private.pop("password", None)
        private.pop("state", None)
        leaves = (work.operation.fault or {}).get("leaves", "nothing")
        if work.operation.verb != "create":
            server.state, server.body = "Succeeded", work.arguments.get("before", server.body)
        elif leaves == "nothing":
            work.manager.forget(server.id)
            return
        elif leaves == "dropping":
            private["state"] = "Dropping"
            private["gone"] = work.emulator.clock.now().timestamp() + float(work.emulator.settings.get("limits.dropping", 60))
            server.state = "Failed"
        else:
            server.state = "Failed"
        work.save()

    def render(self, manager: ResourceManager, record: Record) -> Body:
        body = super().render(manager, record)
        body["properties"]["state"] = state_of(record)
        return body

    # --- power -------------------------------------------------------------------------------------------------------------------------

    async def begin_start(self, call: Call, record: Record) -> Response:
        if state_of(record) != "Stopped":
            raise _not_ready("Start Server can only be performed on Stopped servers.", record)
        return await self._power(call, record, "start", "Starting")

    async def begin_stop(self, call: Call, record: Record) -> Response:
        if state_of(record) != "Ready":
            raise _not_ready("Restart or Stop Server can only be performed on Started servers.", record)
        return await self._power(call, record, "stop", "Stopping")

    async def begin_restart(self, call: Call, record: Record) -> Response:
        if state_of(record) != "Ready":
            raise _not_ready("Restart or Stop Server can only be performed on Started servers.", record)
        return await self._power(call, record, "restart", "Restarting")

    async def _power(self, call: Call, record: Record, verb: str, state: str) -> Response:
        if call.manager.operations.holder(record.key):
            raise busy(record.name)
        record.private["state"] = state
        return await call.manager.begin(call, record, verb)

    async def start(self, work: Work) -> None:
        await work.emulator.postgresql.start_server(work.record.key)
        work.record.private.pop("state", None)

    async def stop(self, work: Work) -> None:
        await work.emulator.postgresql.stop_server(work.record.key)
        work.record.private["state"] = "Stopped"

    async def restart(self, work: Work) -> None:
        await work.emulator.postgresql.restart_server(work.record.key)
        await parameters.apply_pending(work.manager, work.record)
        work.record.private.pop("state", None)


def _not_ready(rule: str, server: Record) -> ArmError:
    return ArmError(409, "ServerIsNotReady", f"{rule} Server Name = {server.name}, Current Server State = {state_of(server)}")


def forget_dropped(manager: ResourceManager, server: Record | None) -> Record | None:
    """The server, or None where it was Dropping and its time is over."""
    if server is None or server.private.get("gone", float("inf")) > manager.emulator.clock.now().timestamp():
        return server
    manager.forget(server.id)
    return None


# --- quota -----------------------------------------------------------------------------------------------------------------------------


def cores_in_use(manager: ResourceManager, location: str) -> dict[str, int]:
    """Cores of the subscription's servers in a region, by family."""
    used: dict[str, int] = {}
    for server in manager.find(SERVER):
        sku = capabilities.sku(server.body.get("sku", {}).get("name", ""))
        if sku and server.location == location:
            used[sku.family] = used.get(sku.family, 0) + sku.cores
    return used


def quota(manager: ResourceManager, family: str) -> int:
    """Cores that the subscription may use of a family in a region; the setting `quotas.flexibleServers.<family>`."""
    return int(manager.emulator.settings.get(f"quotas.flexibleServers.{family}", 100))


def _check_quota(call: Call, body: Body, before: Record | None) -> None:
    wanted = capabilities.sku((body.get("sku") or {}).get("name", ""))
    if wanted is None or (before is not None and before.body["sku"]["name"].lower() == wanted.name.lower()):
        return
    limit = quota(call.manager, wanted.family)
    used = cores_in_use(call.manager, regions.normal(body["location"])).get(wanted.family, 0)
    if used + wanted.cores > limit:
        message = f"Subscription quota for {wanted.family} cores exceeded: {used} of {limit} are in use, {wanted.cores} more are needed."
        raise ArmError(400, "QuotaExceeded", message)


# --- names -----------------------------------------------------------------------------------------------------------------------------


def hold_name(manager: ResourceManager, server: Record) -> None:
    """Keep the name for the server's region: the service keeps a dropped server for five days, a failed creation reserves the name."""
    until = manager.emulator.clock.now().timestamp() + float(manager.emulator.settings.get("limits.heldName", _KEEPING_FIVE_DAYS))
    manager.emulator.store.put(HELD_NAMES, server.name.lower(), {"location": server.location, "until": until})


def name_is_taken(manager: ResourceManager, name: str, location: str | None, server: str = "") -> bool:
    """Whether the name is somebody else's, another server's, or held for another region than `location` (None: any)."""
    if manager.emulator.settings.get(f"limits.taken.{name}", 0):
        return True
    if any(found.name.lower() == name.lower() and found.key != server for found in manager.find(SERVER) if forget_dropped(manager, found)):
        return True
    held = manager.emulator.store.get(HELD_NAMES, name.lower())
    return held is not None and location not in (None, held["location"]) and manager.emulator.clock.now().timestamp() < held["until"]


def _check_name(call: Call, body: Body) -> None:
    location = regions.normal(body["location"])
    if name_is_taken(call.manager, call.resource_id.name, location, call.resource_id.key):
        raise ArmError(409, "ServerNameAlreadyExists", "Specified server name is already used.")
