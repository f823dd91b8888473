"""Microsoft.ManagedIdentity: user-assigned identities and the outside issuers that they trust."""

from __future__ import annotations

from .arm.errors import ArmError
from .arm.ids import ResourceId
from .arm.operations import Operation
from .arm.resource import Body, Call, Naming, Provider, Record, ResourceType, Work

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
CREDENTIAL = f"{IDENTITY}/federatedIdentityCredentials"
MOST_CREDENTIALS = 20


class UserAssignedIdentities(ResourceType):
    """An identity: a service principal of the directory that lives as long as the resource."""

    type = IDENTITY
    model = "azure.mgmt.msi.v2024_11_30.models.Identity"
    patch_model = "azure.mgmt.msi.v2024_11_30.models.IdentityUpdate"
    provisioning_state = False
    naming = Naming(
        r"[A-Za-z0-9][\w-]{2,127}",
        "InvalidResourceName",
        "The resource name '{name}' is invalid: 3 to 128 letters, digits, '-' or '_', starting with a letter or digit.",
    )

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Its principal."""
        principal = call.emulator.directory.add_managed_identity(record.name, record.id)
        ids = {"tenantId": call.emulator.tenant_id, "principalId": principal.object_id, "clientId": principal.app_id}
        record.properties.update(ids)

    async def delete(self, work: Work) -> None:
        """The principal goes too; its role assignments stay, as in Azure."""
        work.emulator.directory.remove(work.record.properties["principalId"])


class FederatedIdentityCredentials(ResourceType):
    """A trusted issuer and subject; written one at a time for an identity."""

    type = CREDENTIAL
    model = "azure.mgmt.msi.v2024_11_30.models.FederatedIdentityCredential"
    tracked = False
    location = "none"
    provisioning_state = False
    methods = frozenset({"GET", "PUT", "DELETE"})
    naming = Naming(
        r"[A-Za-z0-9][\w-]{2,119}",
        "InvalidFederatedIdentityCredentialName",
        "The federated identity credential name '{name}' is invalid: 3 to 120 letters, digits, '-' or '_', starting with a letter or digit.",
    )

    def exclusive(self, record_id: ResourceId) -> str | None:
        """The identity."""
        return str(record_id.parent)

    def busy(self, call: Call, operation: Operation) -> ArmError:
        """Two writes for one identity at once."""
        message = "Too Many Requests: Concurrent Federated Identity Credentials writes under the same managed identity are not supported."
        return ArmError(409, "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity", message)

    async def check(self, call: Call, body: Body, before: Record | None) -> None:
        """Complete, alone with its issuer and subject, and not one too many."""
        properties = body.get("properties") or {}
        for name in ("issuer", "subject", "audiences"):
            if not properties.get(name):
                raise ArmError(400, "BadRequest", f"The property '{name}' of the federated identity credential is required.")
        if not str(properties["issuer"]).startswith("https://"):
            raise ArmError(400, "BadRequest", f"The issuer '{properties['issuer']}' is not a valid https URL.")
        if len(properties["audiences"]) != 1:
            raise ArmError(400, "BadRequest", "A federated identity credential has exactly one audience.")
        others = [record for record in call.manager.children(str(call.resource_id.parent), CREDENTIAL) if record.key != call.resource_id.key]
        if any((each.properties["issuer"], each.properties["subject"]) == (properties["issuer"], properties["subject"]) for each in others):
            message = "Issuer and subject combination already exists for this Managed Identity."
            raise ArmError(409, "Conflict", message)
        if before is None and len(others) >= MOST_CREDENTIALS:
            message = f"Too many Federated Identity Credentials have been set for the managed identity: at most {MOST_CREDENTIALS} are allowed."
            raise ArmError(400, "FederatedIdentityCredentialLimitExceeded", message)


PROVIDER = Provider("Microsoft.ManagedIdentity", types=[UserAssignedIdentities(), FederatedIdentityCredentials()])
