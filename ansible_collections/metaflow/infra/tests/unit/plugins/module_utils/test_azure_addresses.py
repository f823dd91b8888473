# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_addresses import Plan, addresses_needed, faults, smallest_prefix

GOOD = {
    "address_space": ("172.16.0.0/24", "172.17.0.0/16"),
    "subnets": {"database": "172.16.0.0/24", "kubernetes": "172.17.0.0/16"},
    "database": "database",
    "kubernetes": "kubernetes",
    "service_cidr": "10.0.0.0/16",
    "pod_cidr": "10.244.0.0/16",
    "dns_service_ip": "10.0.0.10",
    "max_nodes": (10, 50),
}


def subnets(**prefixes):
    return {"subnets": prefixes, "address_space": ("10.1.0.0/16",), "service_cidr": "10.2.0.0/16", "dns_service_ip": "10.2.0.10"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, None),
        ({"address_space": ()}, None),
        ({"address_space": ("172.16.0.0/33",)}, "The address space 172.16.0.0/33 is not an address range in CIDR notation"),
        ({"service_cidr": "10.0.0.5/16"}, "The service range 10.0.0.5/16 has host bits set: write 10.0.0.0/16."),
        ({"address_space": ("172.16.0.0/12", "172.17.0.0/16")}, "The address space 172.16.0.0/12 and the address space 172.17.0.0/16 overlap."),
        (subnets(database="10.1.0.0/24", kubernetes="10.3.0.0/16"), "Subnet kubernetes (10.3.0.0/16) is not inside the address space 10.1.0.0/16."),
        (
            subnets(database="10.1.0.0/24", kubernetes="10.1.0.0/20"),
            "Subnet database (10.1.0.0/24) and subnet kubernetes (10.1.0.0/20) overlap.",
        ),
        (
            {"service_cidr": "172.17.128.0/20", "dns_service_ip": "172.17.128.10"},
            "and the service range 172.17.128.0/20 overlap.",
        ),
        ({"pod_cidr": "10.0.0.0/8"}, "The service range 10.0.0.0/16 and the pod range 10.0.0.0/8 overlap."),
        (
            {"address_space": (), "service_cidr": "172.17.0.0/20", "dns_service_ip": "172.17.0.10"},
            "Subnet kubernetes (172.17.0.0/16) and the",
        ),
        ({"service_cidr": "10.0.0.0/12", "pod_cidr": None}, "The service range 10.0.0.0/12 is too large"),
        ({"dns_service_ip": "10.9.0.10"}, "The DNS service address 10.9.0.10 is not inside the service range 10.0.0.0/16."),
        ({"dns_service_ip": "10.0.0.1"}, "which is for the Kubernetes API: use 10.0.0.10."),
        ({"dns_service_ip": "ten"}, "The DNS service address ten is not an IP address."),
        (
            subnets(database="10.1.0.0/29", kubernetes="10.1.4.0/22"),
            "(10.1.0.0/29) is too small for a Flexible Server: it must be /28",
        ),
        (subnets(database="10.1.0.0/28", kubernetes="10.1.4.0/26"), "up to 66 nodes (upgrades included) need 71: make it /25 or larger"),
        ({"flat": True}, None),
        ({**subnets(database="10.1.0.0/28", kubernetes="10.1.64.0/21"), "flat": True}, "66 nodes with 30 pods each"),
        (subnets(other="10.1.0.0/30"), "Subnet other (10.1.0.0/30) is too small: Azure's smallest subnet is /29."),
    ],
)
def test_ranges(changes, sentence):
    found = faults(Plan(**{**GOOD, **changes}))
    if sentence is None:
        assert found == []
    else:
        assert len(found) == 1
        assert sentence in found[0]


@pytest.mark.parametrize(("addresses", "prefix"), [(1, 31), (2, 31), (3, 30), (16, 28), (17, 27), (71, 25), (128, 25), (129, 24)])
def test_smallest_prefix(addresses, prefix):
    assert smallest_prefix(addresses) == prefix


def test_addresses_of_a_flat_network_count_each_pod():
    assert addresses_needed(Plan(max_nodes=(1,), max_pods=30, flat=True)) == 2 * 31 + 5
    assert addresses_needed(Plan(max_nodes=(1,))) == 2 + 5
