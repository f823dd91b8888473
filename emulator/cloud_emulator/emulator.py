"""What every part of the emulator is given: the state, the settings, the directory, the backends."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import typing as t
import uuid

from . import ports
from .azure.directory import Directory
from .azure.tokens import Tokens
from .certificates import CertificateAuthority, write_secret
from .clock import Clock, timestamp
from .faults import Faults
from .processes import Processes
from .settings import Settings
from .store import Store

if t.TYPE_CHECKING:
    from .backends.azurite import AzuriteBackend
    from .backends.kubernetes import KubernetesBackend
    from .backends.postgresql import PostgresqlBackend

OWNER_ROLE = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"  # the built-in role Owner has this id everywhere
SEEDED = ("deployer", "data-scientist")
USER = "operator"
USER_DOMAIN = "emulator.onmicrosoft.com"


@dataclasses.dataclass
class Emulator:
    """One emulator. The backends and the tunnels are there once the daemon has started them; the rest works without (in tests, say)."""

    state: pathlib.Path
    store: Store
    clock: Clock
    settings: Settings
    certificates: CertificateAuthority
    directory: Directory
    faults: Faults
    processes: Processes
    tokens: Tokens
    tenant_id: str
    subscription_id: str
    tunnels: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)  # host name -> address of raw TCP passed through
    proxy_url: str = ""  # for processes that must reach the emulated hosts, such as pods
    postgresql: PostgresqlBackend = dataclasses.field(init=False)
    azurite: AzuriteBackend = dataclasses.field(init=False)
    kubernetes: KubernetesBackend = dataclasses.field(init=False)

    @classmethod
    def open(cls, state: pathlib.Path, clock: Clock | None = None) -> Emulator:
        """The emulator whose state is in `state`; at first use the folder is made, and in it a tenant, a subscription and two principals."""
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(state, 0o700)
        state = state.resolve()
        store, clock, settings = Store(state / "store.sqlite"), clock or Clock(), Settings(state / "settings.json")
        identity = store.get("emulator", "identity")
        if identity is None:
            identity = {"tenant_id": str(uuid.uuid4()), "subscription_id": str(uuid.uuid4())}
        emulator = cls(
            state=state,
            store=store,
            clock=clock,
            settings=settings,
            certificates=CertificateAuthority(state / "ca"),
            directory=Directory(store, clock, settings),
            faults=Faults(store),
            processes=Processes(store, state),
            tokens=Tokens(state / "token-key.pem", identity["tenant_id"], clock),
            **identity,
        )
        if store.get("emulator", "identity") is None:
            emulator._seed()
            store.put("emulator", "identity", identity)
        return emulator

    def allot_port(self, name: str, address: str = "127.0.0.1") -> int:
        """A free TCP port on `address` for the part called `name`; the same one at the next start where it is still free."""
        return ports.allot(self.store, name, address)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """client_id, client_secret and object_id of the service principals that are there from the start, by name; username, password and
        object_id of the user."""
        return t.cast(dict[str, dict[str, str]], json.loads((self.state / "credentials.json").read_text()))

    def _seed(self) -> None:
        credentials = {}
        for name in SEEDED:
            application = self.directory.add_application(name)
            principal = self.directory.add_service_principal(name, application["appId"])
            principal.visible_from = 0
            self.directory.update(principal)
            secret = self.directory.add_secret(principal.app_id, "cloud-emulator", end="2099-01-01T00:00:00Z")
            credentials[name] = {"client_id": principal.app_id, "client_secret": secret["secretText"], "object_id": principal.object_id}
        user, password = self.directory.add_user(f"{USER}@{USER_DOMAIN}", USER)
        user.visible_from = 0
        self.directory.update(user)
        credentials[USER] = {"username": user.user_name, "password": password, "object_id": user.object_id}
        # The texts must be printed again by `env`: the one place where secrets are kept readable.
        write_secret(self.state / "credentials.json", json.dumps(credentials, indent=2).encode())
        self._make_owner(credentials["deployer"]["object_id"], "ServicePrincipal")
        self._make_owner(user.object_id, "User")

    def _make_owner(self, object_id: str, principal_type: str) -> None:
        scope = f"/subscriptions/{self.subscription_id}"
        name = str(uuid.uuid4())
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        now = timestamp(self.clock.now())
        properties = {
            "roleDefinitionId": f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{OWNER_ROLE}",
            "principalId": object_id,
            "principalType": principal_type,
            "scope": scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": now,
            "updatedOn": now,
            "createdBy": "",
            "updatedBy": "",
            "delegatedManagedIdentityResourceId": None,
            "description": None,
        }
        resource = {"id": path, "name": name, "type": "Microsoft.Authorization/roleAssignments", "properties": properties}
        self.store.put("role_assignments", path.lower(), resource)
