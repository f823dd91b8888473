# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials, chosen as Azure's own tools choose them: what is given or in the environment, an identity of the machine, a login with az.

One row a method in METHODS; the first that has all it needs is taken. Nothing is asked over the network to find that out, and the metadata
address of Azure's machines is never probed unless asked for: where it does not exist, that takes half a minute.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
import threading
import time
import typing as t

from ._azure_argspec import ENVIRONMENT
from ._azure_cloud import Cloud
from ._azure_errors import unreachable
from ._azure_token import ClientCredentials, by_secret, by_token_file
from ._errors import ApiError, InputError

if t.TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

Settings = dict[str, t.Any]

# What has no option: setting -> variables.
FURTHER = {
    "certificate_path": ["AZURE_CLIENT_CERTIFICATE_PATH"],
    "certificate_password": ["AZURE_CLIENT_CERTIFICATE_PASSWORD"],
    "token_file": ["AZURE_FEDERATED_TOKEN_FILE", "ARM_OIDC_TOKEN_FILE_PATH"],
    "username": ["AZURE_USERNAME", "AZURE_AD_USER"],
    "password": ["AZURE_PASSWORD"],
    "identity_endpoint": ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"],
}


@dataclasses.dataclass(frozen=True)
class Method:
    title: str
    sources: tuple[str, ...]
    """Values of auth_source that allow it."""
    needs: tuple[str, ...]
    make: t.Callable[[Settings], t.Any]
    usable: t.Callable[[Settings], bool] = lambda settings: True


def client_secret(s: Settings) -> t.Any:
    return ClientCredentials(s["common"]["authority"], s["tenant_id"], s["client_id"], by_secret(s["client_secret"]), s["common"]["transport"])


def certificate(s: Settings) -> t.Any:
    from azure.identity import CertificateCredential

    return CertificateCredential(s["tenant_id"], s["client_id"], s["certificate_path"], password=s["certificate_password"], **s["common"])


def workload_identity(s: Settings) -> t.Any:
    return ClientCredentials(s["common"]["authority"], s["tenant_id"], s["client_id"], by_token_file(s["token_file"]), s["common"]["transport"])


def user_password(s: Settings) -> t.Any:
    from azure.identity import UsernamePasswordCredential

    # The client id of Azure's own command line, which may log in users anywhere.
    client = s["client_id"] or "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
    return UsernamePasswordCredential(client, s["username"], s["password"], tenant_id=s["tenant_id"] or "organizations", **s["common"])


def managed_identity(s: Settings) -> t.Any:
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=s["client_id"])


def command_line(s: Settings) -> t.Any:
    from azure.identity import AzureCliCredential

    return AzureCliCredential(tenant_id=s["tenant_id"] or "", process_timeout=30)


METHODS = (
    Method("client secret", ("auto", "env"), ("tenant_id", "client_id", "client_secret"), client_secret),
    Method("client certificate", ("auto", "env"), ("tenant_id", "client_id", "certificate_path"), certificate),
    Method("workload identity", ("auto", "env", "workload_identity"), ("tenant_id", "client_id", "token_file"), workload_identity),
    Method("user and password", ("auto", "env"), ("username", "password"), user_password),
    Method("managed identity", ("managed_identity",), (), managed_identity),
    Method("managed identity", ("auto",), ("identity_endpoint",), managed_identity),
    Method("Azure CLI", ("cli",), (), command_line),
    Method("Azure CLI", ("auto",), (), command_line, lambda s: shutil.which("az") is not None and cli_subscription(s["environ"]) is not None),
)
NAMES = ENVIRONMENT | FURTHER


def settings_of(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]) -> Settings:
    further = {name: next((environ[v] for v in variables if environ.get(v)), None) for name, variables in FURTHER.items()}
    return {**{name: params.get(name) or None for name in ENVIRONMENT}, **further, "environ": environ}


