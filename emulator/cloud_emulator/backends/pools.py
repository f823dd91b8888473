"""Agent pools as nodes: named, labelled and tainted as AKS does it, with what a kubelet of that machine size leaves allocatable."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import math
import re
import typing as t

from .kubernetes_api import Api, Object
from .programs import KUBERNETES_VERSION

MAX_PODS = 250  # of a node, Azure CNI overlay's default
NODE_NETWORK = ipaddress.ip_network("10.224.0.0/16")  # AKS's own, where the user has no subnet


@dataclasses.dataclass(frozen=True)
class Pool:
    """An agent pool. `labels` and `taints` (key=value:Effect) are the user's; what AKS puts on every node is added."""

    name: str
    count: int
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    taints: list[str] = dataclasses.field(default_factory=list)
    vcpus: int = 2
    memory_gib: float = 8
    min: int = 0
    max: int = 0
    autoscale: bool = False
    mode: str = "User"
    vm_size: str = "Standard_D2s_v5"
    region: str = "westus"
    zones: list[str] = dataclasses.field(default_factory=list)
    os_sku: str = "Ubuntu"
    max_pods: int = MAX_PODS


@dataclasses.dataclass(frozen=True)
class Site:
    """What all nodes of a cluster have in common."""

    key: str  # of the cluster
    node_resource_group: str
    kubelet_ip: str  # where our kubelet listens for all nodes
    pod_cidr: str

    @property
    def digits(self) -> str:
        """Eight digits that AKS puts into the names of all nodes of a cluster."""
        return f"{int(hashlib.sha256(self.key.encode()).hexdigest(), 16) % 10**8:08d}"


async def reconcile(api: Api, site: Site, pool: Pool, busy: t.Container[str] = ()) -> None:
    """Make the pool's nodes be `pool.count`, with its labels and taints. Where there are too many, those not `busy` go first, newest first."""
    nodes = await _nodes(api)
    own = sorted((node for node in nodes if _pool_of(node) == pool.name), key=lambda node: t.cast(str, node["metadata"]["name"]))
    surplus = sorted(own, key=lambda node: (node["metadata"]["name"] in busy, _negated(node["metadata"]["name"])))[: max(0, len(own) - pool.count)]
    for node in surplus:
        own.remove(node)
        await remove(api, node["metadata"]["name"])
    for node in own:
        await _update(api, node, pool)
    for _ in range(pool.count - len(own)):
        node = manifest(site, pool, nodes)
        nodes.append(node)
        await api.create("/api/v1/nodes", node)


async def delete(api: Api, name: str) -> None:
    """Remove a pool's nodes, with what runs on them."""
    for node in await _nodes(api):
        if _pool_of(node) == name:
            await remove(api, node["metadata"]["name"])


async def remove(api: Api, node: str) -> None:
    """Cordon a node, delete its pods (their owners make new ones elsewhere) and then the node."""
    await api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    pods = await api.request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={node}")
    for pod in pods["items"]:
        # Deleted for good at once: a real machine that is scaled away takes its pods with it.
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        await api.delete(path, {"gracePeriodSeconds": 0})
    await api.delete(f"/api/v1/nodes/{node}")


def manifest(site: Site, pool: Pool, others: t.Sequence[Object]) -> Object:
    """A further node of a pool, beside the cluster's `others`."""
    names = {node["metadata"]["name"] for node in others}
    stem = f"aks-{pool.name}-{site.digits}-vmss"
    name = next(name for number in range(10**6) if (name := stem + _base36(number)) not in names)
    number = int(name[len(stem) :], 36)
    zone = f"{pool.region}-{pool.zones[number % len(pool.zones)]}" if pool.zones else "0"
    taken = {node["spec"].get("podCIDR") for node in others}
    pod_cidr = next(str(cidr) for cidr in _parts(site.pod_cidr) if str(cidr) not in taken)
    addresses = {address["address"] for node in others for address in node["status"].get("addresses", [])}
    internal = next(str(ip) for ip in NODE_NETWORK if int(ip) - int(NODE_NETWORK.network_address) > 3 and str(ip) not in addresses)
    total, free = capacity(pool)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**pool.labels, **labels(site, pool, name, zone)},
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {
            "podCIDR": pod_cidr,
            "podCIDRs": [pod_cidr],
            "providerID": f"azure:///subscriptions/{_subscription(site.key)}/resourceGroups/{site.node_resource_group.lower()}/providers/"
            f"Microsoft.Compute/virtualMachineScaleSets/{stem}/virtualMachines/{number}",
            "taints": taints(pool),
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": internal},
                {"type": "Hostname", "address": name},
                {"type": "InternalDNS", "address": site.kubelet_ip},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "capacity": total,
            "allocatable": free,
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "bootID": "",
                "machineID": "",
                "systemUUID": "",
                "kernelVersion": "5.15.0-1102-azure",
                "osImage": "Ubuntu 22.04.5 LTS",
                "containerRuntimeVersion": "containerd://1.7.29-1",
                "kubeletVersion": f"v{KUBERNETES_VERSION}",
                "kubeProxyVersion": "",
            },
        },
    }


