"""A real cluster, driven with kubectl: nodes, what kwok does, the pods that run as processes, and coming back after a stop."""

from __future__ import annotations

import asyncio
import base64
import collections.abc
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import typing as t
import urllib.request

import jwt
import kubernetes.client
import kubernetes.config
import kubernetes.stream
import pytest
from cloud_emulator.azure.arm.manager import ASSIGNMENTS
from cloud_emulator.azure.container_service_access import ClusterAccess
from cloud_emulator.azure.container_service_kubeconfig import SERVER_APPLICATION
from cloud_emulator.backends import programs
from cloud_emulator.backends.kubernetes import KubernetesBackend, Pool
from cloud_emulator.emulator import Emulator

KEY = "/subscriptions/s/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/aks-test"
FQDN = "aks-test-0a1b2c3d.hcp.westus.azmk8s.io"
ISSUER = "https://westus.oic.prod-aks.azure.com/tenant/cluster/"
IMAGE = "netflixoss/metaflow_metadata_service:v2.5.1"
PYTHON = "/opt/latest/bin/python3"
SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists('/flag/ready') or self.path == '/alive' else 503)
        self.end_headers()
        self.wfile.write(b'pong from ' + os.environ['HOSTNAME'].encode())
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))
print('listening')
http.server.ThreadingHTTPServer((os.environ['MF_METADATA_HOST'], 8080), Handler).serve_forever()
"""


class NoDatabases:
    """In place of the PostgreSQL backend, which these tests don't need."""

    def address_of(self, hostname: str) -> None:
        return None


