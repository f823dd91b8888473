# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.metaflow.infra.plugins.modules import azure_preflight as module
from ansible_collections.metaflow.infra.tests.unit.azure_wire import CALLER, SUBSCRIPTION, TENANT, Call, error, together

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg/providers"
PROVIDERS = f"{SUBSCRIPTION}/providers"
SERVER = f"{GROUP}/Microsoft.DBforPostgreSQL/flexibleServers/psql"
ACCOUNT = f"{GROUP}/Microsoft.Storage/storageAccounts/stacme"
CLUSTER = f"{GROUP}/Microsoft.ContainerService/managedClusters/aks"
MISSING = error("ResourceNotFound")
OPTIONS = {
    "location": "westus",
    "vm_sizes": {"system": ["Standard_D2s_v5"], "workers": ["Standard_D4s_v5", "Standard_D4as_v5"]},
    "vm_counts": {"system": 1, "workers": 1},
    "cluster": {"name": "aks", "resource_group": "rg", "pools": {"workers": "taskworkers"}},
    "kubernetes_version": "1.35",
    "postgresql": {"version": "17", "sku": {"name": "Standard_B2s"}, "server_name": "psql", "resource_group": "rg"},
    "storage_account": {"name": "stacme", "resource_group": "rg"},
    "address_space": ["172.16.0.0/24", "172.17.0.0/16"],
    "subnets": {"database": "172.16.0.0/24", "kubernetes": "172.17.0.0/16"},
    "service_cidr": "10.0.0.0/16",
}
REGIONS = {
    "value": [{"name": name, "displayName": shown} for name, shown in (("westus", "West US"), ("westus2", "West US 2"), ("eastus", "East US"))]
}


def first(server=None, account=None, cluster=None, regions=None):
    """What is asked at once: who, where, and what is there already."""
    there = [Call("GET", path, 200 if live else 404, live or MISSING) for path, live in ((SERVER, server), (ACCOUNT, account), (CLUSTER, cluster))]
    who = Call("GET", SUBSCRIPTION, 200, {"subscriptionId": SUBSCRIPTION[15:], "tenantId": TENANT, "state": "Enabled"})
    return together(who, Call("GET", f"{SUBSCRIPTION}/locations", 200, regions or REGIONS), *there)


def provider(namespace, kind, *places):
    return Call("GET", f"{PROVIDERS}/{namespace}", 200, {"resourceTypes": [{"resourceType": kind, "locations": list(places or ["West US"])}]})


def capabilities(**changes):
    editions = [{"name": "Burstable", "supportedServerSkus": [{"name": "Standard_B2s"}]}]
    offer = {"restricted": "Disabled", "supportedServerVersions": [{"name": "17"}], "supportedServerEditions": editions, **changes}
    return Call("GET", f"{PROVIDERS}/Microsoft.DBforPostgreSQL/locations/westus/capabilities", 200, {"value": [offer]})


def name(namespace, kind, wanted, **taken):
    sent = {"name": wanted, "type": f"{namespace}/{kind}"}
    return Call("POST", f"{PROVIDERS}/{namespace}/checkNameAvailability", 200, {"nameAvailable": not taken, **taken}, body=sent)


def second(offer=None, server=None, account=None, places=(), version="1.35"):
    """What is asked of things that don't exist yet."""
    versions = {"values": [{"version": version, "capabilities": {"supportPlan": ["KubernetesOfficial"]}, "patchVersions": {}}]}
    return together(
        offer or capabilities(),
        provider("Microsoft.DBforPostgreSQL", "flexibleServers", *places),
        name("Microsoft.DBforPostgreSQL", "flexibleServers", "psql", **(server or {})),
        provider("Microsoft.Storage", "storageAccounts"),
        name("Microsoft.Storage", "storageAccounts", "stacme", **(account or {})),
        provider("Microsoft.ContainerService", "managedClusters"),
        Call("GET", f"{PROVIDERS}/Microsoft.ContainerService/locations/westus/kubernetesVersions", 200, versions),
    )


