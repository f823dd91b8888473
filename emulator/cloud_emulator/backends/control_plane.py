"""The programs of one cluster: etcd, API server, controller manager, scheduler; kwok and a kubelet for the nodes.

Each cluster has a loopback address of its own, on which every program has its usual port; all of them speak TLS with the cluster's own certificates.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import shutil
import signal
import time
import typing as t

from ..certificates import write_secret
from . import stages
from .kubernetes_api import Api, ApiError
from .pki import ClusterAuthority
from .programs import program
from .webhooks import PORT as WEBHOOK_PORT

if t.TYPE_CHECKING:
    from ..processes import Processes

API_PORT, ETCD_PORT, ETCD_PEER_PORT, KUBELET_PORT = 6443, 2379, 2380, 10250
CONTROLLER_PORT, SCHEDULER_PORT = 10257, 10259
PORTS = (API_PORT, ETCD_PORT, ETCD_PEER_PORT, KUBELET_PORT, CONTROLLER_PORT, SCHEDULER_PORT, WEBHOOK_PORT)
KUBELET_CLIENT = "kube-apiserver-kubelet-client"  # the name that our kubelet expects
NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
ENDPOINT = "192.0.2.1"  # what `kubernetes` in the namespace default points to: an address that nothing has (loopback is refused there)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
READY_WITHIN = 120.0  # seconds
STOP_ORDER = (("kwok", "kubelet", "kube-scheduler", "kube-controller-manager"), ("kube-apiserver",), ("etcd",))


@dataclasses.dataclass(frozen=True)
class Network:
    """Ranges of a cluster, and the address of `kubernetes` in it."""

    service_cidr: str = "10.0.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    kubernetes_ip: str = "10.0.0.1"


class ControlPlane:
    """The processes of one cluster, with everything they keep in `folder`."""

    def __init__(self, processes: Processes, folder: pathlib.Path, name: str, fqdn: str, issuer: str, ip: str, network: Network) -> None:
        self.missing_images: list[str] = []  # parts of the names of images that kwok's pods cannot have
        self.folder, self.name, self.fqdn, self.issuer, self.ip, self.network = folder, name, fqdn, issuer, ip, network
        self._processes = processes
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.authority = ClusterAuthority(folder / "pki")
        self.pods = folder / "pods"

    @property
    def url(self) -> str:
        return f"https://{self.ip}:{API_PORT}"

    async def prepare(self) -> Api:
        """Write all that `start` needs; returns a client that may do anything once the cluster runs."""
        self.pods.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._api = await asyncio.to_thread(self._prepare)
        return self._api

    async def start(self) -> None:
        """Start everything, after `prepare`, and wait until the cluster is usable.

        Raises RuntimeError, with the end of the log, where a program does not come up.
        """
        api = self._api
        deadline = time.monotonic() + READY_WITHIN
        await asyncio.gather(self._run("etcd", self._etcd(), stop=signal.SIGTERM), self._run("kube-apiserver", self._api_server()))
        await self._until(api, "/readyz", deadline)
        # kwok, which has a new identity at each start, would wait until the leases of the last one run out.
        await api.delete(LEASES)
        await asyncio.gather(*(self._run(name, flags) for name, flags in self._others().items()))
        # The controller manager would make it in some seconds; whoever puts a pod there first need not wait for that.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await api.create("/api/v1/namespaces/default/serviceaccounts", account)

    async def stop(self) -> None:
        """End every process: clients of the API server first."""
        for names in STOP_ORDER:
            # The API server waits for open watches up to a minute; nobody is left to profit from that.
            await asyncio.gather(*(self._processes.stop(self._process(name), 3 if name == "kube-apiserver" else 10) for name in names))
        self._running.clear()

    def delete(self) -> None:
        """Remove all that the cluster kept; its processes must have been stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # How each program is called -------------------------------------------------------------------------------------------------------------

    def _etcd(self) -> dict[str, str]:
        own = {"listen-client-urls": f"https://{self.ip}:{ETCD_PORT}", "advertise-client-urls": f"https://{self.ip}:{ETCD_PORT}"}
        peers = {"listen-peer-urls": f"https://{self.ip}:{ETCD_PEER_PORT}", "initial-advertise-peer-urls": f"https://{self.ip}:{ETCD_PEER_PORT}"}
        tls = {
            "cert-file": self.path("etcd.crt"),
            "key-file": self.path("etcd.key"),
            "trusted-ca-file": self.path("etcd-ca.crt"),
            "client-cert-auth": "true",
        }
        return {
            **own,
            **peers,
            **tls,
            **{f"peer-{name}": value for name, value in tls.items()},
            "name": "default",
            "initial-cluster": f"default=https://{self.ip}:{ETCD_PEER_PORT}",
            "data-dir": str(self.folder / "etcd"),
            "unsafe-no-fsync": "true",  # what a crash of the machine loses here is no loss
            "log-level": "warn",
        }

    def _api_server(self) -> dict[str, str]:
        return {
            "bind-address": self.ip,
            "secure-port": str(API_PORT),
            "advertise-address": ENDPOINT,
            "external-hostname": self.fqdn,
            "etcd-servers": f"https://{self.ip}:{ETCD_PORT}",
            "etcd-cafile": self.path("etcd-ca.crt"),
            "etcd-certfile": self.path("etcd-client.crt"),
            "etcd-keyfile": self.path("etcd-client.key"),
            "tls-cert-file": self.path("apiserver.crt"),
            "tls-private-key-file": self.path("apiserver.key"),
            "client-ca-file": self.path("ca.crt"),
            "kubelet-client-certificate": self.path("kubelet-client.crt"),
            "kubelet-client-key": self.path("kubelet-client.key"),
            "kubelet-certificate-authority": self.path("ca.crt"),
            "kubelet-preferred-address-types": "InternalDNS",  # where our kubelet listens; the InternalIP is the node's in its subnet, as on AKS
            "authorization-mode": "Node,RBAC,Webhook",
            "authorization-webhook-config-file": self.path("authorize.kubeconfig"),
            "authorization-webhook-version": "v1",
            "authorization-webhook-cache-authorized-ttl": "10s",
            "authorization-webhook-cache-unauthorized-ttl": "1s",
            "authentication-token-webhook-config-file": self.path("authenticate.kubeconfig"),
            "authentication-token-webhook-version": "v1",
            "authentication-token-webhook-cache-ttl": "2s",
            "enable-admission-plugins": "NodeRestriction",
            "service-account-issuer": self.issuer,
            "service-account-jwks-uri": f"{self.issuer.rstrip('/')}/openid/v1/jwks",
            "service-account-signing-key-file": self.path("sa.key"),
            "service-account-key-file": self.path("sa.pub"),
            "api-audiences": ",".join((self.issuer, f"https://{self.fqdn}", f"https://{self.fqdn}:443", "https://kubernetes.default.svc")),
            "service-cluster-ip-range": self.network.service_cidr,
            "allow-privileged": "true",
            "profiling": "false",
            "shutdown-delay-duration": "0s",
        }

    def _others(self) -> dict[str, dict[str, str]]:
        manager = {
            "kubeconfig": self.path("controller-manager.kubeconfig"),
            "bind-address": self.ip,
            "secure-port": str(CONTROLLER_PORT),
            "leader-elect": "false",
            "use-service-account-credentials": "true",
            "service-account-private-key-file": self.path("sa.key"),
            "root-ca-file": self.path("ca.crt"),
            "cluster-signing-cert-file": self.path("ca.crt"),
            "cluster-signing-key-file": self.path("ca.key"),
            "allocate-node-cidrs": "false",  # nodes come with theirs
            "flex-volume-plugin-dir": str(self.folder / "volume-plugins"),  # made at start; the default is in /usr
            "profiling": "false",
        }
        scheduler = {
            "kubeconfig": self.path("scheduler.kubeconfig"),
            "bind-address": self.ip,
            "secure-port": str(SCHEDULER_PORT),
            "leader-elect": "false",
            "profiling": "false",
        }
        kwok = {
            "kubeconfig": self.path("admin.kubeconfig"),
            "config": str(self.folder / "kwok.yaml"),
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": "40",
            "cidr": self.network.pod_cidr,
        }
        kubelet = {
            "address": f"{self.ip}:{KUBELET_PORT}",
            "tls-cert-file": self.path("kubelet.crt"),
            "tls-private-key-file": self.path("kubelet.key"),
            "client-ca-file": self.path("ca.crt"),
            "pods": str(self.pods),
        }
        return {"kube-controller-manager": manager, "kube-scheduler": scheduler, "kwok": kwok, "kubelet": kubelet}

    # ------------------------------------------------------------------------------------------------------------------------------------------

    def _prepare(self) -> Api:
        """Write certificates and settings, anew at each start: the address may have changed."""
        authority = self.authority
        etcd = ClusterAuthority(self.folder / "pki" / "etcd")
        authority.write("etcd", etcd.server("etcd", [], [self.ip]))
        authority.write("etcd-client", etcd.client("kube-apiserver-etcd-client"))
        write_secret(authority.folder / "etcd-ca.crt", etcd.ca_pem.encode())
        authority.write("apiserver", authority.server("kube-apiserver", [self.fqdn, *NAMES], [self.ip, self.network.kubernetes_ip]))
        authority.write("kubelet", authority.server("kubelet", [], [self.ip]))
        authority.write("webhook", authority.server("webhook", [], [self.ip]))
        authority.write("kubelet-client", authority.client(KUBELET_CLIENT))
        users = {
            "admin": authority.client("aksService", ["system:masters"]),
            "controller-manager": authority.client("system:kube-controller-manager"),
            "scheduler": authority.client("system:kube-scheduler"),
        }
        for name, pair in users.items():
            self._write_kubeconfig(name, self.url, *authority.write(name, pair))
        for name in ("authenticate", "authorize"):
            self._write_kubeconfig(name, f"https://{self.ip}:{WEBHOOK_PORT}/{name}", self.path("kubelet-client.crt"), self.path("kubelet-client.key"))
        # The API server asks the kubelet with this identity, and authenticates it like any other client.
        write_secret(self.folder / "kwok.yaml", stages.configuration(self.missing_images).encode())
        return Api(self.url, self.path("ca.crt"), self.path("admin.crt"), self.path("admin.key"))

    def _write_kubeconfig(self, name: str, url: str, certificate: str, key: str) -> None:
        content = f"""apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{url}", certificate-authority: "{self.path("ca.crt")}"}}}}]
users: [{{name: u, user: {{client-certificate: "{certificate}", client-key: "{key}"}}}}]
contexts: [{{name: d, context: {{cluster: c, user: u}}}}]
current-context: d
"""
        write_secret(self.authority.folder / f"{name}.kubeconfig", content.encode())

    async def set_missing_images(self, parts: list[str]) -> None:
        """Tell kwok which images no registry has, starting it anew where that has changed."""
        if parts == self.missing_images:
            return
        self.missing_images = parts
        write_secret(self.folder / "kwok.yaml", stages.configuration(parts).encode())
        if "kwok" in self._running:
            await self._processes.stop(self._process("kwok"))
            await self._api.delete(LEASES)
            await self._run("kwok", self._others()["kwok"])

    def path(self, name: str) -> str:
        """A file of the certificates, such as webhook.crt."""
        return str(self.authority.folder / name)

    def _process(self, name: str) -> str:
        return f"kubernetes/{self.name}/{name}"

    async def _run(self, name: str, flags: t.Mapping[str, str], stop: int = signal.SIGTERM) -> None:
        arguments = [f"--{flag}={value}" for flag, value in flags.items()]
        # Memory before processor time: a cluster here is small.
        environment = {**_without_proxies(), "GOGC": "60", "KWOK_WORKDIR": str(self.folder / "kwok"), "HOME": str(self.folder)}
        self._running[name] = await self._processes.start(
            self._process(name), program(name), *arguments, env=environment, log=self.folder / f"{name}.log", cwd=str(self.folder), stop_signal=stop
        )

    async def _until(self, api: Api, path: str, deadline: float) -> None:
        while True:
            try:
                if await api.get(path) is not None:
                    return
            except ApiError as error:
                last: object = error
            else:
                last = f"{path} is not there"
            ended = [name for name, process in self._running.items() if process.returncode is not None]
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else "kube-apiserver"
                lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
                await self.stop()
                raise RuntimeError(f"The control plane of {self.fqdn} did not come up ({last}); the end of {name}'s log:\n" + "\n".join(lines))
            await asyncio.sleep(0.1)


def _without_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
