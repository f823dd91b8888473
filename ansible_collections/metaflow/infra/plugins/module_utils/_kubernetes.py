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

# A kubeconfig as an option. What is secret in it are its users' credentials (see `credentials`); the rest may be shown, and must be: an option
# that is secret as a whole would have words such as "default" blotted out of every message.
KUBECONFIG: Json = {"type": "dict", "required": True}


def credentials(params: t.Mapping[str, t.Any]) -> list[str]:
    """The secrets in a module's kubeconfig: every text under its users' names."""

    def texts(value: t.Any) -> t.Iterator[str]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)
        elif isinstance(value, str) and value:
            yield value

    users = params["kubeconfig"].get("users") or []
    return [text for user in users if isinstance(user, dict) for text in texts(user.get("user"))]


class Cluster:
    """The API server that a kubeconfig (as data) points to."""

    def __init__(self, kubeconfig: Json) -> None:
        from kubernetes import client, config

        self.configuration = client.Configuration()
        try:
            config.load_kube_config_from_dict(kubeconfig, client_configuration=self.configuration)
        except config.ConfigException as error:
            raise InputError(f"The kubeconfig can't be used: {error}") from None
        self.client = client.ApiClient(self.configuration)
        self.core = client.CoreV1Api(self.client)
        self.apps, self.batch = client.AppsV1Api(self.client), client.BatchV1Api(self.client)
        self.reads = {
            "Deployment": self.apps.read_namespaced_deployment,
            "Job": self.batch.read_namespaced_job,
            "Service": self.core.read_namespaced_service,
        }

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """The object. :raises ApiError: for any refusal but 404."""
        return self._ask(f"read {kind} {name}", lambda: self.reads[kind](name, namespace))

    def pods(self, namespace: str, labels: t.Mapping[str, str]) -> list[Json]:
        """The pods with these labels, oldest first."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._ask("list pods", lambda: self.core.list_namespaced_pod(namespace, label_selector=selector))
        return sorted((found or {}).get("items", []), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def events(self, namespace: str, uid: str) -> list[Json]:
        """The events of one object, oldest first."""
        found = self._ask("list events", lambda: self.core.list_namespaced_event(namespace, field_selector=f"involvedObject.uid={uid}"))
        return sorted((found or {}).get("items", []), key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))

    def _ask(self, during: str, call: t.Callable[[], t.Any]) -> Json | None:
        import urllib3.exceptions
        from kubernetes.client.exceptions import ApiException

        try:
            return t.cast("Json", self.client.sanitize_for_serialization(call()))
        except ApiException as error:
            if error.status == 404:
                return None
            raise ApiError(error.status or 0, str(error.reason), message_of(error), during=during) from None
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, "Unreachable", f"The cluster's API server does not answer: {error}", during=during) from None

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


def is_ready(pod: Json) -> bool:
    """Whether the pod serves and is not about to end."""
    conditions = pod.get("status", {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