def sku(size, family, vcpus):
    facts = [{"name": "vCPUs", "value": str(vcpus)}]
    place = {"location": "westus", "zones": []}
    return {
        "resourceType": "virtualMachines",
        "name": size,
        "family": family,
        "locations": ["westus"],
        "locationInfo": [place],
        "capabilities": facts,
    }


def machines(**limits):
    skus = [sku("Standard_D2s_v5", "dsv5", 2), sku("Standard_D4s_v5", "dsv5", 4), sku("Standard_D4as_v5", "dasv5", 4)]
    rows = [{"name": {"value": row}, "currentValue": 0, "limit": limit} for row, limit in limits.items()]
    compute = f"{PROVIDERS}/Microsoft.Compute"
    return together(Call("GET", f"{compute}/skus", 200, {"value": skus}), Call("GET", f"{compute}/locations/westus/usages", 200, {"value": rows}))


def test_all_is_well(azure, run_module):
    azure.expect(first(), second(), machines(cores=10))
    result = run_module(module, **OPTIONS)
    assert not result["changed"]
    assert result["vm_sizes"] == {"system": ["Standard_D2s_v5"], "workers": ["Standard_D4s_v5", "Standard_D4as_v5"]}
    assert (result["tenant_id"], result["subscription_id"], result["principal_id"]) == (TENANT, SUBSCRIPTION[15:], CALLER)


def live_cluster(*pools):
    profiles = [{"name": pool, "vmSize": "Standard_D2s_v4", "provisioningState": state} for pool, state in pools]
    return {"id": CLUSTER, "name": "aks", "location": "westus", "properties": {"agentPoolProfiles": profiles}}


def live_server(location="West US", version="17"):
    return {"id": SERVER, "name": "psql", "location": location, "properties": {"version": version, "state": "Ready"}}


LIVE_ACCOUNT = {"id": ACCOUNT, "name": "stacme", "location": "westus"}


def test_what_exists_needs_no_quota_and_no_free_name(azure, run_module):
    cluster = live_cluster(("system", "Succeeded"), ("taskworkers", "Succeeded"))
    azure.expect(first(server=live_server(), account=LIVE_ACCOUNT, cluster=cluster))
    assert run_module(module, **OPTIONS)["vm_sizes"] == {"system": ["Standard_D2s_v4"], "workers": ["Standard_D2s_v4"]}


def test_a_failed_pool_needs_a_size_again(azure, run_module):
    cluster = live_cluster(("system", "Succeeded"), ("taskworkers", "Failed"))
    azure.expect(first(server=live_server(), account=LIVE_ACCOUNT, cluster=cluster), machines(dsv5=2, cores=10))
    assert run_module(module, **OPTIONS)["vm_sizes"] == {"system": ["Standard_D2s_v4"], "workers": ["Standard_D4as_v5"]}


def test_pools_share_the_quotas(azure, run_module):
    azure.expect(first(), second(), machines(dsv5=5, cores=10))
    assert run_module(module, **OPTIONS)["vm_sizes"] == {"system": ["Standard_D2s_v5"], "workers": ["Standard_D4as_v5"]}


def test_not_enough_quota_for_any_size(azure, run_module):
    azure.expect(first(), second(), machines(cores=5))
    message = run_module(module, **OPTIONS)["msg"]
    assert message.startswith("No VM size of the list can be had for the pool workers (1 node) in westus: Standard_D4s_v5 quota cores")
    assert "has 3 of 5 vCPUs left and 4 are needed: request a limit of at least 6" in message


def test_an_unknown_region_is_named_with_those_spelled_like_it(azure, run_module):
    azure.expect(first())
    message = run_module(module, **{**OPTIONS, "location": "westus9"})["msg"]
    assert message == "westus9 is no Azure region of this subscription: did you mean westus, westus2, eastus?"


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"places": ("East US",)}, "Microsoft.DBforPostgreSQL/flexibleServers is not offered in westus: choose another region."),
        ({"offer": capabilities(restricted="Enabled", reason="No offer")}, "may not have PostgreSQL Flexible Servers in westus: No offer."),
        ({"offer": capabilities(supportedServerVersions=[{"name": "16"}])}, "PostgreSQL 17 is not offered in westus: choose one of 16."),
        ({"server": {"message": "Taken."}}, "The name psql of the PostgreSQL server can't be had: Taken. It must be unique in all of Azure"),
        ({"account": {"message": "Taken."}}, "The name stacme of the storage account can't be had: Taken. It must be unique in all of Azure"),
        ({"version": "1.36"}, "Kubernetes 1.35 is not offered in westus: choose one of 1.36."),
    ],
)
def test_what_azure_would_refuse(azure, run_module, answers, sentence):
    azure.expect(first(), second(**answers), machines(cores=10))
    assert sentence in run_module(module, **OPTIONS)["msg"]