def choose(settings: Settings) -> Method:
    """The first method that has what it needs. :raises InputError: where none has; it says what is missing."""
    source = settings["auth_source"] or "auto"
    allowed = [m for m in METHODS if source in m.sources]
    for method in allowed:
        if all(settings[need] for need in method.needs) and method.usable(settings):
            return method
    nearest = max(allowed, key=lambda m: sum(bool(settings[n]) for n in m.needs))
    missing = [NAMES[n][0] for n in nearest.needs if not settings[n]]
    if any(settings[n] for n in nearest.needs):
        raise InputError(f"The Azure credentials are incomplete: for a login by {nearest.title}, {' and '.join(missing)} must be set too.")
    raise InputError(
        f"No Azure credentials were found (auth_source={source}): set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, "
        "or log in with 'az login', or on a machine in Azure set AZURE_AUTH_SOURCE=managed_identity."
    )


def cli_subscription(environ: t.Mapping[str, str]) -> str | None:
    """The subscription that az uses by default; None where nobody has logged in with it."""
    folder = pathlib.Path(environ.get("AZURE_CONFIG_DIR") or pathlib.Path(environ.get("HOME", "/")) / ".azure")
    try:
        profile = json.loads((folder / "azureProfile.json").read_text("utf-8-sig"))
    except (OSError, ValueError):
        return None
    return next((s["id"] for s in profile.get("subscriptions", []) if s.get("isDefault")), None)


def subscription_of(settings: Settings) -> str:
    """:raises InputError: where none is named anywhere."""
    found = settings["subscription_id"] or cli_subscription(settings["environ"])
    if not found:
        raise InputError("No Azure subscription is named: set AZURE_SUBSCRIPTION_ID or the option subscription_id.")
    return str(found)


class Credential:
    """One token a scope, asked for once though many threads want it, and again shortly before it ends."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        cloud: Cloud,
        transport: t.Callable[[], t.Any],
        environ: t.Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self.settings = settings_of(params, environ)
        self.method = choose(self.settings)
        authority = environ.get("AZURE_AUTHORITY_HOST") or cloud.authority
        self.settings["common"] = {"authority": authority, "transport": transport(), "retry_total": 2}
        self.lock, self.tokens = threading.Lock(), dict[tuple[str, ...], "AccessTokenInfo"]()
        self.source: t.Any = None

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        from azure.core.exceptions import AzureError

        with self.lock:
            token = self.tokens.get(scopes)
            if token is None or (options and options.get("claims")) or token.expires_on - time.time() < 300:
                try:
                    self.source = self.source or self.method.make(self.settings)
                    token = t.cast("AccessTokenInfo", self.source.get_token_info(*scopes, options=options or {}))
                except (AzureError, ValueError, OSError) as error:
                    raise login_error(error, self.method.title, self.settings["common"]["authority"]) from None
                self.tokens[scopes] = token
            return token


# Entra's numbers for what goes wrong at a login, and what to do.
LOGIN_HINTS = {
    "AADSTS7000215": "The client secret is wrong: give its value, not its id.",
    "AADSTS7000222": "The client secret has expired: make a new one.",
    "AADSTS700016": "There is no such application in this tenant: check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLOUD.",
    "AADSTS90002": "There is no such tenant: check AZURE_TENANT_ID and AZURE_CLOUD.",
    "AADSTS50076": "This user needs a second factor: log in with 'az login' or use a service principal.",
}


def login_error(error: Exception, title: str, authority: str) -> ApiError:
    """What Entra or azure-identity said, without the advice of a library to its programmer."""
    message = str(getattr(error, "message", None) or error).strip()
    if "HTTPSConnection" in message or "Connection aborted" in message:
        reason = re.findall(r"[\w ]*(?:\[Errno[^\]]*\][^\"')]*|certificate verify failed[^\"')]*|timed out)", message)
        return unreachable(authority, (reason or [message])[-1].strip(), f"log in to Azure ({title})")
    text = message.splitlines()[0].split(" Trace ID:")[0].split("To mitigate this issue")[0].strip()
    hint = next((hint for code, hint in LOGIN_HINTS.items() if code in message), None)
    return ApiError(int(getattr(error, "status_code", None) or 0), "AuthenticationFailed", text, during=f"log in to Azure ({title})", hint=hint)
