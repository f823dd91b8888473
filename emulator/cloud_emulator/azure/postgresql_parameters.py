"""The server parameters that Flexible Server shows as `configurations`, with the service's own defaults and limits.

A subset of the several hundred that a server has: those that users, migration guides and infrastructure code set. Defaults that
depend on the compute size are worked out from its memory, as the service's page on server parameters describes.
"""

from __future__ import annotations

import re
import typing as t

from .arm.errors import ArmError
from .postgresql_capabilities import Sku

if t.TYPE_CHECKING:
    from ..emulator import Emulator
    from .arm.manager import ResourceManager
    from .arm.resource import Record

_PAGES = {
    "connection": ("max_connections", "superuser_reserved", "tcp_", "password_", "ssl", "listen", "authentication"),
    "resource": ("shared_buffers", "work_mem", "maintenance_work", "temp_", "max_worker", "max_parallel", "effective_io", "bgwriter", "vacuum_cost"),
    "wal": ("wal_", "checkpoint", "max_wal", "min_wal", "commit_", "synchronous_commit"),
    "replication": ("max_replication", "max_wal_senders", "hot_standby"),
    "query": ("random_page", "seq_page", "effective_cache", "default_statistics", "enable_", "jit"),
    "logging": ("log_",),
    "autovacuum": ("autovacuum",),
    "locks": ("deadlock", "max_locks"),
}


class Parameter(t.NamedTuple):
    """One server parameter. `dynamic` ones take effect at once, the others after a restart; `known` is False for the service's own."""

    name: str
    kind: str  # Boolean, Integer, Numeric, Enumeration, String, Set
    default: str
    allowed: str
    description: str
    dynamic: bool = True
    read_only: bool = False
    unit: str = ""
    known: bool = True

    def refuses(self, value: str) -> bool:
        """Whether the service would answer that this value is invalid."""
        if self.kind == "Boolean":
            return value.lower() not in ("on", "off", "true", "false")
        if self.kind == "Enumeration":
            return value.lower() not in self.allowed.lower().split(",")
        if self.kind == "Set":
            return bool({item.strip().lower() for item in value.split(",") if item.strip()} - set(self.allowed.lower().split(",")))
        if self.kind == "String":
            return re.fullmatch(self.allowed, value) is None
        try:
            number = float(value) if self.kind == "Numeric" else int(value)
        except ValueError:
            return True
        low, high = (float(limit) for limit in re.fullmatch(r"(-?[\d.]+)-([\d.]+)", self.allowed).groups())  # type: ignore[union-attr]
        return not low <= number <= high

    @property
    def documentation(self) -> str:
        """Address of the parameter's description."""
        if not self.known:
            return "https://go.microsoft.com/fwlink/?linkid=2274270"
        page = next((page for page, prefixes in _PAGES.items() if self.name.startswith(prefixes)), "client")
        return f"https://www.postgresql.org/docs/current/runtime-config-{page}.html#GUC-{self.name.upper().replace('_', '-')}"


def _boolean(name: str, default: str, description: str, **more: t.Any) -> Parameter:
    return Parameter(name, "Boolean", default, "on,off", description, **more)


def _integer(name: str, default: int, low: int, high: int, description: str, **more: t.Any) -> Parameter:
    return Parameter(name, "Integer", str(default), f"{low}-{high}", description, **more)


def _numeric(name: str, default: str, low: str, high: str, description: str, **more: t.Any) -> Parameter:
    return Parameter(name, "Numeric", default, f"{low}-{high}", description, **more)


def _choice(name: str, default: str, allowed: str, description: str, **more: t.Any) -> Parameter:
    return Parameter(name, "Enumeration", default, allowed, description, **more)