def test_all_faults_come_together(azure, run_module):
    azure.expect(first(), second(account={"message": "Taken."}), machines(cores=1))
    message = run_module(module, **{**OPTIONS, "service_cidr": "172.17.4.0/22"})["msg"]
    assert "The address space 172.17.0.0/16 and the service range 172.17.4.0/22 overlap." in message
    assert "The name stacme" in message
    assert "No VM size of the list can be had for the pool system" in message


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (live_server("East US"), "The server psql exists in East US and is wanted in westus: Azure can't move it."),
        (live_server(version="18"), "The server psql runs PostgreSQL 18 and version 17 is wanted"),
    ],
)
def test_things_that_exist_otherwise(azure, run_module, server, sentence):
    azure.expect(first(server=server, account=LIVE_ACCOUNT, cluster=live_cluster(("system", "Succeeded"), ("taskworkers", "Succeeded"))))
    assert sentence in run_module(module, **OPTIONS)["msg"]


def test_declared_resources_are_held_against_those_that_exist(azure, run_module):
    azure.expect(
        first(server=live_server(), account=LIVE_ACCOUNT, cluster=live_cluster(("system", "Succeeded"), ("taskworkers", "Succeeded"))),
        together(
            Call("GET", f"{GROUP}/Microsoft.Network/virtualNetworks/net", 200, {"location": "eastus", "properties": {}}),
            Call("GET", SERVER, 200, {**live_server(), "properties": {"administratorLogin": "other"}}),
            Call("GET", f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/id", 404, MISSING),
        ),
    )
    existing = [
        {"id": "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net", "body": {"location": "westus"}},
        {"id": SERVER, "body": {"properties": {"administratorLogin": "metaflow"}}},
        {"id": "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id", "body": {"location": "westus"}},
    ]
    message = run_module(module, **OPTIONS, existing=existing)["msg"]
    assert "virtualNetworks net exists and cannot be changed in this: location is 'eastus'" in message
    assert "properties.administratorLogin is 'other' and was to be 'metaflow'" in message


def test_what_may_not_be_read_is_a_warning(azure, run_module):
    closed = Call("GET", f"{PROVIDERS}/Microsoft.DBforPostgreSQL/locations/westus/capabilities", 403, error("AuthorizationFailed", "No right."))
    azure.expect(first(), second(offer=closed), machines(cores=10))
    result = run_module(module, **OPTIONS)
    assert "failed" not in result
    assert "Not checked, as it may not be read: capabilities." in str(result["warnings"])


def test_a_provider_that_is_not_registered_yet_is_no_fault(azure, run_module):
    later = Call("GET", f"{PROVIDERS}/Microsoft.DBforPostgreSQL/locations/westus/capabilities", 409, error("MissingSubscriptionRegistration"))
    azure.expect(first(), second(offer=later), machines(cores=10))
    result = run_module(module, **OPTIONS)
    assert "failed" not in result
    assert "warnings" not in result


def test_no_such_subscription(azure, run_module):
    gone = error("SubscriptionNotFound", "The subscription could not be found.")
    azure.expect(together(Call("GET", SUBSCRIPTION, 404, gone), Call("GET", f"{SUBSCRIPTION}/locations", 404, gone)))
    message = run_module(module, location="westus")["msg"]
    assert message.count("The subscription could not be found.") == 1
    assert "Check subscription_id" in message


def test_no_credentials(monkeypatch, run_module):
    for variable in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", "")
    assert run_module(module, location="westus")["msg"].startswith("No Azure credentials were found")
