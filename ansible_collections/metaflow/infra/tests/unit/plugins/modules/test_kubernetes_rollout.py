# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils import _kubernetes
from ansible_collections.metaflow.infra.plugins.modules import kubernetes_rollout
from ansible_collections.metaflow.infra.plugins.modules.kubernetes_rollout import deployment_state, job_state
from ansible_collections.metaflow.infra.tests.unit.plugins.modules.kubernetes_objects import KUBECONFIG, FakeCluster, pod


def deployment(updated=0, available=0, total=0, observed=2, conditions=()):
    status = {
        "updatedReplicas": updated,
        "availableReplicas": available,
        "replicas": total,
        "observedGeneration": observed,
        "conditions": list(conditions),
    }
    metadata = {"name": "web", "namespace": "default", "uid": "uid-web", "generation": 2}
    return {"metadata": metadata, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}, "status": status}


def job(kind=None, message=None):
    conditions = [{"type": kind, "status": "True", "message": message}] if kind else []
    spec = {"selector": {"matchLabels": {"job-name": "migrate"}}}
    return {
        "metadata": {"name": "migrate", "namespace": "default", "uid": "uid-migrate"},
        "spec": spec,
        "status": {"conditions": conditions, "active": 1},
    }


@pytest.fixture
def use(monkeypatch, clock):
    return lambda cluster: monkeypatch.setattr(_kubernetes, "Cluster", cluster)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({}, "not there yet"),
        (deployment(2, 2, 2, observed=1), "not noticed yet"),
        (deployment(1, 2, 3), "2 of 2 pods available, 1 of them new, 2 old"),
        (deployment(2, 1, 2), "1 of 2 pods available, 2 of them new, 0 old"),
        (deployment(2, 2, 3), "2 of 2 pods available, 2 of them new, 1 old"),
        (deployment(2, 2, 2), "done"),
        (deployment(conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]), "failed: 0 of 2 pods became available in time"),
    ],
)
def test_a_deployment_in_words(found, state):
    assert deployment_state(found) == state


def test_a_job_in_words():
    assert job_state({}) == "not there yet"
    assert job_state(job()) == "1 running, 0 failed"
    assert job_state(job("Complete")) == "done"
    assert job_state(job("SuccessCriteriaMet")) == "1 running, 0 failed"
    assert job_state(job("Failed", "Job has reached the specified backoff limit")) == "failed: Job has reached the specified backoff limit"


def test_waits_for_all_and_returns_what_jobs_wrote(use, clock, run_module):
    reads = {("Deployment", "web"): [None, deployment(1, 1, 2), deployment(2, 2, 2)], ("Job", "migrate"): [job("Complete")]}
    use(FakeCluster(reads, pods=[pod("migrate-1")], logs={"migrate-1": "OK"}))
    result = run_module(kubernetes_rollout, kubeconfig=KUBECONFIG, deployments=["web"], jobs=["migrate"])
    assert result["logs"] == {"migrate": "OK"}
    assert not result["changed"]


def test_a_failed_job_ends_it_at_once_with_states_events_and_logs(use, run_module):
    broken = pod("migrate-1", ready=False, containerStatuses=[{"name": "main", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}])
    event = {"uid": "uid-migrate-1", "type": "Warning", "reason": "BackOff", "message": "Back-off restarting"}
    use(FakeCluster({("Job", "migrate"): [job("Failed", "backoff limit")]}, [broken], [event], {"migrate-1": "password authentication failed\n"}))
    result = run_module(kubernetes_rollout, kubeconfig=KUBECONFIG, jobs=["migrate"])
    assert result["failed"]
    assert result["msg"].splitlines() == [
        "Job migrate failed: backoff limit.",
        "Pod migrate-1: Running; main ended with exit code 1 (Error)",
        "  Warning BackOff: Back-off restarting",
        "  log of main:",
        "    password authentication failed",
    ]


def test_a_timeout_tells_the_last_state_and_why(use, run_module):
    waiting = pod(
        "web-1", ready=False, containerStatuses=[{"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    )
    use(FakeCluster({("Deployment", "web"): [deployment(2, 0, 2)]}, [waiting]))
    result = run_module(kubernetes_rollout, kubeconfig=KUBECONFIG, deployments=["web"], timeout=30)
    assert "0 of 2 pods available" in result["msg"]
    assert "Pod web-1: Running; main ImagePullBackOff no such image" in result["msg"]


def test_check_mode_waits_for_nothing(use, run_module):
    use(FakeCluster({}))
    assert run_module(kubernetes_rollout, _check=True, kubeconfig=KUBECONFIG, deployments=["web"])["logs"] == {}


def test_the_token_is_in_no_result(use, run_module):
    use(FakeCluster({("Deployment", "web"): [deployment(2, 2, 2)]}))
    assert "a-secret-token" not in str(run_module(kubernetes_rollout, kubeconfig=KUBECONFIG, deployments=["web"]))
