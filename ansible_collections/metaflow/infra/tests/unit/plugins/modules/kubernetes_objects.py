# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster as tests script it: objects and pods as the API server would return them."""

from __future__ import annotations

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "c",
    "users": [{"name": "u", "user": {"token": "a-secret-token"}}],
}


def pod(name, ready=True, **status):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "creationTimestamp": f"2026-01-01T00:00:00Z-{name}"},
        "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def service(name="metadata-service", **port):
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 8080, "targetPort": "http", **port}]}}


class FakeCluster:
    """Stands in for module_utils._kubernetes.Cluster; `reads` are answered in turn, the last one for ever."""

    def __init__(self, reads=None, pods=(), events=(), logs=None):
        self._reads, self._pods, self._events, self._logs = reads or {}, list(pods), list(events), logs or {}
        self.core = self

    def __call__(self, kubeconfig):
        assert kubeconfig["current-context"] == "c"
        return self

    def connect_get_namespaced_pod_portforward(self):
        raise AssertionError("only its name is used")

    def get(self, kind, namespace, name):
        answers = self._reads.get((kind, name), [None])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def pods(self, namespace, labels):
        return self._pods

    def events(self, namespace, uid):
        return [event for event in self._events if event["uid"] == uid]

    def log(self, namespace, pod, container, lines):
        return self._logs.get(pod, "")
