"""What Resource Manager checks before a provider sees a request: tokens, versions, paths, registration, scopes, bodies."""

from __future__ import annotations

import uuid

import pytest
from azure_clients import Arm
from conftest import Client


@pytest.fixture(scope="module")
def arm(emulator: Client) -> Arm:
    arm = Arm(emulator)
    arm.register()
    return arm


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


def error(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_call_without_a_token_is_refused_with_a_challenge(arm: Arm, emulator: Client):
    answer = emulator.request("GET", "https://management.azure.com/subscriptions?api-version=2022-12-01")
    assert error(answer) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_a_token_for_another_resource_is_refused(arm: Arm, emulator: Client):
    token = emulator.token("https://graph.microsoft.com")
    answer = arm.call("GET", "/subscriptions", headers={"Authorization": f"Bearer {token}"})
    assert error(answer) == (401, "InvalidAuthenticationTokenAudience")


@pytest.mark.parametrize(("version", "code"), [("", "MissingApiVersionParameter"), ("2024", "InvalidApiVersionParameter")])
def test_a_missing_or_malformed_api_version_is_refused(arm: Arm, group: str, version: str, code: str):
    query = f"?api-version={version}" if version else "?x=1"
    assert error(arm.call("GET", f"{group}{query}", version=None)) == (400, code)


@pytest.mark.parametrize("version", ["2015-01-01", "2031-12-31", "2024-01-01-preview"])
def test_every_well_formed_api_version_is_accepted(arm: Arm, group: str, version: str):
    assert arm.call("GET", group, version=version).status_code == 200


def test_every_answer_carries_azures_headers(arm: Arm, group: str):
    correlation = str(uuid.uuid4())
    answer = arm.call("GET", group, headers={"x-ms-correlation-request-id": correlation})
    assert answer.headers["x-ms-correlation-request-id"] == correlation
    assert uuid.UUID(answer.headers["x-ms-request-id"])
    assert int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) > 0


def test_paths_have_no_case_and_no_double_slashes(arm: Arm, group: str):
    shouted = group.replace("resourceGroups", "RESOURCEGROUPS").replace("/subscriptions/", "//Subscriptions//")
    answer = arm.call("GET", f"{shouted.upper().replace('//SUBSCRIPTIONS//', '//subscriptions//')}/")
    assert answer.status_code == 200
    assert answer.json()["id"] == group


def test_ids_keep_the_case_of_the_client_that_created(arm: Arm, group: str):
    path = f"{group.replace('resourceGroups', 'resourcegroups')}/providers/microsoft.managedidentity/userassignedidentities/MyIdentity"
    made = arm.make(path, {"location": "westus2"})
    assert made["id"] == f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/MyIdentity"
    assert made["type"] == "Microsoft.ManagedIdentity/userAssignedIdentities"
    assert arm.call("PUT", path.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), {"location": "westus2"}).json()["name"] == "MyIdentity"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subscriptions/no-guid", 400, "InvalidSubscriptionId"),
        ("/subscriptions/0f0f0f0f-1111-2222-3333-444444444444", 404, "SubscriptionNotFound"),
        ("{scope}/resourceGroups/absent", 404, "ResourceGroupNotFound"),
        ("{scope}/resourceGroups/absent/providers/Microsoft.Network/virtualNetworks/v", 404, "ResourceGroupNotFound"),
        ("{group}/providers/Microsoft.Network/virtualNetworks/absent", 404, "ResourceNotFound"),
        ("{group}/providers/Microsoft.Network/virtualNetworks/absent/subnets/s", 404, "ResourceNotFound"),
        ("{group}/providers/Microsoft.Nonsense/things/x", 404, "InvalidResourceNamespace"),
        ("{group}/providers/Microsoft.Network/things/x", 404, "InvalidResourceType"),
        ("{scope}/providers/Microsoft.Nonsense", 404, "InvalidResourceNamespace"),
    ],
)
def test_what_is_not_there_is_refused_in_azures_words(arm: Arm, group: str, path: str, status: int, code: str):
    assert error(arm.call("GET", path.format(scope=arm.scope, group=group))) == (status, code)


