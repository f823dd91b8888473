"""A real Kubernetes control plane for each managed cluster, with kwok's nodes and the pods that matter run as local processes.

Whatever version was asked for, the control plane is the one that emulator/kubernetes pins; the API tells the version that was asked for.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import hashlib
import pathlib
import re
import typing as t

from . import addons, address, pools
from .address import Address
from .admission import PATH as MUTATE
from .admission import WorkloadIdentity
from .autoscaler import Autoscaler
from .control_plane import API_PORT, PORTS, ControlPlane, Network
from .kubernetes_api import Api, Informer, Object
from .pki import ClusterAuthority
from .pods.machine import missing_images
from .pools import Pool, Site
from .webhooks import Webhooks
from .workloads import Workloads

if t.TYPE_CHECKING:
    from ..emulator import Emulator

COLLECTION = "kubernetes"

__all__ = ["Cluster", "KubernetesBackend", "Network", "Pool"]


class Cluster(t.NamedTuple):
    """Where a cluster's API server listens, and the certificate of the authority that it is known by."""

    address: Address
    ca_pem: str


@dataclasses.dataclass
class Record:
    """What is kept of a cluster."""

    name: str  # of its folder and processes
    fqdn: str
    version: str
    issuer: str
    ip: str
    running: bool = True
    node_resource_group: str = ""
    network: dict[str, str] = dataclasses.field(default_factory=dict)
    pools: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)


class _Live:
    """A cluster that runs: its processes, what watches it, and the autoscaler and pods that follow from that."""

    def __init__(self, backend: KubernetesBackend, key: str, control_plane: ControlPlane, api: Api, site: Site, emulator: Emulator) -> None:
        self.control_plane, self.api, self.site = control_plane, api, site
        self.nodes = Informer(api, "/api/v1/nodes", lambda node, gone: None)
        self.pods = Informer(api, "/api/v1/pods", self._pod_changed)
        self.workload_identity = WorkloadIdentity(api, emulator.tenant_id)
        answers = {MUTATE: self.workload_identity.review, "/authenticate": self._authenticate, "/authorize": self._authorize}
        self.webhooks = Webhooks(control_plane.ip, answers)
        self._key, self._backend = key, backend
        self.workloads = Workloads(emulator, api, control_plane, self.nodes, self.pods.objects)

        def seconds(name: str, default: float) -> float:
            return emulator.settings.durations.get(name, default)

        async def resize(pool: str, count: int) -> None:
            await backend.resize(key, pool, count)

        self.autoscaler = Autoscaler(site, self.pods, self.nodes, lambda: [pool for pool in backend.pools(key) if pool.autoscale], resize, seconds)

    async def serve(self) -> None:
        """Answer the API server; to be done before it starts."""
        await self.webhooks.start(self.control_plane.path("webhook.crt"), self.control_plane.path("webhook.key"))

    async def _authenticate(self, review: Object) -> Object:
        access = self._backend.access
        user = access.authenticate(self._key, review["spec"]["token"]) if access else None
        return {"status": {"authenticated": user is not None, "audiences": review["spec"].get("audiences") or [], **({"user": user} if user else {})}}

    async def _authorize(self, review: Object) -> Object:
        access = self._backend.access
        allowed, reason = access.authorize(self._key, review["spec"]) if access else (False, "")
        return {"status": {"allowed": allowed, "reason": reason}}

    def _pod_changed(self, pod: Object, gone: bool) -> None:
        self.workloads.pod_changed(pod, gone)
        self.autoscaler.pod_changed(pod)

    async def start(self) -> None:
        """Begin to watch; the control plane runs."""
        await self.workload_identity.register(self.control_plane.ip, self.control_plane.authority.ca_pem)
        self.nodes.start()
        await self.nodes.synced.wait()
        self.pods.start()
        await self.pods.synced.wait()
        await asyncio.to_thread(self.workloads.clean, list(self.pods.objects.values()))

    async def stop(self) -> None:
        await self.autoscaler.stop()
        await self.workloads.stop()
        stopping = asyncio.gather(self.pods.stop(), self.nodes.stop())
        await self.control_plane.stop()
        await stopping
        await self.webhooks.stop()
        self.api.close()


