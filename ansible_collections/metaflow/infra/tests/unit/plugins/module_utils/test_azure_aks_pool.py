# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_aks_pool import (
    RULES,
    desired,
    faults,
    last_system_pool,
    off_list,
    replaceable,
    rotation,
    sendable,
    wish,
)
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError
from ansible_collections.metaflow.infra.plugins.module_utils._plan import plan

LIVE = {
    "name": "taskworkers",
    "properties": {
        "vmSize": "Standard_D4s_v5",
        "count": 7,
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 50,
        "mode": "User",
        "osType": "Linux",
        "osSKU": "Ubuntu",
        "type": "VirtualMachineScaleSets",
        "vnetSubnetID": "/subscriptions/s/resourceGroups/rg/x/k8s",
        "nodeLabels": {"other": "label"},
        "provisioningState": "Succeeded",
    },
}
OPTIONS = {"vm_sizes": ["Standard_D4s_v5"], "count": 1, "min_count": 1, "max_count": 50, "autoscale": True, "mode": "User"}


def change(**options):
    params = {**OPTIONS, **options}
    return plan("pool", desired(params, LIVE), LIVE, RULES)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"count": 30},
        {"vm_sizes": ["Standard_X"]},
        {"taints": [], "zones": []},
        {"labels": {"other": "label"}},
        {"os_sku": "ubuntu"},
        {"subnet_id": "/subscriptions/S/resourcegroups/RG/x/k8s".replace("S", "s")},
    ],
)
def test_what_fits_is_left_alone(options):
    assert not change(**options)


def test_bounds_labels_and_taints_change_in_place():
    found = change(min_count=10, max_count=60, labels={"dedicated": True}, taints=["a=b:NoSchedule"])
    sent = sendable(found.body)["properties"]
    assert (sent["minCount"], sent["maxCount"], sent["count"]) == (10, 60, 10)
    assert sent["nodeLabels"] == {"other": "label", "dedicated": "true"}
    assert sent["nodeTaints"] == ["a=b:NoSchedule"]
    assert sent["vmSize"] == "Standard_D4s_v5"
    assert "provisioningState" not in sent


def test_without_autoscaler_the_count_is_the_declared_one():
    sent = sendable(change(autoscale=False, min_count=None, max_count=None, count=3).body)["properties"]
    assert sent["count"] == 3
    assert sent["enableAutoScaling"] is False
    assert "minCount" not in sent


@pytest.mark.parametrize(("options", "name"), [({"subnet_id": "/subscriptions/s/y"}, "vnetSubnetID"), ({"zones": ["1"]}, "availabilityZones")])
def test_what_cannot_change_is_refused_by_name(options, name):
    with pytest.raises(InputError, match=name):
        change(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, None),
        ({"autoscale": False}, "autoscale is false"),
        ({"min_count": None, "max_count": None}, "needs both"),
        ({"min_count": 5, "max_count": 1}, "can't be the greater"),
        ({"mode": "System", "min_count": 0}, "at least one node"),
        ({"min_count": 0}, None),
    ],
)
def test_options_by_themselves(options, sentence):
    found = faults({**OPTIONS, **options})
    assert (found == []) if sentence is None else sentence in " ".join(found)


def test_a_new_pool_has_no_empty_lists():
    body = desired({**OPTIONS, "taints": [], "zones": [], "labels": {}})
    assert body["properties"] == {
        "osType": "Linux",
        "type": "VirtualMachineScaleSets",
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 50,
        "count": 1,
        "mode": "User",
    }
    assert wish({**OPTIONS, "zones": [1, "2"]}).zones == {"1", "2"}


@pytest.mark.parametrize(
    ("sizes", "failed", "order"),
    [
        (["a", "b", "c"], "A", ["b", "c", "a"]),
        (["a", "b", "c"], "b", ["c", "a", "b"]),
        (["a", "b"], "x", ["a", "b"]),
        (["a"], "a", ["a"]),
        (["a", "b"], None, ["a", "b"]),
    ],
)
def test_order_after_a_failure(sizes, failed, order):
    assert rotation(sizes, failed) == order


def test_remark_on_a_size_that_is_not_in_the_list():
    assert off_list(LIVE, ["standard_d4S_v5"]) is None
    assert off_list(LIVE, []) is None
    assert "runs Standard_D4s_v5, which is not in vm_sizes" in (off_list(LIVE, ["Standard_D4s_v6"]) or "")


def pool(name, mode="User", code="AllocationFailed"):
    error = {"provisioningError": {"code": "ReconcileVMSSAgentPoolFailed", "message": f'Code="{code}" Message="No."'}}
    return {"name": name, "properties": {"mode": mode, "provisioningState": "Failed", "status": error}}


@pytest.mark.parametrize(
    ("failed", "machines", "others", "created_now", "may_go"),
    [
        (pool("w"), [], [pool("s", "System")], False, True),
        (pool("w"), [{"name": "vm0"}], [pool("s", "System")], False, False),
        (pool("w"), None, [pool("s", "System")], False, False),
        (pool("w"), None, [pool("s", "System")], True, True),
        (pool("w", code="SubnetIsFull"), [], [pool("s", "System")], False, False),
        (pool("s", "System"), [], [pool("w")], False, False),
        (pool("s", "System"), [], [pool("w"), pool("t", "System")], False, True),
    ],
)
def test_which_failed_pool_may_go(failed, machines, others, created_now, may_go):
    assert replaceable(failed, machines, [failed, *others], created_now=created_now) is may_go


def test_the_last_system_pool_is_one_without_another():
    assert last_system_pool(pool("s", "System"), [pool("s", "System"), pool("w")])
    assert not last_system_pool(pool("w"), [pool("w")])
