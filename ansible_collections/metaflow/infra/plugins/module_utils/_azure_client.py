# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource Manager and Microsoft Graph as modules see them: verbs on ids, JSON in and out, None for what is not there."""

from __future__ import annotations

import base64
import json
import typing as t

from . import _azure_http as http
from ._azure_auth import Credential, subscription_of
from ._azure_cloud import Cloud, cloud_named
from ._azure_errors import TRANSIENT, TRANSIENT_DELETE, Transient
from ._azure_ids import complete, title
from ._azure_operations import follow
from ._errors import ApiError

if t.TYPE_CHECKING:
    from ._run import Run

Resource = dict[str, t.Any]
# What a read says of something that can't exist: it, its parent or its group is missing, or its provider was never registered.
ABSENT = {"MissingSubscriptionRegistration"}


class Azure(http.Client):
    """Resource Manager of one subscription."""

    cloud: Cloud
    subscription_id: str

    def id(self, resource_group: str, kind: str, *names: str) -> str:
        """Id of a resource: `id("rg", "Microsoft.Network/virtualNetworks/subnets", "net", "db")`."""
        namespace, *types = kind.split("/")
        pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, names, strict=True))
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{resource_group}/providers/{namespace}/{pairs}"

    def complete(self, resource_id: str) -> str:
        return complete(resource_id, self.subscription_id)

    def get(self, path: str, api_version: str, **query: str) -> Resource | None:
        """The live resource, None where it is not there."""
        try:
            return t.cast("Resource", self.json("GET", path, {"api-version": api_version, **query}, during=f"read {title(path)}"))
        except ApiError as error:
            if error.status == 404 or error.code in ABSENT:
                return None
            raise

    def list(self, path: str, api_version: str, **query: str) -> list[Resource]:
        """All pages of a collection (`path` ends in its type); empty where what it belongs to is not there."""
        try:
            return self.pages(path, {"api-version": api_version, **query}, during=f"list {path.rsplit('/', 1)[-1]}")
        except ApiError as error:
            if error.status == 404 or error.code in ABSENT:
                return []
            raise

    def post(self, path: str, api_version: str, body: t.Any = None, *, during: str = "", **query: str) -> t.Any:
        """An action (`path` ends in its name), awaited where it is a long one; what it answers."""
        action = during or path.rsplit("/", 1)[-1]
        answer = self.send("POST", path, {"api-version": api_version, **query}, body, during=action)
        return follow(self, answer, action, action) if answer.http_response.status_code == 202 else http.content(answer.http_response)

    def put(self, path: str, api_version: str, body: Resource, **options: t.Any) -> Resource:
        """Create or replace; see `write`."""
        return self.write("PUT", path, api_version, body, **options)

    def patch(self, path: str, api_version: str, body: Resource, **options: t.Any) -> Resource:
        """Change what the body names; see `write`."""
        return self.write("PATCH", path, api_version, body, **options)

    def write(
        self,
        method: str,
        path: str,
        api_version: str,
        body: Resource,
        *,
        wait: bool = True,
        table: t.Sequence[Transient] = TRANSIENT,
        **options: t.Any,
    ) -> Resource:
        """Send, await the operation (unless `wait` is false) and return the live resource; what `table` says passes is tried again."""
        during = f"{'write' if method == 'PUT' else 'change'} {title(path)}"

        def once() -> Resource | None:
            answer = self.send(method, path, {"api-version": api_version}, body, during=during, **options)
            live = follow(self, answer, title(path), during) if wait else http.content(answer.http_response)
            return live if isinstance(live, dict) and "id" in live else None

        return self.repeated(once, title(path), table) or self.get(path, api_version) or body

    def delete(self, path: str, api_version: str, *, wait: bool = True, table: t.Sequence[Transient] = TRANSIENT_DELETE) -> None:
        """Delete, and wait until a read says that it is gone (unless `wait` is false). What is not there is fine."""
        during = f"delete {title(path)}"

        def once() -> None:
            try:
                answer = self.send("DELETE", path, {"api-version": api_version}, during=during)
                if wait and answer.http_response.status_code == 202:
                    follow(self, answer, title(path), during)
            except ApiError as error:
                if error.status != 404:
                    raise

        self.repeated(once, title(path), table)
        if wait:
            self.until(path, api_version, lambda live: live is None)

    def until(self, path: str, api_version: str, done: t.Callable[[Resource | None], bool]) -> Resource | None:
        """Read until `done`, and return what was read last. :raises Timeout: at the deadline."""
        from ._wait import wait_for

        return wait_for(lambda: self.get(path, api_version), done, what=title(path), deadline=self.deadline, state=state_of, report=self.report)

    def caller(self) -> dict[str, t.Any]:
        """Who we are, by our own token's claims: `oid` (object id), `tid` (tenant), `appid`."""
        payload = self.credential.get_token_info(self.scope).token.split(".")[1]
        return t.cast("dict[str, t.Any]", json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


class Graph(http.Client):
    """Microsoft Graph of one tenant. Just made objects are not known everywhere at once: give `table` where a call follows on a creation."""

    def call(self, method: str, path: str, body: t.Any = None, *, during: str, table: t.Sequence[Transient] = (), **options: t.Any) -> t.Any:
        return self.repeated(lambda: self.json(method, f"/v1.0{path}", None, body, during=during, **options), during, table)

    def get(self, path: str, during: str) -> Resource | None:
        try:
            return t.cast("Resource", self.call("GET", path, during=during))
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def state_of(live: Resource | None) -> str:
    """A resource's state in a word."""
    if live is None:
        return "absent"
    properties = live.get("properties") or {}
    return str(properties.get("provisioningState") or properties.get("state") or "present")


def connect(run: Run) -> Azure:
    """Resource Manager, with the module's credentials, deadline and reporter. :raises InputError: where something is missing for that."""
    cloud = cloud_named(run.params.get("cloud"))
    credential = Credential(run.params, cloud, http.transport)
    azure = Azure(cloud.resource_manager, f"{cloud.resource_manager}/.default", credential, run.deadline, run.report, http.transport())
    azure.cloud, azure.subscription_id = cloud, subscription_of(credential.settings)
    return azure


def connect_graph(run: Run) -> Graph:
    """Microsoft Graph; needs no subscription."""
    cloud = cloud_named(run.params.get("cloud"))
    credential = Credential(run.params, cloud, http.transport)
    return Graph(cloud.graph, f"{cloud.graph}/.default", credential, run.deadline, run.report, http.transport())