class Cluster:
    """The cluster under test: the backend in a loop of its own, and kubectl as an administrator."""

    def __init__(self, state: pathlib.Path) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.state = state
        self.emulator = Emulator.open(state)
        self.emulator.postgresql = NoDatabases()  # type: ignore[assignment]
        self.backend = self.emulator.kubernetes = KubernetesBackend(self.emulator, ClusterAccess(self.emulator))
        self.kubeconfig = state / "kubeconfig"

    def run(self, work: t.Coroutine[t.Any, t.Any, t.Any], timeout: float = 180) -> t.Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def login(self, user: str = "masterclient", groups: tuple[str, ...] = ("system:masters",)) -> pathlib.Path:
        """A kubeconfig that reaches the API server's address, expecting the name that the kubeconfigs of AKS have."""
        made = self.run(self.backend.create(KEY, fqdn=FQDN, version="1.34.4", issuer_url=ISSUER, node_resource_group="MC_rg_aks-test_westus"))
        certificate, key = self.run(self.backend.client_certificate(KEY, user, list(groups)))
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in (("ca", made.ca_pem), ("crt", certificate), ("key", key))}
        server = {"server": f"https://{made.address.ip}:{made.address.port}", "tls-server-name": FQDN, "certificate-authority-data": encoded["ca"]}
        content = {
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": {"client-certificate-data": encoded["crt"], "client-key-data": encoded["key"]}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = self.kubeconfig if user == "masterclient" else self.state / f"kubeconfig-{user}"
        path.write_text(json.dumps(content))
        return path

    def kubectl(self, *arguments: str, text: str | None = None, config: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [programs.program("kubectl"), f"--kubeconfig={config or self.kubeconfig}", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=90, env=environment())

    def ok(self, *arguments: str, text: str | None = None) -> str:
        done = self.kubectl(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *arguments: str) -> t.Any:
        return json.loads(self.ok("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, t.Any]) -> None:
        self.ok("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def pod(self, app: str) -> dict[str, t.Any] | None:
        items = [pod for pod in self.get("pods", "-l", f"app={app}")["items"] if "deletionTimestamp" not in pod["metadata"]]
        return items[0] if items else None


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def until(check: t.Callable[[], t.Any], what: str, seconds: float = 40) -> t.Any:
    """The first true value of `check`."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError, LookupError, OSError):
            if found := check():
                return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.3)


@pytest.fixture(scope="module", autouse=True)
def _own_environment() -> t.Iterator[None]:
    """Clusters are reached directly here, not by the proxy of an emulator that other tests of this process run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AZURE_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("kubernetes") / "state")
    try:
        made.login()
        made.run(made.backend.set_pool(KEY, Pool("system", 1, mode="System", vcpus=4, memory_gib=16, vm_size="Standard_D4_v5")))
        yield made
        made.run(made.backend.delete(KEY))
        assert list((made.state / "kubernetes").iterdir()) == []
        assert made.emulator.processes.running() == []
    finally:
        made.run(made.backend.stop())
        made.emulator.processes.sweep()


def workload(app: str, kind: str = "Deployment", labels: dict[str, str] | None = None, replicas: int = 1, **spec: t.Any) -> dict[str, t.Any]:
    """A Deployment or a Job with one pod."""
    template = {"metadata": {"labels": {"app": app, **(labels or {})}}, "spec": spec}
    if kind == "Job":
        template["spec"].setdefault("restartPolicy", "Never")
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": app}, "spec": {"backoffLimit": 0, "template": template}}
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app}, "spec": body}


def secret(name: str, **texts: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts}


# The control plane -----------------------------------------------------------------------------------------------------------------------


def test_versions_are_those_that_are_pinned(cluster: Cluster) -> None:
    found = json.loads(cluster.ok("version", "-o", "json"))
    assert found["serverVersion"]["gitVersion"] == found["clientVersion"]["gitVersion"] == f"v{programs.KUBERNETES_VERSION}"
    helm = subprocess.run([programs.program("helm"), "version", "--short"], capture_output=True, text=True, check=True, env=environment())
    assert helm.stdout.startswith(f"v{programs.HELM_VERSION}")


def test_certificate_carries_the_clusters_name_and_nothing_else_is_trusted(cluster: Cluster) -> None:
    made = cluster.run(cluster.backend.create(KEY, fqdn=FQDN, version="1.34.4", issuer_url=ISSUER))
    context = ssl.create_default_context(cadata=made.ca_pem)
    with socket.create_connection(made.address) as plain, context.wrap_socket(plain, server_hostname=FQDN) as tls:
        assert ("DNS", FQDN) in tls.getpeercert()["subjectAltName"]  # type: ignore[index,operator]
    with (
        socket.create_connection(made.address) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname=FQDN),
    ):
        pass
    assert cluster.emulator.tunnels[FQDN] == tuple(made.address)


def test_users_have_the_rights_that_rbac_gives_them(cluster: Cluster) -> None:
    config = cluster.login("jane", ())
    refused = cluster.kubectl("get", "pods", config=config)
    assert 'User "jane" cannot list resource "pods"' in refused.stderr
    cluster.ok("create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    assert until(lambda: cluster.kubectl("get", "pods", config=config).returncode == 0, "the role")


def test_entra_users_have_the_rights_of_their_azure_roles(cluster: Cluster) -> None:
    emulator = cluster.emulator
    scientist = emulator.directory.by_object_id(emulator.credentials["data-scientist"]["object_id"])
    assert scientist
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": emulator.tokens.issue(scientist, SERVER_APPLICATION)}
    path = cluster.state / "kubeconfig-entra"
    path.write_text(json.dumps(config))
    unknown = r"Unauthorized|You must be logged in"  # kubectl says it in two ways
    assert re.search(unknown, cluster.kubectl("get", "pods", config=path).stderr)  # the cluster has no Entra

    profile = {"managed": True, "enableAzureRBAC": True}
    emulator.store.put("resources", KEY, {"id": KEY, "type": "", "body": {"properties": {"aadProfile": profile}}})
    refused = until(lambda: "Forbidden" in (said := cluster.kubectl("get", "pods", config=path).stderr) and said, "being known")
    assert f'User "{scientist.object_id}" cannot list resource "pods"' in refused
    assert "Update role assignment to allow access" in refused
    role = "/providers/Microsoft.Authorization/roleDefinitions/b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"  # RBAC Cluster Admin
    assignment = {"principalId": scientist.object_id, "roleDefinitionId": role, "scope": KEY}
    emulator.store.put(ASSIGNMENTS, f"{KEY}/providers/microsoft.authorization/roleassignments/1", {"properties": assignment})
    assert until(lambda: cluster.kubectl("get", "pods", "-A", config=path).returncode == 0, "the role")
    wrong = emulator.tokens.issue(scientist, "https://management.azure.com")
    config["users"][0]["user"] = {"token": wrong}
    path.write_text(json.dumps(config))
    assert re.search(unknown, cluster.kubectl("get", "pods", config=path).stderr)


def test_node_is_one_of_aks(cluster: Cluster) -> None:
    node = until(lambda: cluster.get("nodes")["items"][0], "a node")
    assert re.fullmatch(r"aks-system-\d{8}-vmss000000", node["metadata"]["name"])
    labels = node["metadata"]["labels"]
    expected = {
        "agentpool": "system",
        "kubernetes.azure.com/agentpool": "system",
        "kubernetes.azure.com/mode": "system",
        "kubernetes.azure.com/cluster": "MC_rg_aks-test_westus",
        "node.kubernetes.io/instance-type": "Standard_D4_v5",
        "topology.kubernetes.io/region": "westus",
        "topology.kubernetes.io/zone": "0",
        "kubernetes.io/hostname": node["metadata"]["name"],
        "kubernetes.io/os": "linux",
    }
    assert expected.items() <= labels.items()
    assert node["status"]["capacity"]["cpu"] == "4"
    assert node["status"]["allocatable"]["cpu"] == "3860m"
    cluster.ok("wait", "node", "--all", "--for=condition=Ready", "--timeout=30s")
    classes = {item["metadata"]["name"] for item in cluster.get("storageclasses")["items"]}
    assert {"default", "managed-csi"} <= classes


def test_pools_come_change_and_go(cluster: Cluster) -> None:
    def names() -> list[str]:
        return [node["metadata"]["name"] for node in cluster.get("nodes", "-l", "agentpool=extra")["items"]]

    pool = Pool("extra", 2, labels={"team": "a", "old": "x"}, taints=["dedicated=a:NoSchedule"], zones=["1", "2"])
    cluster.run(cluster.backend.set_pool(KEY, pool))
    first = cluster.get("nodes", "-l", "agentpool=extra")["items"]
    assert [node["spec"]["taints"][0]["key"] for node in first] == ["dedicated", "dedicated"]
    assert {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in first} == {"westus-1", "westus-2"}
    cluster.ok("label", "node", first[0]["metadata"]["name"], "mine=1")
    cluster.run(cluster.backend.set_pool(KEY, Pool("extra", 1, labels={"team": "b"})))
    assert names() == [first[0]["metadata"]["name"]]
    (node,) = cluster.get("nodes", "-l", "agentpool=extra")["items"]
    labels = node["metadata"]["labels"]
    assert (labels["team"], labels["mine"], "old" in labels) == ("b", "1", False)
    assert not [taint for taint in node["spec"].get("taints", []) if taint["key"] == "dedicated"]
    cluster.run(cluster.backend.remove_pool(KEY, "extra"))
    assert names() == []


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    mine = {process["pid"] for process in cluster.emulator.processes.running()} | {os.getpid()}
    names = {process["name"].rsplit("/", 1)[-1] for process in cluster.emulator.processes.running()}
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubelet"} <= names
    inodes = set()
    for pid in mine:
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    inodes.add(found[1])
    listening = []
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            listening.append(int(fields[1][6:8], 16))
    assert len(listening) >= 6
    assert set(listening) == {127}
    six = [line.split() for line in pathlib.Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    assert not [fields for fields in six if fields[3] == "0A" and fields[9] in inodes]


def test_the_kubelet_answers_the_api_server_alone(cluster: Cluster) -> None:
    made = cluster.run(cluster.backend.create(KEY, fqdn=FQDN, version="1.34.4", issuer_url=ISSUER))
    certificate, key = cluster.run(cluster.backend.client_certificate(KEY, "masterclient", ["system:masters"]))
    (cluster.state / "client.pem").write_text(certificate + key)
    context = ssl.create_default_context(cadata=made.ca_pem)
    url = f"https://{made.address.ip}:10250/containerLogs/default/x/y"
    with pytest.raises(OSError):
        urllib.request.urlopen(url, context=context, timeout=5)
    context.load_cert_chain(cluster.state / "client.pem")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with pytest.raises(urllib.error.HTTPError, match="Forbidden"):
        opener.open(url, timeout=5)


# What kwok does ------------------------------------------------------------------------------------------------------------------------------


def test_other_peoples_pods_are_ready_at_once_and_jobs_complete(cluster: Cluster) -> None:
    cluster.apply(workload("web", replicas=2, containers=[{"name": "web", "image": "nginx"}]))
    cluster.apply(workload("plain", "Job", containers=[{"name": "x", "image": "busybox"}]))
    cluster.ok("rollout", "status", "deployment/web", "--timeout=40s")
    cluster.ok("wait", "job/plain", "--for=condition=complete", "--timeout=90s")
    pod = cluster.pod("web")
    assert pod and pod["status"]["podIP"].startswith("10.244.")
    assert cluster.ok("logs", pod["metadata"]["name"]) == ""
    cluster.ok("delete", "deployment/web", "job/plain", "--wait")


def test_autoscaler_follows_what_does_not_fit(cluster: Cluster) -> None:
    cluster.emulator.settings.update({"durations.scaleDown": "1"})
    taint = ["workload=batch:NoSchedule"]
    cluster.run(cluster.backend.set_pool(KEY, Pool("batch", 0, taints=taint, vcpus=4, memory_gib=16, min=0, max=2, autoscale=True)))
    container = {"name": "x", "image": "nginx", "resources": {"requests": {"cpu": "3"}}}
    toleration = {"key": "workload", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}
    spec = {"containers": [container], "tolerations": [toleration], "nodeSelector": {"agentpool": "batch"}}
    cluster.apply(workload("big", replicas=3, **spec))

    def ready() -> int:
        return int(cluster.get("deployment", "big")["status"].get("readyReplicas", 0))

    until(lambda: ready() == 2, "two pods on two nodes, and no more than the pool may have")
    assert [pool.count for pool in cluster.backend.pools(KEY) if pool.name == "batch"] == [2]
    cluster.ok("delete", "deployment/big", "--wait")
    until(lambda: cluster.get("nodes", "-l", "agentpool=batch")["items"] == [], "empty nodes going")
    cluster.run(cluster.backend.remove_pool(KEY, "batch"))


# Pods that run here -------------------------------------------------------------------------------------------------------------------------


def test_job_runs_with_its_environment_and_files(cluster: Cluster) -> None:
    code = (
        "import os, sys; print(os.environ['PASSWORD'], open('/etc/db/ca.pem').read(), os.environ['URL'], os.environ['POD'], os.environ['PRE_color']);"
        "print('oops', file=sys.stderr); open('/tmp/x', 'w'); sys.exit(int('$(CODE)'))"
    )
    container = {
        "name": "c",
        "image": IMAGE,
        "command": [PYTHON, "-c", code],
        "envFrom": [{"prefix": "PRE_", "configMapRef": {"name": "colors"}}],
        "env": [
            {"name": "CODE", "value": "0"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "URL", "value": "postgres://$(PASSWORD)@$$(X)"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
        "volumeMounts": [{"name": "db", "mountPath": "/etc/db"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "db", "secret": {"secretName": "db"}}, {"name": "tmp", "emptyDir": {}}]
    colors = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "colors"}, "data": {"color": "red"}}
    cluster.apply(
        secret("db", **{"password": "s3cr3t-word", "ca.pem": "PEM"}), colors, workload("code", "Job", containers=[container], volumes=volumes)
    )
    cluster.ok("wait", "job/code", "--for=condition=complete", "--timeout=90s")
    assert sorted(cluster.ok("logs", "job/code").split("\n")) == ["", "oops", "s3cr3t-word PEM postgres://s3cr3t-word@$(X) code red"]
    assert not pathlib.Path("/tmp/x").exists()
    # Nothing secret is left on disk, but for the log that the pod wrote it to and etcd.
    kept = [path for path in (cluster.state / "kubernetes").rglob("*") if path.is_file() and "etcd" not in path.parts and path.suffix != ".log"]
    assert not [path for path in kept if b"s3cr3t-word" in path.read_bytes()]
    cluster.ok("delete", "job/code", "--wait")
    until(lambda: not list((cluster.state / "kubernetes").glob("*/pods/*")), "the pod's folder going")


def test_failed_job_tells_its_exit_code(cluster: Cluster) -> None:
    cluster.apply(workload("broken", "Job", containers=[{"name": "c", "image": IMAGE, "command": ["sh", "-c", f"{PYTHON} -c 'exit(7)'"]}]))
    cluster.ok("wait", "job/broken", "--for=condition=failed", "--timeout=40s")
    pod = cluster.pod("broken")
    assert pod and pod["status"]["phase"] == "Failed"
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (7, "Error")
    cluster.ok("delete", "job/broken")


def test_workload_identity_token_is_the_clusters(cluster: Cluster) -> None:
    annotations = {"azure.workload.identity/client-id": "11111111-2222-3333-4444-555555555555"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "metaflow-task", "annotations": annotations}}
    names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST")
    code = f"import json, os; print(json.dumps([*[os.environ[n] for n in {names}], open(os.environ['AZURE_FEDERATED_TOKEN_FILE']).read()]))"
    spec = {"serviceAccountName": "metaflow-task", "containers": [{"name": "c", "image": IMAGE, "command": [PYTHON, "-c", code]}]}
    cluster.apply(account, workload("token", "Job", labels={"azure.workload.identity/use": "true"}, **spec))
    cluster.ok("wait", "job/token", "--for=condition=complete", "--timeout=90s")
    client, tenant, authority, token = json.loads(cluster.ok("logs", "job/token"))
    assert (client, tenant) == ("11111111-2222-3333-4444-555555555555", cluster.emulator.tenant_id)
    assert authority == "https://login.microsoftonline.com/"
    jwks = cluster.run(cluster.backend.jwks(ISSUER.rstrip("/")))
    published = json.loads(cluster.ok("get", "--raw", "/openid/v1/jwks"))
    assert {key["kid"]: key["n"] for key in jwks["keys"]} == {key["kid"]: key["n"] for key in published["keys"]}
    key = next(key for key in jwt.PyJWKSet.from_dict(jwks).keys if key.key_id == jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="api://AzureADTokenExchange", issuer=ISSUER)
    assert claims["sub"] == "system:serviceaccount:default:metaflow-task"
    assert cluster.run(cluster.backend.jwks("https://elsewhere/")) is None
    cluster.ok("delete", "job/token")


def test_service_is_ready_when_its_probe_says_so_and_reachable_by_port_forward(cluster: Cluster) -> None:
    container = {
        "name": "web",
        "image": IMAGE,
        "command": [PYTHON, "-c", SERVER],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/alive", "port": 8080}, "periodSeconds": 1, "initialDelaySeconds": 2},
        "volumeMounts": [{"name": "flag", "mountPath": "/flag"}],
    }
    other = {"name": "sidecar", "image": "envoy"}
    init = {"name": "first", "image": IMAGE, "command": [PYTHON, "-c", "print('first')"]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "meta"}}
    service["spec"] = {"selector": {"app": "meta"}, "ports": [{"port": 8080, "targetPort": "http"}]}
    volumes = [{"name": "flag", "emptyDir": {}}]
    cluster.apply(service, workload("meta", initContainers=[init], containers=[container, other], volumes=volumes))
    until(lambda: cluster.kubectl("logs", "deploy/meta", "-c", "web").stdout == "listening\n", "the log")
    pod = cluster.pod("meta")
    assert pod
    name = pod["metadata"]["name"]
    assert cluster.ok("logs", name, "-c", "first") == "first\n"
    unready = until(
        lambda: next(c for c in cluster.pod("meta")["status"]["conditions"] if c["type"] == "Ready"),  # type: ignore[index]
        "the condition",
    )
    assert (unready["status"], unready["reason"]) == ("False", "ContainersNotReady")

    done = cluster.kubectl("exec", name, "-c", "web", "-i", "--", PYTHON, "-c", "import sys; open('/nowhere/x')")
    assert (done.returncode, "FileNotFoundError" in done.stderr) == (1, True)
    cluster.ok("exec", name, "-c", "web", "--", "touch", "/flag/ready")
    assert cluster.ok("exec", name, "-c", "web", "-i", "--", "cat", text="through\n") == "through\n"
    cluster.ok("rollout", "status", "deployment/meta", "--timeout=40s")
    addresses = cluster.get("endpoints", "meta")["subsets"][0]["addresses"]
    assert [address["targetRef"]["name"] for address in addresses] == [name]

    command = [programs.program("kubectl"), f"--kubeconfig={cluster.kubeconfig}", "port-forward", "service/meta", ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as forward:
        try:
            port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())[1]  # type: ignore[union-attr,index]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            for _ in range(3):
                assert opener.open(f"http://127.0.0.1:{port}/", timeout=10).read() == f"pong from {name}".encode()
        finally:
            forward.terminate()

    # Python's client forwards over a websocket, kubectl over SPDY.
    client = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(cluster.kubeconfig)))
    stream = kubernetes.stream.portforward(client.connect_get_namespaced_pod_portforward, name, "default", ports="8080")
    connection = stream.socket(8080)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    received = b""
    while chunk := connection.recv(4096):
        received += chunk
    assert received.endswith(f"pong from {name}".encode())

    follow = [programs.program("kubectl"), f"--kubeconfig={cluster.kubeconfig}", "logs", "-f", name, "-c", "web"]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True, env=environment()) as following:
        cluster.ok("delete", "deployment/meta", "service/meta")
        output, _ = following.communicate(timeout=40)
    assert output == "listening\nbye\n"
    until(lambda: cluster.get("pods", "-l", "app=meta")["items"] == [], "the pod's end")


