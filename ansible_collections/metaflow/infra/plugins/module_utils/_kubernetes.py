# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster as the modules see it: plain dictionaries, None for what is not there."""

from __future__ import annotations

import json
import typing as t

from ._errors import ApiError, InputError

Json = dict[str, t.Any]

# A kubeconfig as an option. What is secret in it is in `users`; the rest may be shown, and must be: an option that is secret as a whole would
# have words such as "v1" blotted out of every message.
KUBECONFIG: Json = {
    "type": "dict",
    "required": True,
    "options": {
        "apiVersion": {"type": "str"},
        "kind": {"type": "str"},
        "preferences": {"type": "dict"},
        "clusters": {"type": "list", "elements": "dict", "required": True},
        "contexts": {"type": "list", "elements": "dict", "required": True},
        "current-context": {"type": "str", "required": True},
        "users": {"type": "list", "elements": "dict", "required": True, "no_log": True},
    },
}


class Cluster:
    """The API server that a kubeconfig (as data) points to."""

    def __init__(self, kubeconfig: Json) -> None:
        from kubernetes import client, config

        self.configuration = client.Configuration()
        try:
            config.load_kube_config_from_dict(kubeconfig, client_configuration=self.configuration)
        except config.ConfigException as error:
            raise InputError(f"The kubeconfig can't be used: {error}") from None
        self.core = client.CoreV1Api(client.ApiClient(self.configuration))

    def get(self, path: str, **query: t.Any) -> Json | None:
        """What is at an API path such as /api/v1/namespaces/default/pods. :raises ApiError: for any refusal but 404."""
        from kubernetes.client.exceptions import ApiException

        try:
            answer = self.core.api_client.call_api(
                path, "GET", query_params=list(query.items()), auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise ApiError(error.status or 0, str(error.reason), message_of(error), during=f"read {path}") from None
        return t.cast("Json", json.loads(answer.data))

    def list(self, path: str, **query: t.Any) -> list[Json]:
        """The items of a collection."""
        return t.cast("list[Json]", (self.get(path, **query) or {}).get("items", []))

    def log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """The last lines of a container; of its previous run where the present one has none. Empty where it never ran."""
        from kubernetes.client.exceptions import ApiException

        for previous in (False, True):
            try:
                text = self.core.read_namespaced_pod_log(pod, namespace, container=container, tail_lines=lines, previous=previous)
            except ApiException:
                continue
            if text:
                return str(text)
        return ""


def message_of(error: t.Any) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.body or error.reason)


def selector_of(labels: t.Mapping[str, str]) -> str:
    """Labels as the query parameter labelSelector."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def is_ready(pod: Json) -> bool:
    """Whether the pod serves and is not about to end."""
    conditions = pod.get("status", {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
