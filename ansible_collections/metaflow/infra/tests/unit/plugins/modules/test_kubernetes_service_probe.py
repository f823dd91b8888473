# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils import _kubernetes
from ansible_collections.metaflow.infra.plugins.modules import kubernetes_service_probe
from ansible_collections.metaflow.infra.tests.unit.plugins.modules.kubernetes_objects import KUBECONFIG, FakeCluster, pod, service


class Forward:
    """A port forward whose other end answers once, as a pod would."""

    def __init__(self, answer):
        self.ours, self.theirs = socket.socketpair()
        self.answer, self.asked = answer, b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while b"\r\n\r\n" not in self.asked:
            self.asked += self.theirs.recv(65536)
        self.theirs.sendall(self.answer)
        self.theirs.close()

    def socket(self, port):
        assert port == 8080
        return self.ours

    def error(self, port):
        return None

    def close(self):
        self.thread.join()


def answer(status="200 OK", body="pong"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture
def forwards(monkeypatch, clock):
    """The answers of the pods in turn; returns what was asked."""
    asked = []

    def use(cluster, *answers):
        left = list(answers)

        def portforward(method, name, namespace, ports):
            assert (namespace, ports) == ("default", "8080")
            asked.append((name, Forward(left.pop(0))))
            return asked[-1][1]

        monkeypatch.setattr(_kubernetes, "Cluster", cluster)
        monkeypatch.setattr("kubernetes.stream.portforward", portforward)
        return asked

    return use


def probe(run_module, cluster=None, **options):
    return run_module(
        kubernetes_service_probe, kubeconfig=KUBECONFIG, timeout=options.pop("timeout", 20), probes=[{"service": "metadata-service", **options}]
    )


def standing(pods=None):
    return FakeCluster({("Service", "metadata-service"): [service()]}, pods if pods is not None else [pod("a", ready=False), pod("b")])


def test_asks_a_ready_pod_behind_the_named_port(forwards, run_module):
    asked = forwards(standing(), answer())
    result = probe(run_module, path="/ping", contains="pong")
    assert result["answers"] == [{"service": "metadata-service", "path": "/ping", "pod": "b", "status": 200, "body": "pong"}]
    assert asked[0][1].asked.startswith(b"GET /ping HTTP/1.1\r\n")
    assert not result["changed"]
    assert "a-secret-token" not in str(result)


def test_tries_again_until_the_answer_is_the_right_one(forwards, run_module):
    asked = forwards(standing(), answer("500 Internal Server Error", "no database"), answer(body="starting"), answer())
    assert probe(run_module, contains="pong")["answers"][0]["body"] == "pong"
    assert len(asked) == 3


def test_another_status_may_be_wanted(forwards, run_module):
    forwards(standing(), answer("404 Not Found", ""))
    assert probe(run_module, status=404)["answers"][0]["status"] == 404


def test_the_error_has_the_last_answer(forwards, run_module):
    forwards(standing(), *[answer("500 Internal Server Error", "no database")] * 20)
    result = probe(run_module, path="/healthcheck")
    assert result["failed"]
    assert "metadata-service /healthcheck" in result["msg"]
    assert "answered 500 instead of 200: no database" in result["msg"]


def test_no_pod_is_ready(forwards, run_module):
    forwards(standing(pods=[pod("a", ready=False)]))
    assert "none of the 1 pods that the Service selects is ready" in probe(run_module)["msg"]


def test_no_such_service(forwards, run_module):
    forwards(FakeCluster())
    assert "there is no Service metadata-service in namespace default" in probe(run_module)["msg"]


def test_a_port_that_the_service_has_not(forwards, run_module):
    forwards(standing())
    assert "has the ports 8080" in probe(run_module, port=9090)["msg"]


def test_a_named_port_that_no_container_declares(forwards, run_module):
    forwards(FakeCluster({("Service", "metadata-service"): [service(targetPort="odd")]}, [pod("b")]))
    assert "declare no port called odd" in probe(run_module)["msg"]


def test_a_pod_that_is_about_to_end_is_not_asked():
    ending = pod("a")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not _kubernetes.is_ready(ending)


def test_a_forward_that_fails_is_tried_again(monkeypatch, clock, run_module):
    from kubernetes.client.exceptions import ApiException

    outcomes = [ApiException(status=0, reason="Handshake status 403 Forbidden"), Forward(answer())]

    def portforward(*_, **__):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(_kubernetes, "Cluster", standing())
    monkeypatch.setattr("kubernetes.stream.portforward", portforward)
    assert probe(run_module)["answers"][0]["status"] == 200


def test_a_kubeconfig_that_names_nothing_is_refused(run_module):
    broken = {**KUBECONFIG, "current-context": "elsewhere"}
    result = run_module(kubernetes_service_probe, kubeconfig=broken, probes=[{"service": "x"}])
    assert "The kubeconfig can't be used" in result["msg"]