def test_crashing_container_backs_off_and_keeps_its_last_log(cluster: Cluster) -> None:
    cluster.emulator.settings.update({"durations.crashLoopBackOff": "4"})
    container = {"name": "c", "image": IMAGE, "command": [PYTHON, "-c", "import sys; print('no database'); sys.exit(3)"]}
    cluster.apply(workload("crash", containers=[container]))

    def backing_off() -> t.Any:
        status = cluster.pod("crash")["status"]["containerStatuses"][0]  # type: ignore[index]
        return status if status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None

    status = until(backing_off, "CrashLoopBackOff")
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["restartCount"] >= 1
    assert not status["ready"]
    assert cluster.ok("logs", "deploy/crash", "--previous") == "no database\n"
    events = {event["reason"] for event in cluster.get("events")["items"] if event["involvedObject"]["name"].startswith("crash-")}
    assert {"Pulled", "Created", "Started", "BackOff"} <= events
    cluster.ok("delete", "deployment/crash")


def test_what_is_missing_is_told_and_waited_for(cluster: Cluster) -> None:
    needy = {
        "name": "c",
        "image": IMAGE,
        "command": [PYTHON, "-c", ""],
        "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "late", "key": "p"}}}],
    }
    mounting = {"name": "c", "image": IMAGE, "command": [PYTHON, "-c", ""], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    cluster.apply(
        workload("needy", "Job", containers=[needy]),
        workload("mounting", "Job", containers=[mounting], volumes=[{"name": "v", "secret": {"secretName": "late"}}]),
        workload("root", "Job", containers=[{"name": "c", "image": IMAGE, "command": ["true"], "securityContext": {"runAsNonRoot": True}}]),
    )

    def waiting(app: str) -> t.Any:
        return cluster.pod(app)["status"]["containerStatuses"][0]["state"].get("waiting")  # type: ignore[index]

    found = until(lambda: waiting("needy") if waiting("needy")["reason"] == "CreateContainerConfigError" else None, "needy")
    assert found["message"] == 'secret "late" not found'
    found = until(lambda: waiting("root") if waiting("root")["reason"] == "CreateContainerConfigError" else None, "root")
    assert "runAsNonRoot" in found["message"]

    def failed_mount() -> bool:
        messages = [event["message"] for event in cluster.get("events")["items"] if event["reason"] == "FailedMount"]
        return 'MountVolume.SetUp failed for volume "v" : secret "late" not found' in messages

    until(failed_mount, "FailedMount")
    assert waiting("mounting")["reason"] == "ContainerCreating"
    cluster.apply(secret("late", p="x"))
    cluster.ok("wait", "job/needy", "job/mounting", "--for=condition=complete", "--timeout=60s")
    cluster.ok("delete", "job/needy", "job/mounting", "job/root")


def test_images_that_no_registry_has(cluster: Cluster) -> None:
    cluster.emulator.settings.update({"missing_images": "metadata_service:v9, example/nothing"})
    cluster.run(cluster.backend.settings_changed())
    try:
        ours, theirs = {"name": "c", "image": "netflixoss/metaflow_metadata_service:v9"}, {"name": "c", "image": "example/nothing:1"}
        cluster.apply(workload("ours", containers=[ours]), workload("theirs", containers=[theirs]))
        for app, image in (("ours", ours["image"]), ("theirs", theirs["image"])):
            state = lambda app=app: cluster.pod(app)["status"]["containerStatuses"][0]["state"]["waiting"]  # type: ignore[index]  # noqa: E731
            assert until(lambda state=state: state() if state()["reason"] == "ImagePullBackOff" else None, app)["message"].startswith(
                f'Back-off pulling image "{image}"'
            )
    finally:
        cluster.emulator.settings.update({"missing_images": ""})
        cluster.run(cluster.backend.settings_changed())
    cluster.ok("delete", "deployment/ours", "deployment/theirs")
    until(lambda: cluster.pod("ours") is None and cluster.pod("theirs") is None, "their end")


# Down and up --------------------------------------------------------------------------------------------------------------------------------


def test_everything_is_there_again_after_down_and_up(cluster: Cluster) -> None:
    container = {
        "name": "web",
        "image": "public.ecr.aws/outerbounds/metaflow_ui:v1.3.14",
        "ports": [{"containerPort": 3000}],
        "readinessProbe": {"tcpSocket": {"port": 3000}, "periodSeconds": 1},
    }
    cluster.apply(workload("ui", containers=[container]), workload("web", containers=[{"name": "web", "image": "nginx"}]))
    cluster.ok("rollout", "status", "deployment/ui", "--timeout=40s")
    before = cluster.pod("ui")
    cluster.run(cluster.backend.stop())
    assert cluster.emulator.processes.running() == []
    assert FQDN not in cluster.emulator.tunnels
    cluster.run(cluster.backend.start())
    cluster.login()

    def restarted() -> bool:
        pod = cluster.pod("ui")
        assert before and pod
        status = pod["status"]["containerStatuses"][0]
        return pod["metadata"]["uid"] == before["metadata"]["uid"] and status["restartCount"] == 1 and bool(status["ready"])

    until(restarted, "the UI's pod, running again")
    cluster.ok("wait", "node", "--all", "--for=condition=Ready", "--timeout=40s")
    cluster.ok("rollout", "status", "deployment/web", "--timeout=40s")
    cluster.ok("delete", "deployment/ui", "deployment/web")


def test_stopped_cluster_stays_stopped(cluster: Cluster) -> None:
    cluster.run(cluster.backend.stop_cluster(KEY))
    cluster.run(cluster.backend.start())
    assert cluster.emulator.processes.running() == []
    cluster.run(cluster.backend.start_cluster(KEY))
    assert shutil.which("kubectl", path=str(programs.clients()))
    assert cluster.get("nodes")["items"]