def test_the_text_of_resource_not_found(arm: Arm, group: str):
    answer = arm.call("GET", f"{group}/providers/Microsoft.Network/virtualNetworks/v1/subnets/s1")
    name = group.rsplit("/", 1)[1]
    assert answer.json()["error"]["message"] == (
        f"The Resource 'Microsoft.Network/virtualNetworks/subnets/v1/s1' under resource group '{name}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    assert answer.headers["x-ms-failure-cause"] == "gateway"


def test_a_child_of_nothing_is_refused(arm: Arm, group: str):
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/absent/subnets/s"
    assert error(arm.call("PUT", path, {"properties": {"addressPrefix": "10.0.0.0/24"}})) == (404, "ParentResourceNotFound")


def test_locations_are_checked(arm: Arm, group: str):
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/located"
    assert error(arm.call("PUT", path, {})) == (400, "LocationRequired")
    assert error(arm.call("PUT", path, {"location": "moon"})) == (400, "LocationNotAvailableForResourceType")
    made = arm.call("PUT", path, {"location": "West US 2"})
    assert (made.status_code, made.json()["location"]) == (201, "westus2")
    assert arm.call("PUT", path, {"location": "westus2"}).status_code == 200
    assert error(arm.call("PUT", path, {"location": "eastus"})) == (409, "InvalidResourceLocation")


def test_names_are_checked(arm: Arm, group: str):
    for name in ("-bad", "bad-", "x" * 81):
        path = f"{group}/providers/Microsoft.Network/virtualNetworks/{name}"
        body = {"location": "westus2", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
        assert error(arm.call("PUT", path, body)) == (400, "InvalidResourceName")


def test_text_that_is_no_json_is_refused(arm: Arm, group: str, emulator: Client):
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/text"
    assert error(arm.call("PUT", path, None)) == (400, "InvalidRequestContent")


IDENTITY_BODY = {"location": "westus2"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"location": "westus2", "colour": "red"},
            "Could not find member 'colour' on object of type 'Identity'. Path 'colour', line 1, position 33.",
        ),
        ({"location": "westus2", "tags": "red"}, "Path 'tags'"),
        ({"location": "westus2", "tags": {"a": 1}}, "Error converting value 1 to type 'System.String'. Path 'tags.a'"),
        ({"location": 5}, "Error converting value 5 to type 'System.String'. Path 'location'"),
    ],
)
def test_bodies_are_held_against_the_models(arm: Arm, group: str, body: dict, said: str):
    answer = arm.call("PUT", f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/checked", body)
    assert error(answer) == (400, "InvalidRequestContent")
    assert answer.json()["error"]["message"].startswith("The request content was invalid and could not be deserialized: '")
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            {"addressPrefix": "10.0.0.0/24", "colour": "red"},
            "Could not find member 'colour' on object of type 'SubnetPropertiesFormat'. Path 'properties.colour'",
        ),
        ({"addressPrefix": 7}, "Error converting value 7 to type 'System.String'. Path 'properties.addressPrefix'"),
        ({"addressPrefix": "10.0.0.0/24", "delegations": {"name": "x"}}, "Path 'properties.delegations'"),
        ({"addressPrefix": "10.0.0.0/24", "privateEndpointNetworkPolicies": "Maybe"}, 'Error converting value "Maybe"'),
    ],
)
def test_the_network_provider_words_bad_bodies_its_own_way(arm: Arm, group: str, properties: dict, said: str):
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/bodies"
    arm.make(network, {"location": "westus2", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}})
    answer = arm.call("PUT", f"{network}/subnets/s", {"properties": properties})
    assert error(answer) == (400, "InvalidRequestFormat")
    assert answer.json()["error"]["message"] == "Cannot parse the request."
    detail = answer.json()["error"]["details"][0]
    assert detail["code"] == "InvalidJson"
    assert said in detail["message"]


def test_a_client_may_send_back_what_it_read(arm: Arm, group: str):
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/echo"
    subnet = {"name": "one", "properties": {"addressPrefix": "10.0.1.0/24", "serviceEndpoints": [{"service": "Microsoft.Storage"}]}}
    body = {"location": "westus2", "tags": {"a": "b"}, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [subnet]}}
    made = arm.make(network, body)
    assert arm.settle(arm.call("PUT", network, made)).json()["status"] == "Succeeded"
    again = arm.call("GET", network).json()
    assert (again["tags"], again["properties"]["subnets"][0]["properties"]["addressPrefix"]) == ({"a": "b"}, "10.0.1.0/24")


def test_read_only_properties_of_a_request_are_ignored(arm: Arm, group: str):
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/readonly"
    wanted = str(uuid.uuid4())
    assert arm.make(path, {"location": "westus2", "properties": {"principalId": wanted}})["properties"]["principalId"] != wanted


def test_a_provider_must_be_registered_first(arm: Arm, group: str):
    namespace = "Microsoft.ContainerService"
    shown = arm.call("GET", f"{arm.scope}/providers/{namespace}")
    if shown.json()["registrationState"] == "Registered":
        assert arm.call("POST", f"{arm.scope}/providers/{namespace}/unregister").json()["registrationState"] == "Unregistering"
    path = f"{group}/providers/{namespace}/managedClusters/c"
    answer = arm.call("PUT", path, {"location": "westus2"})
    assert error(answer) == (409, "MissingSubscriptionRegistration")
    assert answer.json()["error"]["message"].startswith(f"The subscription is not registered to use namespace '{namespace}'.")
    assert arm.call("POST", f"{arm.scope}/providers/{namespace}/register").json()["registrationState"] == "Registering"
    assert arm.call("GET", f"{arm.scope}/providers/{namespace}").json()["registrationState"] == "Registered"
    assert error(arm.call("PUT", path, {"location": "moon"})) != (409, "MissingSubscriptionRegistration")
