#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_rollout
short_description: Wait until Deployments are rolled out and Jobs have ended
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Waits for several Deployments and Jobs at once.
  - Ends at once where a Job failed or a Deployment gave up. The error then has the pods' states, last events and last lines of their logs.
  - Changes nothing. In check mode it does not wait.
requirements:
  - kubernetes
options:
  kubeconfig:
    description: The kubeconfig, as data. Its users' credentials are neither logged nor returned.
    type: dict
    required: true
  namespace:
    description: Where they are.
    type: str
    default: default
  deployments:
    description: Names of Deployments.
    type: list
    elements: str
    default: []
  jobs:
    description: Names of Jobs.
    type: list
    elements: str
    default: []
  log_lines:
    description: How many of the last lines of each container an error shows, and RV(logs) has.
    type: int
    default: 30
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
extends_documentation_fragment:
  - metaflow.infra.attributes.info
"""

EXAMPLES = r"""
- name: Await the services
  metaflow.infra.kubernetes_rollout:
    kubeconfig: "{{ kubeconfig }}"
    deployments: [metadata-service]
"""

RETURN = r"""
logs:
  description: What each Job's pod wrote, by Job.
  returned: success
  type: dict
"""

import typing as t

from ..module_utils._errors import InfraError
from ..module_utils._kubernetes import KUBECONFIG, credentials
from ..module_utils._run import Run, main_of

if t.TYPE_CHECKING:
    from ..module_utils._kubernetes import Cluster

Json = dict[str, t.Any]


class RolloutError(InfraError):
    """A rollout that won't come to a good end; the text has all that helps to see why."""


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._errors import Timeout
    from ..module_utils._graph import all_of
    from ..module_utils._kubernetes import Cluster

    if run.check_mode:
        return {"logs": {}}
    namespace, lines = run.params["namespace"], run.params["log_lines"]
    awaited: dict[str, tuple[str, str, t.Callable[[Json], str]]]
    awaited = {f"Deployment {name}": ("Deployment", name, deployment_state) for name in run.params["deployments"]}
    awaited |= {f"Job {name}": ("Job", name, job_state) for name in run.params["jobs"]}

    def wait(what: str) -> Json:
        kind, name, state_of = awaited[what]
        cluster = Cluster(run.params["kubeconfig"])

        def read() -> Json:
            seen = cluster.get(kind, namespace, name) or {}
            if state_of(seen).startswith("failed"):
                raise RolloutError(f"{what} {state_of(seen)}.{describe(cluster, seen, lines)}")
            return seen

        try:
            return run.wait_for(read, lambda seen: state_of(seen) == "done", what, state_of)
        except Timeout as error:
            raise RolloutError(f"{error}.{describe(cluster, read(), lines)}") from None

    seen = all_of(awaited, wait)
    return {"logs": {name: log_of(Cluster(run.params["kubeconfig"]), seen[f"Job {name}"], lines) for name in run.params["jobs"]}}


def deployment_state(deployment: Json) -> str:
    """In words; "done" where every replica is of the newest template and available, "failed …" where Kubernetes gave up."""
    if not deployment:
        return "not there yet"
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    updated, available, total = (status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas"))
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "not noticed yet"
    if any(c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded" for c in status.get("conditions", [])):
        return f"failed: {available} of {wanted} pods became available in time"
    if updated == wanted == available == total:
        return "done"
    return f"{available} of {wanted} pods available, {updated} of them new, {max(0, total - updated)} old"


def job_state(job: Json) -> str:
    """In words; "done" where it completed, "failed …" where it ended otherwise."""
    if not job:
        return "not there yet"
    status = job.get("status", {})
    for condition in status.get("conditions", []):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "done"
        if condition["status"] == "True" and condition["type"] == "Failed":
            return f"failed: {condition.get('message') or condition.get('reason')}"
    return f"{status.get('active', 0)} running, {status.get('failed', 0)} failed"


def pods_of(cluster: Cluster, owner: Json) -> list[Json]:
    """Its pods, oldest first."""
    return cluster.pods(owner["metadata"]["namespace"], owner["spec"]["selector"]["matchLabels"])


def log_of(cluster: Cluster, job: Json, lines: int) -> str:
    """What the Job's newest pod wrote."""
    pods = pods_of(cluster, job)
    if not pods:
        return ""
    pod = pods[-1]["metadata"]
    return cluster.log(pod["namespace"], pod["name"], pods[-1]["spec"]["containers"][0]["name"], lines)


def describe(cluster: Cluster, owner: Json, lines: int) -> str:
    """States, events and logs of the two newest pods, each on lines of its own."""
    if not owner:
        return ""
    pods = pods_of(cluster, owner)
    told = [*events(cluster, owner["metadata"])]
    for pod in pods[-2:]:
        metadata = pod["metadata"]
        told += [f"Pod {metadata['name']}: {'; '.join(pod_states(pod))}", *events(cluster, metadata)]
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            text = cluster.log(metadata["namespace"], metadata["name"], container["name"], lines).rstrip()
            told += [f"  log of {container['name']}:", *(f"    {line}" for line in text.splitlines())] if text else []
    return "".join(f"\n{line}" for line in told or ["It has no pods."])


def pod_states(pod: Json) -> list[str]:
    """Its phase, and what each container that doesn't run is doing."""
    status = pod.get("status", {})
    states = [status.get("phase", "Unknown")]
    states += [c["message"] for c in status.get("conditions", []) if c["status"] == "False" and c["type"] == "PodScheduled" and c.get("message")]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            states.append(" ".join(filter(None, (container["name"], waiting.get("reason"), waiting.get("message")))))
        elif ended := state.get("terminated"):
            states.append(f"{container['name']} ended with exit code {ended['exitCode']} ({ended.get('reason', 'no reason given')})")
    return states


def events(cluster: Cluster, metadata: Json) -> list[str]:
    """The last five events of an object."""
    found = cluster.events(metadata["namespace"], metadata["uid"])
    return [f"  {event['type']} {event['reason']}: {event['message']}" for event in found[-5:]]


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    spec = {
        "kubeconfig": KUBECONFIG,
        "namespace": {"type": "str", "default": "default"},
        "deployments": names,
        "jobs": names,
        "log_lines": {"type": "int", "default": 30},
        "timeout": {"type": "int", "default": 600},
    }
    main_of(spec, work, secrets=credentials)


if __name__ == "__main__":
    main()
