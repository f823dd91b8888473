"""What can be said of clusters and their pods without running one."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from cloud_emulator.azure.container_service_access import action, scope
from cloud_emulator.backends import admission, autoscaler, pools, programs, stages
from cloud_emulator.backends.npm import MissingProgramError
from cloud_emulator.backends.pods import commands
from cloud_emulator.backends.pods.environment import expand
from cloud_emulator.backends.pods.files import field, localise
from cloud_emulator.backends.pods.probes import Judge, port_number
from cloud_emulator.backends.pods.status import ContainerStatus, phase, pod_status, running, terminated
from cloud_emulator.backends.pools import Pool, Site

SITE = Site("/subscriptions/s/x", "MC_rg_c_westus", "127.80.0.1", "10.244.0.0/16")


# Programs ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(programs.OWN_FOLDER, raising=False)
    return tmp_path


def fake(path: pathlib.Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_go_one_sentence_says_what_to_do(
    empty_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(empty_cache))
    assert programs.main() == 1
    assert capsys.readouterr().err.startswith("Go was not found: install Go 1.24 or newer")
    fake(empty_cache / "go", "echo go version go1.21.3 linux/amd64")
    assert programs.main() == 1
    assert "need Go 1.24 or newer, and" in capsys.readouterr().err
    with pytest.raises(MissingProgramError, match="kubectl is not built"):
        programs.program("kubectl")


def test_builds_what_is_missing_and_nothing_twice(
    empty_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A Go that "builds" by writing the file that -o names, and keeps a list of what it was asked for.
    said = empty_cache / "said"
    loop = 'if [ "$1" = version ]; then echo go version go1.26.1 x; exit; fi; while [ "$1" != -o ]; do shift; done; echo "$3" >> ' + str(said)
    fake(empty_cache / "bin" / "go", loop + '; echo program > "$2"')
    monkeypatch.setenv("PATH", f"{empty_cache / 'bin'}:/usr/bin:/bin")
    assert programs.main() == 0
    assert said.read_text().split() == [program.package for program in programs.PROGRAMS]
    assert f"[8/8] {programs.PROGRAMS[-1].name}: done" in capsys.readouterr().out
    assert (programs.clients() / "kubectl").read_text() == "program\n"
    pathlib.Path(programs.program("kwok")).unlink()
    assert programs.main() == 0
    assert said.read_text().split()[8:] == ["sigs.k8s.io/kwok/cmd/kwok"]
    assert programs.main() == 0
    assert len(said.read_text().split()) == 9


def test_failed_build_leaves_nothing_and_tells_why(
    empty_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(empty_cache / "go", '[ "$1" = version ] && echo go version go1.26.1 x || { echo "no such module" >&2; exit 1; }')
    monkeypatch.setenv("PATH", f"{empty_cache}:/usr/bin:/bin")
    assert programs.main() == 1
    assert "etcd could not be built (go build ended with 1):\nno such module" in capsys.readouterr().err
    assert [path.name for path in programs.folder().iterdir()] == [".lock"]


def test_own_programs_are_taken_as_they_are(empty_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    own = empty_cache / "own"
    for program in programs.PROGRAMS[1:]:
        fake(own / program.name, "")
    monkeypatch.setenv(programs.OWN_FOLDER, str(own))
    assert programs.main() == 1
    assert capsys.readouterr().err == f"{own} ({programs.OWN_FOLDER}) lacks etcd.\n"
    assert programs.program("kubelet") == str(own / "kubelet")
    assert programs.clients() == own


# Nodes and the autoscaler ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vcpus", "memory", "cpu", "mib"),
    [(2, 8, "1900m", 5860), (4, 16, "3860m", 11819), (8, 32, "7820m", 26634), (64, 256, "63260m", 249129)],
)
def test_allocatable_is_what_aks_leaves(vcpus: int, memory: float, cpu: str, mib: int) -> None:
    _, free = pools.capacity(Pool("p", 1, vcpus=vcpus, memory_gib=memory))
    assert (free["cpu"], free["memory"]) == (cpu, f"{mib * 1024}Ki")


def test_nodes_of_a_pool_differ() -> None:
    first = pools.manifest(SITE, Pool("p", 1), [])
    second = pools.manifest(SITE, Pool("p", 1), [first])
    names = [node["metadata"]["name"] for node in (first, second)]
    assert [name[-6:] for name in names] == ["000000", "000001"]
    assert first["spec"]["podCIDR"] != second["spec"]["podCIDR"]
    assert first["status"]["addresses"][0] != second["status"]["addresses"][0]


class Copy:
    """In place of an informer."""

    def __init__(self, *objects: dict[str, t.Any]) -> None:
        self.objects = {item["metadata"]["name"]: item for item in objects}


def pending(name: str, cpu: str = "1", **spec: t.Any) -> dict[str, t.Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}, "status": {"phase": "Pending", "conditions": [condition]}}


def scaler(pods: list[dict[str, t.Any]], nodes: list[dict[str, t.Any]], *candidates: Pool) -> autoscaler.Autoscaler:
    made = object.__new__(autoscaler.Autoscaler)  # without the task that its constructor starts
    made._site, made._pods, made._nodes = SITE, t.cast(t.Any, Copy(*pods)), t.cast(t.Any, Copy(*nodes))
    made._autoscaled, made._seconds, made._empty_since = lambda: list(candidates), lambda name, default: default, {}
    return made


def test_autoscaler_packs_pods_on_as_few_nodes_as_it_can() -> None:
    pool = Pool("p", 0, vcpus=4, memory_gib=16, min=0, max=10, autoscale=True)
    assert scaler([pending(f"p{n}") for n in range(7)], [], pool).wanted(0) == {"p": 3}  # three pods of one core a node
    assert scaler([pending("p")], [pools.manifest(SITE, pool, [])], pool).wanted(0) == {}  # the scheduler has not seen the node yet
    assert scaler([pending("p", cpu="64")], [], pool).wanted(0) == {}
    assert scaler([pending("p")], [], Pool("p", 3, vcpus=4, memory_gib=16, max=3, autoscale=True)).wanted(0) == {}


def test_autoscaler_takes_the_pool_that_labels_and_taints_allow() -> None:
    tainted = Pool("tainted", 0, taints=["only=x:NoSchedule"], max=3, autoscale=True)
    labelled = Pool("labelled", 0, labels={"disk": "ssd"}, max=3, autoscale=True)
    assert scaler([pending("p")], [], tainted, labelled).wanted(0) == {"labelled": 1}
    tolerant = {"tolerations": [{"key": "only", "operator": "Exists"}], "nodeSelector": {"agentpool": "tainted"}}
    assert scaler([pending("p", **tolerant)], [], tainted, labelled).wanted(0) == {"tainted": 1}
    wish = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["ssd"]}]}]}
    affine = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": wish}}}
    assert scaler([pending("p", **affine)], [], tainted, labelled).wanted(0) == {}


def test_autoscaler_lets_empty_nodes_go_after_a_while() -> None:
    pool = Pool("p", 2, min=1, max=3, autoscale=True)
    nodes = [pools.manifest(SITE, pool, [])]
    nodes.append(pools.manifest(SITE, pool, nodes))
    subject = scaler([], nodes, pool)
    assert subject.wanted(0) == {}
    assert subject.wanted(autoscaler.UNNEEDED - 1) == {}
    assert subject.wanted(autoscaler.UNNEEDED) == {"p": 1}


@pytest.mark.parametrize(("text", "number"), [("500m", 0.5), ("2", 2), ("1Gi", 2**30), ("1.5k", 1500), ("1e3", 1000)])
def test_quantities(text: str, number: float) -> None:
    assert autoscaler.amount(text) == number


# Pods ---------------------------------------------------------------------------------------------------------------------------------------


def test_variables_are_expanded_as_kubernetes_does_it() -> None:
    assert expand("$(A)-$(B)-$$(A)-$C-$(", {"A": "1"}) == "1-$(B)-$(A)-$C-$("


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("/etc/db/ca.pem", "/here/db/ca.pem"),
        ("/etc/db", "/here/db"),
        ("open('/etc/db/x')", "open('/here/db/x')"),
        ("/etc/db/tls/key:/tmp/a", "/here/tls/key:/here/tmp/a"),
        ("/etc/database/x https://host/tmp/a ./tmp /tmpx", "/etc/database/x https://host/tmp/a ./tmp /tmpx"),
    ],
)
def test_mounted_paths_become_this_machines(text: str, local: str) -> None:
    assert localise(text, {"/etc/db": "/here/db", "/etc/db/tls": "/here/tls", "/tmp": "/here/tmp"}) == local


def test_fields_of_the_downward_api() -> None:
    pod = {"metadata": {"name": "n", "labels": {"a/b": "c"}}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}}
    paths = ("metadata.name", "metadata.labels['a/b']", "status.podIPs", "metadata.labels", "spec.nodeName")
    assert [field(pod, path) for path in paths] == ["n", "c", "10.0.0.1", 'a/b="c"', ""]


def test_commands_of_the_image_have_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"image": "netflixoss/metaflow_metadata_service:v2.5.1"}
    monkeypatch.delenv(commands.SOURCE, raising=False)
    python = commands._python()
    server = [python, "-m", f"{commands.STAND_IN}.server"]
    assert commands.command(image, [commands.IMAGE_PYTHON, "-m", "services.metadata_service.server"]) == server
    assert commands.command(image, []) == server
    migrate = [python, "-m", f"{commands.STAND_IN}.run_goose", "--wait", "30"]
    assert commands.command(image, [commands.IMAGE_PYTHON, "/root/run_goose.py", "--wait", "30"]) == migrate
    script = f"{commands.IMAGE_PYTHON} /root/run_goose.py && {commands.IMAGE_PYTHON} -m services.ui_backend_service.ui_server"
    expected = f"{python} -m {commands.STAND_IN}.run_goose && {python} -m {commands.STAND_IN}.ui_server"
    assert commands.command(image, ["sh", "-c", script]) == ["sh", "-c", expected]
    # A mount may hide the folder in which our own programs lie.
    mounts = {"/" + python.split("/")[1]: "/volumes/m", "/data": "/volumes/data"}
    assert commands.command(image, [commands.IMAGE_PYTHON, "/data/x"], mounts) == [python, "/volumes/data/x"]
    assert commands.command(image, ["sh", "-c", f"{commands.IMAGE_PYTHON} /data/x"], mounts) == ["sh", "-c", f"{python} /volumes/data/x"]
    assert commands.command({"image": "x/metaflow_ui:v1"}, ["nginx"]) == [python, "-m", f"{commands.STAND_IN}.ui_static"]


def test_real_service_is_run_from_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake(tmp_path / ".venv" / "bin" / "python", "")
    monkeypatch.setenv(commands.SOURCE, str(tmp_path))
    monkeypatch.delenv(commands.PYTHON, raising=False)
    image, words = {"image": "metaflow_metadata_service"}, [commands.IMAGE_PYTHON, "-m", "services.metadata_service.server"]
    assert commands.command(image, words) == [str(tmp_path / ".venv/bin/python"), *words[1:]]
    assert commands.environment()["PYTHONPATH"] == str(tmp_path)


def test_probe_thresholds() -> None:
    judge = Judge(failure_threshold=3, success_threshold=2)
    results = [False, False, True, False, False, False, True, True, False]
    assert [judge.add(result) for result in results] == [None, None, None, None, None, False, False, True, True]
    assert port_number({"ports": [{"name": "http", "containerPort": 8080}]}, "http") == 8080
    with pytest.raises(ValueError, match="couldn't find port: grpc"):
        port_number({}, "grpc")


def status(name: str, state: dict[str, t.Any], **more: t.Any) -> ContainerStatus:
    return ContainerStatus(name, "i", state, **more)


@pytest.mark.parametrize(
    ("policy", "inits", "mains", "expected"),
    [
        ("Always", [], [running("t")], "Running"),
        ("Always", [], [terminated(1, "t")], "Running"),
        ("Always", [running("t")], [{"waiting": {}}], "Pending"),
        ("Never", [terminated(1, "t")], [{"waiting": {}}], "Failed"),
        ("OnFailure", [terminated(1, "t")], [{"waiting": {}}], "Pending"),
        ("Never", [terminated(0, "t")], [terminated(0, "t"), terminated(2, "t")], "Failed"),
        ("Never", [], [terminated(0, "t"), running("t")], "Running"),
        ("OnFailure", [], [terminated(0, "t")], "Succeeded"),
        ("OnFailure", [], [terminated(1, "t")], "Running"),
    ],
)
def test_phases(policy: str, inits: list[t.Any], mains: list[t.Any], expected: str) -> None:
    pod = {"spec": {"restartPolicy": policy, "initContainers": [{"name": f"i{n}"} for n in range(len(inits))]}}
    first = [status(f"i{n}", state) for n, state in enumerate(inits)]
    assert phase(pod, first, [status(f"m{n}", state) for n, state in enumerate(mains)]) == expected


def test_status_keeps_the_time_of_conditions_that_have_not_changed() -> None:
    before = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    pod = {"spec": {}, "status": {"conditions": [before]}}
    found = pod_status(pod, [], [status("m", running("t"))], ip="10.244.0.9", host_ip="10.224.0.4", start="t")
    ready = next(condition for condition in found["conditions"] if condition["type"] == "Ready")
    assert (ready["lastTransitionTime"], ready["message"]) == ("2026-01-01T00:00:00Z", "containers with unready status: [m]")
    ended = terminated(-15, "t")["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (143, "Error")


def test_kwok_leaves_alone_what_is_run_here_and_what_cannot_be_pulled() -> None:
    text = stages.configuration(["a.b/c"])
    assert text.count("metadata_service|metaflow_ui|a\\\\.b/c") == 3
    assert "@" not in text


# Admission and Entra ----------------------------------------------------------------------------------------------------------------------------


def test_workload_identity_is_put_into_every_container_but_those_left_out() -> None:
    pod = {
        "metadata": {"annotations": {"azure.workload.identity/skip-containers": "proxy"}},
        "spec": {
            "containers": [{"name": "a", "env": [{"name": "AZURE_CLIENT_ID", "value": "own"}]}, {"name": "proxy"}],
            "initContainers": [{"name": "i"}],
        },
    }
    account = {
        "metadata": {"annotations": {"azure.workload.identity/client-id": "cid", "azure.workload.identity/service-account-token-expiration": "7200"}}
    }
    patch = {item["path"]: item["value"] for item in admission.mutation(pod, account, "tid", "https://login.microsoftonline.com/")}
    first, second = patch["/spec/containers"]
    assert {v["name"]: v["value"] for v in first["env"]} == {
        "AZURE_CLIENT_ID": "own",
        "AZURE_TENANT_ID": "tid",
        "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    assert second == {"name": "proxy"}
    assert patch["/spec/initContainers"][0]["env"][0] == {"name": "AZURE_CLIENT_ID", "value": "cid"}
    token = patch["/spec/volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert token == {"path": "azure-identity-token", "expirationSeconds": 7200, "audience": "api://AzureADTokenExchange"}
    again = {"metadata": {}, "spec": {"containers": [first], "volumes": patch["/spec/volumes"]}}
    assert admission.mutation(again, account, "tid", "https://login.microsoftonline.com/") == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"verb": "list", "resource": "pods", "namespace": "n"}, "pods/read"),
        ({"verb": "patch", "group": "apps", "resource": "deployments"}, "apps/deployments/write"),
        ({"verb": "deletecollection", "resource": "secrets"}, "secrets/delete"),
        ({"verb": "create", "resource": "pods", "subresource": "exec"}, "pods/exec/action"),
        ({"verb": "impersonate", "resource": "users"}, "users/impersonate"),
    ],
)
def test_azure_actions_of_kubernetes_requests(attributes: dict[str, str], expected: str) -> None:
    spec = {"resourceAttributes": attributes}
    assert action(spec) == f"Microsoft.ContainerService/managedClusters/{expected}"
    assert scope("/c", spec) == ("/c/namespaces/n" if "namespace" in attributes else "/c")


def test_azure_action_of_a_path() -> None:
    assert action({"nonResourceAttributes": {"path": "/healthz/x", "verb": "get"}}) == "Microsoft.ContainerService/managedClusters/healthz/read"