def labels(site: Site, pool: Pool, name: str, zone: str) -> dict[str, str]:
    """What AKS labels every node with."""
    return {
        "agentpool": pool.name,
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/instance-type": pool.vm_size,
        "beta.kubernetes.io/os": "linux",
        "failure-domain.beta.kubernetes.io/region": pool.region,
        "failure-domain.beta.kubernetes.io/zone": zone,
        "kubernetes.azure.com/agentpool": pool.name,
        "kubernetes.azure.com/cluster": site.node_resource_group,
        "kubernetes.azure.com/mode": pool.mode.lower(),
        "kubernetes.azure.com/nodepool-type": "VirtualMachineScaleSets",
        "kubernetes.azure.com/os-sku": pool.os_sku,
        "kubernetes.azure.com/role": "agent",
        "kubernetes.azure.com/storageprofile": "managed",
        "kubernetes.azure.com/storagetier": "Premium_LRS",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/role": "agent",
        "node-role.kubernetes.io/agent": "",
        "node.kubernetes.io/instance-type": pool.vm_size,
        "storageprofile": "managed",
        "storagetier": "Premium_LRS",
        "topology.disk.csi.azure.com/zone": "" if zone == "0" else zone,
        "topology.kubernetes.io/region": pool.region,
        "topology.kubernetes.io/zone": zone,
    }


def taints(pool: Pool) -> list[Object]:
    """key=value:Effect as Kubernetes has it."""
    found = []
    for text in pool.taints:
        pair, _, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        found.append({"key": key, "value": value, "effect": effect})
    return found


def capacity(pool: Pool) -> tuple[dict[str, str], dict[str, str]]:
    """What a node has, and what AKS leaves of it for pods.

    CPU is reserved by steps of the number of cores; of memory 20 MiB a pod and 50 MiB more, at most a quarter, and 100 MiB as the eviction threshold.
    """
    steps = {1: 60, 2: 100, 4: 140, 8: 180, 16: 260, 32: 420, 64: 740}
    reserved = max((millicores for cores, millicores in steps.items() if cores <= pool.vcpus), default=60)
    memory = math.floor(pool.memory_gib * 1024 * 0.97)  # the kernel keeps some
    left = memory - min(20 * pool.max_pods + 50, memory // 4) - 100
    total = {"cpu": str(pool.vcpus), "memory": f"{memory * 1024}Ki", "pods": str(pool.max_pods), "ephemeral-storage": "129886128Ki"}
    return total, {**total, "cpu": f"{pool.vcpus * 1000 - reserved}m", "memory": f"{left * 1024}Ki", "ephemeral-storage": "119703055367"}


async def _update(api: Api, node: Object, pool: Pool) -> None:
    name, metadata = node["metadata"]["name"], node["metadata"]
    known = metadata.get("labels", {})
    system = {key for key in known if re.match(r"(.*\.)?(kubernetes|azure)\.(io|com)/", key) or key in ("agentpool", "storageprofile", "storagetier")}
    gone = {key: None for key in known if key not in system and key not in pool.labels and key in _managed(node)}
    wanted = {**gone, **{key: value for key, value in pool.labels.items() if known.get(key) != value}}
    if known.get("kubernetes.azure.com/mode") != pool.mode.lower():
        wanted["kubernetes.azure.com/mode"] = pool.mode.lower()
    patch: Object = {}
    if wanted:
        patch["metadata"] = {"labels": wanted}
    lifecycle = [taint for taint in node["spec"].get("taints", []) if taint["key"].startswith("node.kubernetes.io/")]
    if (ours := [*taints(pool), *lifecycle]) != node["spec"].get("taints", []):
        patch["spec"] = {"taints": ours}
    if patch:
        await api.patch(f"/api/v1/nodes/{name}", patch)


def _managed(node: Object) -> set[str]:
    """Labels that we have set, so that those of kubectl users stay."""
    fields = (entry["fieldsV1"] for entry in node["metadata"].get("managedFields", []) if entry.get("manager") == "cloud-emulator")
    return {key[2:] for entry in fields for key in entry.get("f:metadata", {}).get("f:labels", {}) if key.startswith("f:")}


async def _nodes(api: Api) -> list[Object]:
    return t.cast(list[Object], (await api.request("GET", "/api/v1/nodes"))["items"])


def _pool_of(node: Object) -> str:
    return str(node["metadata"].get("labels", {}).get("agentpool", ""))


def _parts(cidr: str) -> t.Iterator[ipaddress.IPv4Network]:
    return ipaddress.IPv4Network(cidr).subnets(new_prefix=24)


def _subscription(key: str) -> str:
    parts = key.strip("/").split("/")
    return parts[1] if len(parts) > 1 else ""


def _negated(name: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in name)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits.rjust(6, "0")
