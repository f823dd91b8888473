#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_service_probe
short_description: Ask Services of a cluster over HTTP, as a user with a port forward would
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Forwards a port to a ready pod of each Service through the API server, and sends an HTTP request through it. No local port is opened.
  - All probes run side by side. Each is tried again until it gets what it wants or time is up.
  - Changes nothing. In check mode it asks as well.
requirements:
  - kubernetes
options:
  kubeconfig:
    description: The kubeconfig, as data. Its users' credentials are neither logged nor returned.
    type: dict
    required: true
  namespace:
    description: Where the Services are.
    type: str
    default: default
  probes:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description: Name of the Service.
        type: str
        required: true
      port:
        description: Port of the Service. May be left out where it has one only.
        type: int
      path:
        description: Path of the request.
        type: str
        default: /
      status:
        description: The status code that is wanted.
        type: int
        default: 200
      contains:
        description: Text that the body must have.
        type: str
  timeout:
    description: Seconds for all of it.
    type: int
    default: 60
extends_documentation_fragment:
  - metaflow.infra.attributes.info
"""

EXAMPLES = r"""
- name: Ask the metadata service
  metaflow.infra.kubernetes_service_probe:
    kubeconfig: "{{ kubeconfig }}"
    probes:
      - service: metadata-service
        path: /ping
        contains: pong
"""

RETURN = r"""
answers:
  description: What each probe got, in the order of O(probes).
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the Service.
      type: str
    path:
      description: Path of the request.
      type: str
    pod:
      description: The pod that answered.
      type: str
    status:
      description: The status code.
      type: int
    body:
      description: The first 2000 characters of the body.
      type: str
"""

import http.client
import typing as t

from ..module_utils._errors import InputError
from ..module_utils._kubernetes import KUBECONFIG, credentials
from ..module_utils._run import Run, main_of

if t.TYPE_CHECKING:
    from ..module_utils._kubernetes import Cluster

Json = dict[str, t.Any]
SHOWN = 2000


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._graph import all_of
    from ..module_utils._kubernetes import Cluster

    probes: list[Json] = run.params["probes"]

    def ask(number: str) -> Json:
        probe, cluster = probes[int(number)], Cluster(run.params["kubeconfig"])  # a client of its own, as a port forward changes it
        what = f"{probe['service']} {probe['path']}"
        return run.wait_for(
            lambda: attempt(cluster, run.params["namespace"], probe), lambda got: not faults(probe, got), what, lambda got: faults(probe, got)
        )

    answers = all_of([str(number) for number in range(len(probes))], ask)
    return {"answers": [answers[str(number)] for number in range(len(probes))]}


def faults(probe: Json, got: Json) -> str:
    """What is wrong with an answer, in words; empty where nothing is."""
    if "error" in got:
        return str(got["error"])
    if got["status"] != probe["status"]:
        return f"answered {got['status']} instead of {probe['status']}: {got['body'][:200]}"
    if probe["contains"] and probe["contains"] not in got["body"]:
        return f"answered without {probe['contains']!r}: {got['body'][:200]}"
    return ""


def attempt(cluster: Cluster, namespace: str, probe: Json) -> Json:
    """One request; what goes wrong on the way is an answer too, as the next attempt may fare better."""
    from kubernetes.client.exceptions import ApiException

    from ..module_utils._kubernetes import is_ready, message_of

    asked = {"service": probe["service"], "path": probe["path"]}
    service = cluster.get("Service", namespace, probe["service"])
    if service is None:
        return {**asked, "error": f"there is no Service {probe['service']} in namespace {namespace}"}
    pods = cluster.pods(namespace, service["spec"]["selector"])
    ready = [pod for pod in pods if is_ready(pod)]
    if not ready:
        return {**asked, "error": f"none of the {len(pods)} pods that the Service selects is ready"}
    pod = ready[0]["metadata"]["name"]
    try:
        status, body = request(cluster, namespace, pod, target_port(service, ready[0], probe["port"]), probe["path"])
    except ApiException as error:
        return {**asked, "error": f"the port forward to {pod} failed: {message_of(error)}"}
    except (OSError, http.client.HTTPException) as error:
        return {**asked, "error": f"{pod} did not answer: {type(error).__name__} {error}"}
    return {**asked, "pod": pod, "status": status, "body": body[:SHOWN]}


def target_port(service: Json, pod: Json, port: int | None) -> int:
    """The port of the pod behind a port of the Service. :raises InputError: where there is no such port."""
    name, ports = service["metadata"]["name"], service["spec"]["ports"]
    found = [p for p in ports if port in (None, p["port"])]
    if len(found) != 1:
        raise InputError(f"Service {name} has the ports {', '.join(str(p['port']) for p in ports)}: say which of them to ask.")
    target = found[0].get("targetPort", found[0]["port"])
    if isinstance(target, int):
        return target
    declared = {p.get("name"): p["containerPort"] for container in pod["spec"]["containers"] for p in container.get("ports", [])}
    if target not in declared:
        raise InputError(f"The pods of Service {name} declare no port called {target}.")
    return int(declared[target])


def request(cluster: Cluster, namespace: str, pod: str, port: int, path: str) -> tuple[int, str]:
    """GET through a port forward: status and body."""
    from kubernetes.stream import portforward

    forward = portforward(cluster.core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.sock = forward.socket(port)
    connection.sock.settimeout(10)
    try:
        connection.request("GET", path, headers={"Host": "127.0.0.1", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except OSError as error:
        raise OSError(forward.error(port) or error) from None
    finally:
        connection.close()
        forward.close()


def main() -> None:
    probe = {
        "service": {"type": "str", "required": True},
        "port": {"type": "int"},
        "path": {"type": "str", "default": "/"},
        "status": {"type": "int", "default": 200},
        "contains": {"type": "str"},
    }
    spec = {
        "kubeconfig": KUBECONFIG,
        "namespace": {"type": "str", "default": "default"},
        "probes": {"type": "list", "elements": "dict", "required": True, "options": probe},
        "timeout": {"type": "int", "default": 60},
    }
    main_of(spec, work, secrets=credentials)


if __name__ == "__main__":
    main()
