"""Databases, firewall rules, Entra administrators and backups of a Flexible Server."""

from __future__ import annotations

import ipaddress

from .arm import styles
from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.resource import Body, Call, Naming, Record, Work
from .postgresql_configurations import ServerChild
from .postgresql_server import SERVER, state_of

SYSTEM_DATABASES = ("azure_maintenance", "azure_sys", "postgres")
CHARSETS = {"utf8": "UTF8"}
DEFAULT_COLLATION = "en_US.utf8"


class Databases(ServerChild):
    """Databases; the service's own three are always listed and can't be changed or dropped."""

    type = f"{SERVER}/databases"
    model = "azure.mgmt.postgresqlflexibleservers.models.Database"
    styles = styles.postgresql("UpsertServerDatabaseManagementOperation", "DropServerDatabaseManagementOperation")
    naming = Naming(r"[a-zA-Z_][\w-]{0,62}", "InvalidDatabaseName", "The database name '{name}' is not valid.")
    immutable = ("properties.charset", "properties.collation")
    methods = frozenset({"GET", "PUT", "DELETE"})

    async def refresh(self, call: Call, resource_id: ResourceId) -> None:
        """Take over what was made or dropped in SQL."""
        server_id = ResourceId(resource_id.scope, resource_id.namespace, resource_id.types[:1], resource_id.names[:1])
        server = call.manager.get(server_id.key)
        if server is None or state_of(server) != "Ready":
            return
        found = {each["name"]: each for each in await call.emulator.postgresql.databases(server.key) if each["name"] not in SYSTEM_DATABASES}
        for record in call.manager.children(server.id, self.type):
            if found.pop(record.name, None) is None and record.state == "Succeeded":
                call.manager.forget(record.id)
        for name, kept in found.items():
            properties = {"charset": kept["charset"], "collation": kept["collation"]}
            call.manager.put(_database(server, name, properties))

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        server = self.server(call.manager, record_id)
        if server is not None and record_id.name in SYSTEM_DATABASES:
            return _system_database(server, record_id.name)
        return super().read(call, record_id) if server else None

    def listed(self, call: Call, scope: str) -> list[Record]:
        server = call.manager.get(scope)
        system = [_system_database(server, name) for name in SYSTEM_DATABASES] if server else []
        return [*system, *super().listed(call, scope)]

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        self.require_server(call, "UpsertServerDatabase")
        name = call.resource_id.name
        if name in SYSTEM_DATABASES or name in ("template0", "template1"):
            raise ArmError(400, "InvalidDatabaseName", f"The database name '{name}' is reserved by the service.")
        charset = ((body.get("properties") or {}).get("charset") or "UTF8").lower()
        if charset.replace("-", "") not in CHARSETS:
            raise ArmError(400, "InvalidCharset", f"The charset '{charset}' is not supported.")

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        charset = record.properties.get("charset") or "UTF8"
        record.properties["charset"] = CHARSETS[charset.lower().replace("-", "")]
        record.properties["collation"] = record.properties.get("collation") or DEFAULT_COLLATION

    async def create(self, work: Work) -> None:
        properties = work.record.properties
        server = self.server(work.manager, work.manager.parse(work.record.id))
        assert server is not None
        try:
            await work.emulator.postgresql.create_database(server.key, work.record.name, properties["charset"], properties["collation"])
        except ValueError as error:
            raise ArmError(400, "InvalidParameterValue", str(error)) from error

    async def check_delete(self, call: Call, record: Record) -> None:
        self.require_server(call, "DropServerDatabase")
        if record.name in SYSTEM_DATABASES:
            raise ArmError(400, "OperationNotAllowed", f"The database '{record.name}' belongs to the service and can't be dropped.")

    async def delete(self, work: Work) -> None:
        server = work.manager.parse(work.record.id).parent
        assert server is not None
        await work.emulator.postgresql.drop_database(server.key, work.record.name)

    def failed(self, work: Work, error: ArmError) -> None:
        """A database whose creation failed isn't there."""
        if work.operation.verb == "create":
            work.manager.forget(work.record.id)
        else:
            work.record.state = "Succeeded"
            work.save()


