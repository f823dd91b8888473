"""management.azure.com: all providers of Resource Manager behind one app."""

from __future__ import annotations

import typing as t

from starlette.applications import Starlette
from starlette.requests import Request

from ..emulator import Emulator
from . import authorization, compute, container_service, identity, locks, network, postgresql, private_dns, providers, resources, storage
from .arm.app import Application
from .arm.errors import ArmError
from .arm.manager import ResourceManager
from .arm.resource import Principal, Provider
from .tokens import TokenError

#: what a token for Resource Manager may be made for
AUDIENCES = (
    "https://management.core.windows.net/",
    "https://management.core.windows.net",
    "https://management.azure.com/",
    "https://management.azure.com",
)

#: every provider; the order is that of ``GET /subscriptions/{id}/providers``
PROVIDERS: t.Sequence[Provider] = (
    resources.PROVIDER,
    authorization.PROVIDER,
    locks.PROVIDER,
    network.PROVIDER,
    private_dns.PROVIDER,
    identity.PROVIDER,
    compute.PROVIDER,
    postgresql.PROVIDER,
    storage.PROVIDER,
    container_service.PROVIDER,
    *providers.OTHERS,
)


def make_manager(emulator: Emulator, providers: t.Sequence[Provider] = PROVIDERS) -> ResourceManager:
    """The Resource Manager of an emulator; its ``start()`` carries on what was in progress, its ``stop()`` ends the background work."""
    return ResourceManager(emulator, providers)


def app(emulator: Emulator, manager: ResourceManager | None = None) -> Starlette:
    """The app of management.azure.com; ``app.state.manager`` is its `ResourceManager`."""
    manager = manager or make_manager(emulator)

    def authenticate(request: Request) -> Principal:
        try:
            claims = emulator.tokens.verify(request.headers.get("authorization"), AUDIENCES)
        except TokenError as error:
            challenge = (
                f'Bearer authorization_uri="https://login.microsoftonline.com/{emulator.tenant_id}", '
                f'error="invalid_token", error_description="{error.message}"'
            )
            headers = {"WWW-Authenticate": challenge, "x-ms-failure-cause": "gateway"}
            raise ArmError(401, error.code, error.message, headers=headers) from error
        return Principal(str(claims["oid"]), str(claims.get("appid", "")), claims)

    asgi = Application(manager, authenticate).asgi()
    asgi.state.manager = manager
    return asgi