class Access(t.Protocol):
    """Who the cloud's users are in a cluster, and what they may do there beside what the cluster's own RBAC says."""

    def authenticate(self, key: str, token: str) -> Object | None: ...
    def authorize(self, key: str, spec: Object) -> tuple[bool, str]: ...


class KubernetesBackend:
    """The clusters, by key (the resource's id in lower case). Raises KeyError for a key that was not created."""

    def __init__(self, emulator: Emulator, access: Access | None = None) -> None:
        self._emulator, self.access = emulator, access
        self._live: dict[str, _Live] = {}
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Start every cluster that ran when the emulator went down."""
        keys = [key for key, value in self._emulator.store.items(COLLECTION) if value["running"]]
        await asyncio.gather(*(self._start_one(key) for key in keys))

    async def stop(self) -> None:
        """Stop every cluster; they come back with `start`."""
        await asyncio.gather(*(self._down(key) for key in list(self._live)))

    async def create(
        self, key: str, *, fqdn: str, version: str, issuer_url: str, node_resource_group: str = "", network: Network | None = None
    ) -> Cluster:
        """Make a cluster and start it; one that is there is started, as it was made.

        Raises RuntimeError where its programs do not come up, MissingProgramError where they are not built.
        """
        async with self._locks[key]:
            if self._emulator.store.get(COLLECTION, key) is None:
                # Kept before the processes exist, so that what a crash leaves behind is found again.
                name = f"{re.sub(r'[^a-z0-9]+', '-', fqdn.split('.')[0].lower())}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
                ip = await asyncio.to_thread(self._allot_ip)
                ranges = dataclasses.asdict(network or Network())
                self._put(key, Record(name, fqdn, version, issuer_url, ip, node_resource_group=node_resource_group, network=ranges))
            await self._up(key)
            return self._cluster(key)

    async def set_pool(self, key: str, pool: Pool) -> None:
        """Make or change an agent pool; its nodes follow at once. Raises KeyError for a cluster that is not there or does not run."""
        async with self._locks[key]:
            self._keep_pool(key, pool)
            live = self._live[key]
            await pools.reconcile(live.api, live.site, pool, live.autoscaler.busy())

    async def resize(self, key: str, name: str, count: int) -> None:
        """Change a pool's number of nodes, as its autoscaler does. Does nothing where the pool is gone."""
        found = next((pool for pool in self.pools(key) if pool.name == name), None)
        if found is not None:
            await self.set_pool(key, dataclasses.replace(found, count=count))

    async def remove_pool(self, key: str, name: str) -> None:
        """Remove a pool with its nodes and what runs on them. Does nothing where there is none."""
        async with self._locks[key]:
            record = self._record(key)
            if record.pools.pop(name, None) is not None:
                self._put(key, record)
            if key in self._live:
                await pools.delete(self._live[key].api, name)

    def pools(self, key: str) -> list[Pool]:
        """The cluster's pools as they are now: an autoscaled one has the count that the autoscaler gave it."""
        value = self._emulator.store.get(COLLECTION, key)
        return [Pool(**pool) for pool in value["pools"].values()] if value else []

    async def client_certificate(self, key: str, user: str, groups: t.Sequence[str] = ()) -> tuple[str, str]:
        """A client certificate, signed by the cluster's authority, with its key: PEM. system:masters is the group that may do anything."""
        return await asyncio.to_thread(self._authority(key).client, user, list(groups))

    async def stop_cluster(self, key: str) -> None:
        """Stop a cluster; it stays stopped when the emulator comes up again."""
        async with self._locks[key]:
            self._put(key, dataclasses.replace(self._record(key), running=False))
            await self._down(key)

    async def start_cluster(self, key: str) -> None:
        """Start a cluster that was stopped."""
        async with self._locks[key]:
            self._put(key, dataclasses.replace(self._record(key), running=True))
            await self._up(key)

    async def delete(self, key: str) -> None:
        """Stop a cluster and delete all of it. Does nothing where there is none."""
        async with self._locks[key]:
            value = self._emulator.store.get(COLLECTION, key)
            if value is None:
                return
            record = Record(**value)
            await self._down(key)
            await asyncio.to_thread(self._control_plane(record).delete)
            self._emulator.store.delete(COLLECTION, key)

    async def jwks(self, issuer_url: str) -> dict[str, t.Any] | None:
        """The public keys of the cluster with this OIDC issuer (a final slash does not matter), or None where no cluster has it."""
        for key, value in self._emulator.store.items(COLLECTION):
            if value["issuer"].rstrip("/") == issuer_url.rstrip("/"):
                return await asyncio.to_thread(self._authority(key).jwks)
        return None

    async def settings_changed(self) -> None:
        """To be told when the user has changed settings."""
        parts = missing_images(self._emulator)
        await asyncio.gather(*(live.control_plane.set_missing_images(parts) for live in self._live.values()))

    def api(self, key: str) -> Api:
        """A client of the running cluster that may do anything."""
        return self._live[key].api

    async def _start_one(self, key: str) -> None:
        async with self._locks[key]:
            await self._up(key)

    async def _up(self, key: str) -> None:
        if key in self._live:
            return
        record = self._record(key)
        ip = await asyncio.to_thread(self._allot_ip, record.ip)
        if ip != record.ip:
            record = dataclasses.replace(record, ip=ip)
            self._put(key, record)
        control_plane = self._control_plane(record)
        await control_plane.set_missing_images(missing_images(self._emulator))
        api = await control_plane.prepare()
        site = Site(key, record.node_resource_group or f"MC_{record.name}", record.ip, control_plane.network.pod_cidr)
        live = _Live(self, key, control_plane, api, site, self._emulator)
        try:
            await live.serve()
            await control_plane.start()
            await addons.install(api)
            for pool in self.pools(key):
                await pools.reconcile(api, site, pool)
            await live.start()
        except BaseException:
            await live.stop()
            raise
        self._live[key] = live
        self._emulator.tunnels[record.fqdn] = (record.ip, API_PORT)

    async def _down(self, key: str) -> None:
        live = self._live.pop(key, None)
        if live is not None:
            with contextlib.suppress(KeyError):
                self._emulator.tunnels.pop(self._record(key).fqdn)
            await live.stop()

    def _cluster(self, key: str) -> Cluster:
        return Cluster(Address(self._record(key).ip, API_PORT), self._authority(key).ca_pem)

    def _control_plane(self, record: Record) -> ControlPlane:
        folder = self._folder(record.name)
        return ControlPlane(self._emulator.processes, folder, record.name, record.fqdn, record.issuer, record.ip, Network(**record.network))

    def _authority(self, key: str) -> ClusterAuthority:
        return ClusterAuthority(self._folder(self._record(key).name) / "pki")

    def _folder(self, name: str) -> pathlib.Path:
        return self._emulator.state / "kubernetes" / name

    def _keep_pool(self, key: str, pool: Pool) -> None:
        record = self._record(key)
        record.pools[pool.name] = dataclasses.asdict(pool)
        self._put(key, record)

    def _record(self, key: str) -> Record:
        value = self._emulator.store.get(COLLECTION, key)
        if value is None:
            raise KeyError(f"There is no Kubernetes cluster {key}.")
        return Record(**value)

    def _put(self, key: str, record: Record) -> None:
        self._emulator.store.put(COLLECTION, key, dataclasses.asdict(record))

    def _allot_ip(self, preferred: str | None = None) -> str:
        """A loopback address on which all ports of a control plane are free."""
        taken = {value["ip"] for _, value in self._emulator.store.items(COLLECTION)} - {preferred}
        while True:
            ip = address.allot(API_PORT, taken, preferred).ip
            if all(address.is_free(Address(ip, port)) for port in PORTS):
                return ip
            taken.add(ip)
            preferred = None
