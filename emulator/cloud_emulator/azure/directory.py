"""The tenant's principals: service principals, managed identities and users, shared by Entra, Graph, identities and clusters."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import secrets
import typing as t
import uuid

from ..clock import Clock, timestamp
from ..settings import Settings
from ..store import Store

TWO_YEARS = datetime.timedelta(days=730)


@dataclasses.dataclass
class Principal:
    """One object of the directory that can hold roles. `object_id` is what role assignments name, `app_id` what tokens are asked with."""

    object_id: str
    app_id: str
    display_name: str
    kind: str  # Application, ManagedIdentity (both are service principals) or User
    resource_id: str | None = None  # a managed identity's ARM id
    user_name: str = ""  # a user's name@domain
    created: str = ""
    visible_from: float = 0  # POSIX time
    tags: list[str] = dataclasses.field(default_factory=list)
    extra: dict[str, t.Any] = dataclasses.field(default_factory=dict)  # what Graph keeps with it

    @property
    def principal_type(self) -> str:
        """As role assignments call it: ServicePrincipal or User."""
        return "User" if self.kind == "User" else "ServicePrincipal"


class Directory:
    """Principals and the secrets of applications. Only hashes of secrets are kept."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def add_service_principal(self, display_name: str, app_id: str | None = None, object_id: str | None = None) -> Principal:
        """The service principal of an application of this tenant. Visible once the replication delay has passed."""
        return self._add(display_name, "Application", app_id, object_id)

    def add_managed_identity(self, name: str, resource_id: str) -> Principal:
        """The service principal of a managed identity (user-assigned, or a cluster's own); the same one again for the same resource."""
        for principal in self.all():
            if (principal.resource_id or "").lower() == resource_id.lower():
                return principal
        return self._add(name, "ManagedIdentity", None, None, resource_id)

    def add_user(self, user_name: str, display_name: str) -> tuple[Principal, str]:
        """A user, and the password to sign in with."""
        user = self._add(display_name, "User", "", None)
        user.user_name = user_name.lower()
        self.update(user)
        return user, self.add_secret(user.object_id, end="9999-12-31T00:00:00Z")["secretText"]

    def by_user_name(self, user_name: str) -> Principal | None:
        """The user who signs in as `user_name` (name@domain)."""
        return next((principal for principal in self.all() if principal.user_name and principal.user_name == user_name.lower()), None)

    def update(self, principal: Principal) -> None:
        self._store.put("principals", principal.object_id, dataclasses.asdict(principal))

    def remove(self, object_id: str) -> bool:
        """Take a principal out of the directory; False where it was not there. Its role assignments stay, as in Azure."""
        return self._store.delete("principals", object_id.lower())

    def all(self) -> list[Principal]:
        return [Principal(**value) for _, value in self._store.items("principals")]

    def by_object_id(self, object_id: str) -> Principal | None:
        value = self._store.get("principals", object_id.lower())
        return Principal(**value) if value else None

    def by_app_id(self, app_id: str) -> Principal | None:
        return next((principal for principal in self.all() if app_id and principal.app_id == app_id.lower()), None)

    def by_resource_id(self, resource_id: str) -> Principal | None:
        return next((principal for principal in self.all() if (principal.resource_id or "").lower() == resource_id.lower()), None)

    def visible(self, object_id: str) -> bool:
        """Whether the principal exists and has been replicated: what role assignment and Graph's reads go by."""
        principal = self.by_object_id(object_id)
        return principal is not None and principal.visible_from <= self._clock.now().timestamp()

    # Applications: Graph keeps the rest of their properties in the same value --------------------------------------------------------

    def add_application(self, display_name: str, **properties: t.Any) -> dict[str, t.Any]:
        """A new application, in the store's collection "applications" by its object id (`id`)."""
        now = self._clock.now()
        application = {
            "id": str(uuid.uuid4()),
            "appId": str(uuid.uuid4()),
            "displayName": display_name,
            "createdDateTime": timestamp(now),
            "_visible_from": now.timestamp() + self._settings.replication_delay,
            "_owners": [],
            **properties,
        }
        self._store.put("applications", application["id"], application)
        return application

    def application_of(self, app_id: str) -> dict[str, t.Any] | None:
        return next((value for _, value in self._store.items("applications") if value["appId"] == app_id.lower()), None)

    # Secrets of applications ---------------------------------------------------------------------------------------------------------

    def add_secret(self, app_id: str, display_name: str | None = None, end: str | None = None, start: str | None = None) -> dict[str, t.Any]:
        """A new secret of an application, as Graph's passwordCredential; `secretText` is in this answer only."""
        now = self._clock.now()
        text = f"{secrets.token_hex(2)[:3]}8Q~{secrets.token_urlsafe(25)}"[:40]  # as long as Entra's, with its 8Q~
        credential = {
            "customKeyIdentifier": None,
            "displayName": display_name,
            "endDateTime": end or timestamp(now + TWO_YEARS),
            "hint": text[:3],
            "keyId": str(uuid.uuid4()),
            "secretText": None,
            "startDateTime": start or timestamp(now),
        }
        self._store.put("secrets", f"{app_id.lower()}/{credential['keyId']}", {**credential, "hash": _digest(text)})
        return {**credential, "secretText": text}

    def secrets_of(self, app_id: str) -> list[dict[str, t.Any]]:
        """The passwordCredentials of an application, without their texts."""
        found = [value for _, value in self._store.items("secrets", f"{app_id.lower()}/")]
        return [{name: v for name, v in value.items() if name != "hash"} for value in found]

    def remove_secret(self, app_id: str, key_id: str) -> bool:
        return self._store.delete("secrets", f"{app_id.lower()}/{key_id.lower()}")

    def check_secret(self, app_id: str, text: str) -> t.Literal["ok", "wrong", "expired"]:
        """Whether `text` is a secret of the application that is valid now."""
        for _, value in self._store.items("secrets", f"{app_id.lower()}/"):
            if hmac.compare_digest(value["hash"], _digest(text)):
                now = self._clock.now()
                return "ok" if _moment(value["startDateTime"]) <= now < _moment(value["endDateTime"]) else "expired"
        return "wrong"

    def _add(self, display_name: str, kind: str, app_id: str | None, object_id: str | None, resource_id: str | None = None) -> Principal:
        now = self._clock.now()
        principal = Principal(
            object_id=(object_id or str(uuid.uuid4())).lower(),
            app_id=(str(uuid.uuid4()) if app_id is None else app_id).lower(),
            display_name=display_name,
            kind=kind,
            resource_id=resource_id,
            created=timestamp(now),
            visible_from=now.timestamp() + self._settings.replication_delay,
        )
        self.update(principal)
        return principal


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()  # the texts are random, so a slow hash would protect nothing


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
