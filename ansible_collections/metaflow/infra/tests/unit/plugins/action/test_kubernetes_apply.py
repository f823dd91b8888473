# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.action import kubernetes_apply
from ansible_collections.metaflow.infra.plugins.action.kubernetes_apply import ActionModule

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "flows"}, "data": {"PSWD": "aHVzaA=="}}
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "flows"}}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flows"}}
KUBECONFIG = {"users": [{"name": "u", "user": {"token": "a-secret-token"}}]}


class Task:
    async_val, check_mode, diff, environment = 0, False, True, []

    def __init__(self, args):
        self.args = args
        self.action = "metaflow.infra.kubernetes_apply"


@pytest.fixture
def apply(monkeypatch):
    """Run the action with kubernetes.core's answer; the result, and what was asked of it."""

    def run(answer, objects, check=False, kubeconfig=None, **options):
        action = object.__new__(ActionModule)
        action._task = Task({"objects": objects, "kubeconfig": KUBECONFIG if kubeconfig is None else kubeconfig, **options})
        action._task.check_mode = check
        asked = []
        monkeypatch.setattr(kubernetes_apply.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(action, "_execute_module", lambda **call: asked.append(call) or answer, raising=False)
        return action.run(None, {}), asked

    return run


def found(of, changed=True, **diff):
    bookkeeping = {"resourceVersion": "7", "managedFields": [{"manager": "x"}]}
    return {"changed": changed, "result": {**of, "metadata": {**of["metadata"], **bookkeeping}}, "diff": diff}


def answer(*results):
    shared = {"invocation": {"module_args": {"kubeconfig": KUBECONFIG}}}
    if len(results) == 1:
        return results[0] | shared
    return {"changed": any(r["changed"] for r in results), "result": {"results": list(results)}} | shared


def test_applies_all_in_one_call_and_takes_over(apply):
    result, asked = apply(answer(found(SECRET), found(ACCOUNT, changed=False)), [SECRET, ACCOUNT])
    (call,) = asked
    assert call["module_name"] == "kubernetes.core.k8s"
    assert call["module_args"]["definition"] == [SECRET, ACCOUNT]
    assert call["module_args"]["server_side_apply"] == {"field_manager": "metaflow.infra", "force_conflicts": True}
    assert result["changed"]


def test_no_secret_is_in_the_result(apply):
    before, after = {"data": {"PSWD": "b2xk"}}, {"data": {"PSWD": "aHVzaA=="}}
    result, dummy = apply(answer(found(SECRET, before=before, after=after), found(ACCOUNT, changed=False)), [SECRET, ACCOUNT])
    text = str(result)
    assert "a-secret-token" not in text
    assert "aHVzaA==" not in text
    assert "b2xk" not in text
    assert result["resources"][0]["data"] == {"PSWD": "(hidden)"}
    assert [d["before_header"] for d in result["diff"]] == ["Secret/flows/s"]


def test_bookkeeping_is_left_out(apply):
    result, dummy = apply(answer(found(ACCOUNT)), [ACCOUNT])
    assert result["resources"] == [ACCOUNT]


def test_nothing_changed(apply):
    result, dummy = apply(answer(found(SECRET, changed=False), found(ACCOUNT, changed=False)), [SECRET, ACCOUNT])
    assert not result["changed"]
    assert result["diff"] == []


def test_plans_for_a_cluster_that_is_not_there_yet(apply):
    result, asked = apply(None, [SECRET, ACCOUNT], check=True, kubeconfig={})
    assert result["changed"]
    assert [d["after_header"] for d in result["diff"]] == ["Secret/flows/s", "ServiceAccount/flows/a"]
    assert "aHVzaA==" not in str(result)
    assert not asked


def test_plans_for_a_namespace_that_is_not_there_yet(apply):
    refusal = {"failed": True, "msg": 'Failed to apply object: {"message":"namespaces \\"flows\\" not found","code":404}'}
    result, dummy = apply(refusal, [NAMESPACE, ACCOUNT], check=True)
    assert result["changed"]
    assert len(result["diff"]) == 2
    assert apply(refusal, [ACCOUNT], check=True)[0]["failed"]
    assert apply(refusal, [NAMESPACE, ACCOUNT])[0]["failed"]


def test_an_error_is_told_without_what_was_asked(apply):
    refusal = {
        "failed": True,
        "msg": "Failed to apply object: denied",
        "invocation": {"module_args": {"kubeconfig": KUBECONFIG}},
        "reason": "Forbidden",
    }
    result, dummy = apply(refusal, [ACCOUNT])
    assert result == {"failed": True, "msg": "Failed to apply object: denied"}


def test_absent(apply):
    dummy, asked = apply(answer(found(ACCOUNT)), [ACCOUNT], state="absent")
    assert asked[0]["module_args"]["state"] == "absent"
    assert "apply" not in asked[0]["module_args"]