def _database(server: Record, name: str, properties: Body) -> Record:
    resource_id = f"{server.id}/databases/{name}"
    return Record(resource_id, Databases.type, {"id": resource_id, "name": name, "type": Databases.type, "properties": properties})


def _system_database(server: Record, name: str) -> Record:
    return _database(server, name, {"charset": "UTF8", "collation": DEFAULT_COLLATION})


class FirewallRules(ServerChild):
    """Address ranges let in; only servers with public access have them. Kept as data: the real server listens on loopback alone."""

    type = f"{SERVER}/firewallRules"
    model = "azure.mgmt.postgresqlflexibleservers.models.FirewallRule"
    styles = styles.postgresql("UpsertServerFirewallRulesManagementOperation", "DropServerFirewallRulesManagementOperation")
    naming = Naming(r"[a-zA-Z0-9][-_a-zA-Z0-9]{0,79}(?<!-)", "InvalidFirewallRuleName", "The firewall rule name '{name}' is not valid.")
    methods = frozenset({"GET", "PUT", "DELETE"})

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        server = self.require_server(call, "UpsertServerFirewallRules", running=False)
        if server.properties["network"].get("delegatedSubnetResourceId"):
            message = "Firewall rule operations cannot be requested for a private access enabled server."
            raise ArmError(400, "FirewallRulesNotAllowedForPrivateAccessServer", message)
        try:
            start, end = (ipaddress.IPv4Address(body["properties"][name]) for name in ("startIpAddress", "endIpAddress"))
        except ValueError as error:
            raise ArmError(400, "InvalidParameterValue", f"The firewall rule has an invalid address: {error}.") from error
        if start > end:
            message = f"The start IP address '{start}' must not be greater than the end IP address '{end}'."
            raise ArmError(400, "InvalidFirewallRuleIpRange", message)


class Administrators(ServerChild):
    """Entra principals that may log in as administrators; kept as data, the real server knows passwords only."""

    type = f"{SERVER}/administrators"
    model = "azure.mgmt.postgresqlflexibleservers.models.AdministratorMicrosoftEntra"
    styles = styles.postgresql("UpsertServerADAdministratorManagementOperation", "DropServerADAdministratorManagementOperation")
    naming = Naming(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "InvalidObjectId", "The object id '{name}' is not valid.")
    methods = frozenset({"GET", "PUT", "DELETE"})

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        server = self.require_server(call, "UpsertServerADAdministrator")
        if server.properties["authConfig"]["activeDirectoryAuth"] != "Enabled":
            message = f"Microsoft Entra authentication is not enabled for server '{server.name}'."
            raise ArmError(400, "AadAuthNotEnabledForServer", message)

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        record.properties["objectId"] = record.name
        record.properties.setdefault("principalType", "Unknown")
        record.properties.setdefault("tenantId", call.emulator.tenant_id)


class Backups(ServerChild):
    """The one automatic backup that every server has from its creation on."""

    type = f"{SERVER}/backups"
    methods = frozenset({"GET"})

    def read(self, call: Call, record_id: ResourceId) -> Record | None:
        server = self.server(call.manager, record_id)
        backup = _backup(server) if server else None
        return backup if backup and backup.name.lower() == record_id.name.lower() else None

    def listed(self, call: Call, scope: str) -> list[Record]:
        server = call.manager.get(scope)
        return [_backup(server)] if server else []


def _backup(server: Record) -> Record:
    moment = server.properties["backup"]["earliestRestoreDate"]
    name = f"backup_{''.join(character for character in moment if character.isdigit())[:18]}"
    resource_id = f"{server.id}/backups/{name}"
    properties = {"backupType": "Full", "completedTime": moment, "source": "Automatic"}
    return Record(resource_id, Backups.type, {"id": resource_id, "name": name, "type": Backups.type, "properties": properties})
