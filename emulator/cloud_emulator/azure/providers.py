"""Registration of resource providers: which there are, what types they have, and whether the subscription uses them."""

from __future__ import annotations

import typing as t

from .arm.app import VERSIONS
from .arm.errors import ArmError
from .arm.regions import REGIONS
from .arm.resource import Body, Call, Provider, ResourceType, Route

ACTION = "Microsoft.Resources/subscriptions/providers/read"
#: namespaces that clients list and register, of which nothing can be created here
OTHERS = tuple(
    Provider(f"Microsoft.{name}")
    for name in (
        "AlertsManagement",
        "ContainerRegistry",
        "CostManagement",
        "Insights",
        "KeyVault",
        "MarketplaceOrdering",
        "OperationalInsights",
        "OperationsManagement",
        "PolicyInsights",
        "Quota",
    )
)


def describe(call: Call, provider: Provider) -> Body:
    """A provider as a GET shows it."""
    return {
        "id": f"/subscriptions/{call.emulator.subscription_id}/providers/{provider.namespace}",
        "namespace": provider.namespace,
        "resourceTypes": [_described(kind) for kind in provider.types],
        "registrationState": call.manager.registration(provider.namespace),
        "registrationPolicy": "RegistrationFree" if provider.always_registered else "RegistrationRequired",
    }


def _described(kind: ResourceType) -> Body:
    tracked = kind.tracked and kind.location == "region"
    return {
        "resourceType": kind.type.partition("/")[2],
        "locations": [region.display_name for region in REGIONS] if tracked else ["global"] if kind.location == "global" else [],
        "apiVersions": list(VERSIONS),
        "defaultApiVersion": VERSIONS[0],
        "capabilities": "CrossResourceGroupResourceMove, CrossSubscriptionResourceMove, SupportsTags, SupportsLocation" if tracked else "None",
    }


async def list_providers(call: Call) -> Body:
    """Every provider, registered or not."""
    return {"value": [describe(call, provider) for provider in call.manager.providers.values()]}


async def get_provider(call: Call) -> Body:
    """One provider."""
    return describe(call, _provider(call))


async def register(call: Call) -> Body:
    """Start registering; a provider that is registered stays so."""
    return _change(call, "Registering", {"Registered", "Registering"})


async def unregister(call: Call) -> Body:
    """Start unregistering; refused while the subscription has resources of the provider."""
    provider = _provider(call)
    used = [record for record in call.manager.find_namespace(provider.namespace) if record.type.lower() in call.manager.types]
    if used:
        message = (
            f"The subscription cannot be unregistered from resource namespace '{provider.namespace}'. Please delete existing resources for the "
            "subscription before unregistering."
        )
        raise ArmError(409, "SubscriptionHasResources", message)
    return _change(call, "Unregistering", {"NotRegistered", "Unregistered", "Unregistering"})


def _change(call: Call, state: str, already: t.Collection[str]) -> Body:
    provider = _provider(call)
    if call.manager.registration(provider.namespace) in already:
        return describe(call, provider)
    if not provider.always_registered:
        call.manager.register(provider.namespace, state)
    # Azure answers with the state on the way, even where it is over at once.
    return {**describe(call, provider), "registrationState": state}


def _provider(call: Call) -> Provider:
    found = call.manager.providers.get(call.parameters["namespace"].lower())
    if found is None:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{call.parameters['namespace']}' is invalid.")
    return found


_SUBSCRIPTION = "/subscriptions/{subscription}/providers"
ROUTES = (
    Route("GET", _SUBSCRIPTION, list_providers, ACTION),
    Route("GET", f"{_SUBSCRIPTION}/{{namespace}}", get_provider, ACTION),
    Route("GET", "/providers", list_providers),
    Route("GET", "/providers/{namespace}", get_provider),
    Route("POST", f"{_SUBSCRIPTION}/{{namespace}}/register", register, "Microsoft.Resources/subscriptions/providers/register/action"),
    Route("POST", f"{_SUBSCRIPTION}/{{namespace}}/unregister", unregister, "Microsoft.Resources/subscriptions/providers/unregister/action"),
)