_EXTENSIONS = (
    "address_standardizer,amcheck,azure_ai,azure_storage,bloom,btree_gin,btree_gist,citext,cube,dblink,dict_int,dict_xsyn,earthdistance,fuzzystrmatch,"
    "hstore,hypopg,intarray,isn,lo,ltree,orafce,pageinspect,pg_buffercache,pg_cron,pg_freespacemap,pg_partman,pg_prewarm,pg_repack,pg_stat_statements,"
    "pg_trgm,pg_visibility,pgaudit,pgcrypto,pglogical,pgrowlocks,pgstattuple,plpgsql,plv8,postgis,postgis_raster,postgis_topology,postgres_fdw,"
    "semver,sslinfo,tablefunc,timescaledb,tsm_system_rows,tsm_system_time,unaccent,uuid-ossp,vector"
)
_LEVELS = "debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic"

_PARAMETERS = [
    _boolean(
        "require_secure_transport", "on", "Whether client connections to the server are required to use some form of secure transport.", known=False
    ),
    Parameter("azure.extensions", "Set", "", _EXTENSIONS, "Specifies which extensions are allowed to be created in the server.", known=False),
    _integer("azure.migration_copy_with_binary", 0, 0, 1, "Whether the migration service copies in binary format.", read_only=True, known=False),
    _boolean("azure.accepted_password_auth_method_reset", "off", "Reserved by the service.", read_only=True, known=False),
    Parameter(
        "azure.accepted_password_auth_method",
        "Set",
        "md5,scram-sha-256",
        "md5,scram-sha-256",
        "Accepted password authentication method.",
        known=False,
    ),
    _boolean("pgbouncer.enabled", "false", "Denotes if pgBouncer service is enabled.", known=False),
    _integer("pgbouncer.default_pool_size", 50, 1, 4950, "How many server connections to allow per user/database pair.", known=False),
    _integer("pgbouncer.max_client_conn", 5000, 100, 50000, "Maximum number of client connections allowed.", known=False),
    _choice("pgbouncer.pool_mode", "transaction", "session,transaction,statement", "When a server connection can be reused.", known=False),
    _choice("metrics.collector_database_activity", "off", "on,off", "Whether enhanced database metrics are collected.", known=False),
    _boolean("metrics.autovacuum_diagnostics", "off", "Whether metrics of autovacuum are collected.", known=False),
    _choice("pg_qs.query_capture_mode", "none", "top,all,none", "Query capture mode of the query store.", known=False),
    Parameter(
        "shared_preload_libraries",
        "Set",
        "pg_cron,pg_stat_statements",
        "anon,auto_explain,azure_storage,decoderbufs,pg_cron,pg_failover_slots,pg_hint_plan,pg_partman_bgw,pg_prewarm,pg_squeeze,pg_stat_statements,"
        "pgaudit,pglogical,timescaledb,wal2json",
        "Sets which shared libraries are preloaded at server start.",
        dynamic=False,
        known=False,  # the libraries belong to the service's own build of PostgreSQL
    ),
    _integer("max_connections", 859, 25, 5000, "Sets the maximum number of concurrent connections to the database server.", dynamic=False),
    _integer("superuser_reserved_connections", 10, 10, 10, "Connections reserved for the service.", dynamic=False, read_only=True),
    _integer("shared_buffers", 32768, 16, 1073741823, "Sets the number of shared memory buffers used by the server.", dynamic=False, unit="8kB"),
    _integer("effective_cache_size", 131072, 1, 2147483647, "Sets the planner's assumption about the total size of the data caches.", unit="8kB"),
    _integer("work_mem", 4096, 4096, 2097151, "Sets the maximum memory to be used for query workspaces.", unit="kB"),
    _integer("maintenance_work_mem", 154624, 1024, 2097151, "Sets the maximum memory to be used for maintenance operations.", unit="kB"),
    _integer("temp_buffers", 1024, 100, 1073741823, "Sets the maximum number of temporary buffers used by each session.", unit="8kB"),
    _integer("max_worker_processes", 8, 0, 262143, "Sets the maximum number of concurrent worker processes.", dynamic=False),
    _integer("max_parallel_workers", 8, 0, 1024, "Sets the maximum number of parallel workers that can be active at one time."),
    _integer("max_parallel_workers_per_gather", 2, 0, 1024, "Sets the maximum number of parallel processes per executor node."),
    _integer("max_parallel_maintenance_workers", 2, 0, 64, "Sets the maximum number of parallel processes per maintenance operation."),
    _integer("max_prepared_transactions", 0, 0, 262143, "Sets the maximum number of simultaneously prepared transactions.", dynamic=False),
    _integer("max_locks_per_transaction", 64, 10, 8388608, "Sets the maximum number of locks per transaction.", dynamic=False),
    _integer("max_replication_slots", 10, 2, 262143, "Specifies the maximum number of replication slots.", dynamic=False),
    _integer("max_wal_senders", 10, 5, 100, "Sets the maximum number of simultaneously running WAL sender processes.", dynamic=False),
    _choice("wal_level", "replica", "replica,logical", "Sets the level of information written to the WAL.", dynamic=False),
    _choice("synchronous_commit", "on", "local,remote_write,remote_apply,on,off", "Sets the current transaction's synchronization level."),
    _integer("max_wal_size", 2048, 32, 65536, "Sets the WAL size that triggers a checkpoint.", unit="MB"),
    _integer("min_wal_size", 80, 32, 65536, "Sets the minimum size to shrink the WAL to.", unit="MB"),
    _integer("checkpoint_timeout", 600, 30, 86400, "Sets the maximum time between automatic WAL checkpoints.", unit="s"),
    _numeric(
        "checkpoint_completion_target", "0.9", "0", "1", "Time spent flushing dirty buffers during checkpoint, as fraction of checkpoint interval."
    ),
    _integer("bgwriter_delay", 20, 10, 10000, "Specifies the delay between activity rounds for the background writer.", unit="ms"),
    _numeric("random_page_cost", "2", "0", "1000000", "Sets the planner's estimate of the cost of a nonsequentially fetched disk page."),
    _integer("default_statistics_target", 100, 1, 10000, "Sets the default statistics target."),
    _boolean("jit", "off", "Allow JIT compilation."),
    _boolean("autovacuum", "on", "Starts the autovacuum subprocess."),
    _integer("autovacuum_max_workers", 3, 1, 262143, "Sets the maximum number of simultaneously running autovacuum processes.", dynamic=False),
    _integer("autovacuum_naptime", 60, 1, 2147483, "Time to sleep between autovacuum runs.", unit="s"),
    _numeric("autovacuum_vacuum_scale_factor", "0.2", "0", "100", "Tuple updates or deletes prior to vacuum, as a fraction of reltuples."),
    _numeric("autovacuum_analyze_scale_factor", "0.1", "0", "100", "Tuple changes prior to analyze, as a fraction of reltuples."),
    _integer("statement_timeout", 0, 0, 2147483647, "Sets the maximum allowed duration of any statement.", unit="ms"),
    _integer("lock_timeout", 0, 0, 2147483647, "Sets the maximum allowed duration of any wait for a lock.", unit="ms"),
    _integer(
        "idle_in_transaction_session_timeout", 0, 0, 2147483647, "Sets the maximum allowed idle time between queries in a transaction.", unit="ms"
    ),
    _integer("deadlock_timeout", 1000, 1, 2147483647, "Sets the time to wait on a lock before checking for deadlock.", unit="ms"),
    _integer("tcp_keepalives_idle", 120, 0, 2147483647, "Time between issuing TCP keepalives.", unit="s"),
    _integer("tcp_keepalives_interval", 30, 0, 2147483647, "Time between TCP keepalive retransmits.", unit="s"),
    _integer("tcp_keepalives_count", 9, 0, 2147483647, "Maximum number of TCP keepalive retransmits."),
    _choice("password_encryption", "scram-sha-256", "md5,scram-sha-256", "Determines the algorithm to use to encrypt the password."),
    _choice("ssl_min_protocol_version", "TLSv1.2", "TLSv1.2,TLSv1.3", "Sets the minimum SSL/TLS protocol version to use."),
    _choice("ssl_max_protocol_version", "", ",TLSv1.2,TLSv1.3", "Sets the maximum SSL/TLS protocol version to use."),
    _boolean("ssl", "on", "Enables SSL connections.", read_only=True),
    _boolean("log_connections", "on", "Logs each successful connection."),
    _boolean("log_disconnections", "on", "Logs end of a session, including duration."),
    _boolean("log_checkpoints", "on", "Logs each checkpoint."),
    _boolean("log_lock_waits", "off", "Logs long lock waits."),
    _boolean("log_duration", "off", "Logs the duration of each completed SQL statement."),
    _integer("log_min_duration_statement", -1, -1, 2147483647, "Sets the minimum execution time above which statements will be logged.", unit="ms"),
    _integer(
        "log_autovacuum_min_duration", 600000, -1, 2147483647, "Sets the minimum execution time above which autovacuum actions are logged.", unit="ms"
    ),
    _choice("log_statement", "none", "none,ddl,mod,all", "Sets the type of statements logged."),
    _choice("log_min_messages", "warning", _LEVELS, "Sets the message levels that are logged."),
    _choice("log_error_verbosity", "default", "terse,default,verbose", "Sets the verbosity of logged messages."),
    _choice("client_min_messages", "notice", _LEVELS, "Sets the message levels that are sent to the client."),
    _choice(
        "default_transaction_isolation", "read committed", "serializable,repeatable read,read committed,read uncommitted", "Default isolation level."
    ),
    _choice("bytea_output", "hex", "escape,hex", "Sets the output format for bytea."),
    Parameter("TimeZone", "String", "UTC", r"[A-Za-z0-9/_+-]+", "Sets the time zone for displaying and interpreting time stamps."),
    Parameter("DateStyle", "String", "ISO, MDY", r"[A-Za-z]+(, ?[A-Za-z]+)?", "Sets the display format for date and time values."),
    Parameter("search_path", "String", '"$user", public', r"[\w$\", ]*", "Sets the schema search order for names that are not schema-qualified."),
    Parameter("server_version", "String", "", ".*", "Shows the server version.", read_only=True),
    Parameter("data_directory", "String", "/datadrive/pg/data", ".*", "Sets the server's data directory.", dynamic=False, read_only=True),
]
PARAMETERS: dict[str, Parameter] = {parameter.name.lower(): parameter for parameter in _PARAMETERS}


