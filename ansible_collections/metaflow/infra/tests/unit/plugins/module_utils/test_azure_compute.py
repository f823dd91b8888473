# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_compute import Quota, Wish, choose, nothing_fits, quota_of, sizes_of


def sku(name, family="standardDSv5Family", vcpus=4, zones=("1", "2", "3"), restrictions=(), where="westus2", kind="virtualMachines"):
    return {
        "resourceType": kind,
        "name": name,
        "family": family,
        "locations": [where],
        "locationInfo": [{"location": where, "zones": list(zones)}],
        "capabilities": [{"name": "vCPUs", "value": str(vcpus)}, {"name": "MemoryGB", "value": "16"}],
        "restrictions": list(restrictions),
    }


CLOSED = {"type": "Location", "values": ["westus2"], "reasonCode": "NotAvailableForSubscription"}
ZONE_1 = {"type": "Zone", "values": ["westus2"], "restrictionInfo": {"zones": ["1"]}, "reasonCode": "NotAvailableForSubscription"}
SIZES = sizes_of(
    [
        sku("Standard_D4s_v5"),
        sku("Standard_D4as_v5", "standardDASv5Family"),
        sku("Standard_D4_v5", "standardDv5Family", restrictions=[CLOSED]),
        sku("Standard_D4s_v6", "StandardDsv6Family", restrictions=[ZONE_1]),
        sku("Standard_B1s", "standardBSFamily", vcpus=1),
        sku("Premium_LRS", kind="disks"),
        sku("Standard_D8s_v5", vcpus=8, where="eastus"),
    ],
    "West US 2",
)


def usage(name, used, limit):
    return {"name": {"value": name, "localizedValue": name}, "currentValue": used, "limit": limit, "unit": "Count"}


def test_sizes_are_those_of_the_region_and_of_machines():
    assert sorted(SIZES) == ["standard_b1s", "standard_d4_v5", "standard_d4as_v5", "standard_d4s_v5", "standard_d4s_v6"]
    assert SIZES["standard_d4s_v6"].zones == {"2", "3"}


@pytest.mark.parametrize(
    ("rows", "wish", "usable", "reasons"),
    [
        ([usage("cores", 0, 100)], Wish(("Standard_D4s_v5",)), ("Standard_D4s_v5",), {}),
        ([], Wish(("STANDARD_D4S_V5",)), ("STANDARD_D4S_V5",), {}),
        ([], Wish(("Standard_X", "Standard_D4s_v5")), ("Standard_D4s_v5",), {"Standard_X": "does not exist in westus2"}),
        ([], Wish(("Standard_D4_v5",)), (), {"Standard_D4_v5": "not offered to this subscription"}),
        ([], Wish(("Standard_B1s",)), (), {"Standard_B1s": "has 1 vCPU"}),
        ([], Wish(("Standard_D4s_v6",), zones=frozenset({"1"})), (), {"Standard_D4s_v6": "not offered in zone 1"}),
        ([], Wish(("Standard_D4s_v6",), zones=frozenset({"2"})), ("Standard_D4s_v6",), {}),
        # the family's row, in another case than the SKU's
        (
            [usage("STANDARDDSV5FAMILY", 8, 10), usage("cores", 8, 100)],
            Wish(("Standard_D4s_v5", "Standard_D4as_v5")),
            ("Standard_D4as_v5",),
            {"Standard_D4s_v5": "quota standardDSv5Family has 2 of 10 vCPUs left and 4 are needed: request a limit of at least 12"},
        ),
        # all families together
        ([usage("cores", 8, 10)], Wish(("Standard_D4s_v5",)), (), {"Standard_D4s_v5": "Total Regional vCPUs"}),
        # several machines
        ([usage("cores", 0, 10)], Wish(("Standard_D4s_v5",), count=3), (), {"Standard_D4s_v5": "12 are needed"}),
        # exactly enough
        ([usage("cores", 0, 12), usage("standardDSv5Family", 0, 12)], Wish(("Standard_D4s_v5",), count=3), ("Standard_D4s_v5",), {}),
        # a region that is used beyond a lowered limit
        ([usage("cores", 20, 10)], Wish(("Standard_D4s_v5",)), (), {"Standard_D4s_v5": "has 0 of 10 vCPUs left"}),
    ],
)
def test_choice(rows, wish, usable, reasons):
    choice = choose(wish, SIZES, quota_of(rows), "westus2")
    assert choice.usable == usable
    assert [name for name, dummy in choice.refused] == list(reasons)
    for name, reason in choice.refused:
        assert reasons[name] in reason


def test_what_one_pool_takes_is_gone_for_the_next():
    quota = quota_of([usage("cores", 0, 10), usage("standardDSv5Family", 0, 6)])
    left = quota.less(SIZES["standard_d4s_v5"], 1)
    assert quota.shortage(SIZES["standard_d4s_v5"], 1) is None
    assert "standardDSv5Family has 2 of 6" in (left.shortage(SIZES["standard_d4s_v5"], 1) or "")
    assert left.shortage(SIZES["standard_d4as_v5"], 1) is None
    assert Quota({}).less(SIZES["standard_d4s_v5"], 1) == Quota({})


def test_sentence_names_each_size_with_its_reason():
    sentence = nothing_fits("pool taskworkers", "westus2", [("A", "does not exist in westus2"), ("B", "needs quota")])
    assert sentence == "No VM size of the list can be had for pool taskworkers in westus2: A does not exist in westus2; B needs quota."
