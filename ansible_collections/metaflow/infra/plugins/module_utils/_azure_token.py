# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens for a service principal by secret or federated token: one form sent to Entra (OAuth 2.0 client credentials, RFC 6749 4.4, RFC 7523).

azure-identity does the same, but its import takes longer than all the rest of an unchanged task; it is used for every other way to log in.
"""

from __future__ import annotations

import pathlib
import time
import typing as t

if t.TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientCredentials:
    """A credential as azure-core wants one. `proof` gives what shows that the client is who it says, new for each request."""

    def __init__(self, authority: str, tenant_id: str, client_id: str, proof: t.Callable[[], dict[str, str]], transport: t.Any) -> None:
        self.url = f"{authority.rstrip('/')}/{tenant_id}/oauth2/v2.0/token"
        self.client_id, self.proof, self.transport = client_id, proof, transport

    def get_token_info(self, *scopes: str, options: t.Any = None) -> AccessTokenInfo:
        """:raises ClientAuthenticationError: with Entra's own words."""
        from azure.core import PipelineClient
        from azure.core.credentials import AccessTokenInfo
        from azure.core.exceptions import ClientAuthenticationError
        from azure.core.pipeline.policies import RetryPolicy
        from azure.core.rest import HttpRequest

        form = {"grant_type": "client_credentials", "client_id": self.client_id, "scope": " ".join(scopes), **self.proof()}
        if options and options.get("claims"):
            form["claims"] = options["claims"]
        retry: RetryPolicy[t.Any, t.Any] = RetryPolicy(retry_total=2)
        retry._method_whitelist = frozenset(["POST"])  # asking twice does no harm
        client: PipelineClient[t.Any, t.Any] = PipelineClient(self.url, policies=[retry], transport=self.transport)
        response = client.send_request(HttpRequest("POST", self.url, data=form))
        answer = response.json() if response.text().lstrip().startswith("{") else {}
        if response.status_code != 200 or "access_token" not in answer:
            reason = answer.get("error_description") or answer.get("error") or f"HTTP {response.status_code}"
            raise ClientAuthenticationError(message=reason, response=response)
        return AccessTokenInfo(answer["access_token"], int(time.time()) + int(answer["expires_in"]), token_type=answer.get("token_type", "Bearer"))


def by_secret(secret: str) -> t.Callable[[], dict[str, str]]:
    return lambda: {"client_secret": secret}


def by_token_file(path: str) -> t.Callable[[], dict[str, str]]:
    """The file is read each time: what put it there renews it. :raises OSError: where it can't be read."""
    return lambda: {"client_assertion_type": ASSERTION, "client_assertion": pathlib.Path(path).read_text("utf-8").strip()}