def default_of(parameter: Parameter, sku: Sku | None, version: str) -> str:
    """The service's default on a server of that compute size and version."""
    memory = int((sku.memory if sku else 8) * 1024)  # MiB
    derived = {
        "max_connections": {2048: 50, 4096: 429}.get(memory, min(memory * 859 // 8192, 5000)),
        "shared_buffers": memory * 1024 // 8 // 4,
        "effective_cache_size": memory * 1024 // 8 * 3 // 4,
        "server_version": version,
    }
    return str(derived.get(parameter.name, parameter.default))


async def apply(emulator: Emulator, server: str, name: str, value: str) -> None:
    """Set a parameter on the real server, where it is PostgreSQL's own or the rule on transport, which the backend obeys.

    Raises ArmError for a value that the server refuses.
    """
    if PARAMETERS[name.lower()].known or name == "require_secure_transport":
        try:
            await emulator.postgresql.configure(server, name, value)
        except ValueError as error:
            raise ArmError(400, "InvalidParameterValue", f"Invalid value given for parameter {name}: {error}") from error


async def apply_pending(manager: ResourceManager, server: Record) -> None:
    """After a restart of the server: the values that waited for one."""
    for record in manager.children(server.id, f"{server.type}/configurations"):
        if record.properties["isConfigPendingRestart"]:
            await apply(manager.emulator, server.key, record.name, record.properties["value"])
            record.properties["isConfigPendingRestart"] = False
            record.private["running"] = record.properties["value"]
            manager.put(record)
