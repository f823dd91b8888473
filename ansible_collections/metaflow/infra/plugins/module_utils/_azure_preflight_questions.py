# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The questions of the preflight, asked side by side. Nothing is written; what may not be asked is None, with a warning."""

from __future__ import annotations

import typing as t

from ._azure_aks import API_VERSION as AKS_API
from ._azure_aks import RULES as AKS_RULES
from ._azure_aks import TYPE as AKS
from ._azure_client import Azure
from ._azure_compute import normalized
from ._azure_ids import title, type_of
from ._azure_machines import UNKNOWN
from ._azure_postgresql import API_VERSION as POSTGRESQL_API
from ._azure_postgresql import RULES as POSTGRESQL_RULES
from ._azure_postgresql import TYPE as POSTGRESQL
from ._azure_resources import completed
from ._azure_types import type_known
from ._errors import ApiError, Failures, InputError
from ._graph import all_of
from ._plan import plan
from ._run import Run

Json = dict[str, t.Any]
Question = t.Callable[[], t.Any]

STORAGE_API: t.Final = "2025-08-01"
RESOURCES_API: t.Final = "2024-11-01"
SUBSCRIPTIONS_API: t.Final = "2022-12-01"
STORAGE: t.Final = "Microsoft.Storage/storageAccounts"
RULES: t.Final = {AKS.lower(): AKS_RULES, POSTGRESQL.lower(): POSTGRESQL_RULES}


class Questions:
    """What is asked of one subscription and region."""

    def __init__(self, run: Run, azure: Azure) -> None:
        self.run, self.azure = run, azure
        self.subscription = f"/subscriptions/{azure.subscription_id}"
        self.location = normalized(run.params["location"])

    def ask(self, questions: t.Mapping[str, Question]) -> dict[str, t.Any]:
        """All answers by name."""

        def one(what: str) -> t.Any:
            try:
                return questions[what]()
            except ApiError as error:
                if not UNKNOWN & set(error.codes):
                    raise
                if "AuthorizationFailed" in error.codes:
                    self.run.warn(f"Not checked, as it may not be read: {what}. {error}")
                return None

        try:
            return all_of(questions, one)
        except Failures as failures:
            if len({error.failure["code"] for error in failures.errors}) == 1:
                raise failures.errors[0] from None  # one cause, such as a wrong subscription, is told once
            raise

    def first(self) -> dict[str, Question]:
        """The subscription, its regions, and what exists already."""
        params, azure = self.run.params, self.azure
        found: dict[str, Question] = {
            "subscription": lambda: azure.json("GET", self.subscription, {"api-version": SUBSCRIPTIONS_API}, during="read the subscription"),
            "regions": lambda: azure.pages(f"{self.subscription}/locations", {"api-version": SUBSCRIPTIONS_API}, during="list the regions"),
        }
        for what, kind, api, option, name in (
            ("server", POSTGRESQL, POSTGRESQL_API, "postgresql", "server_name"),
            ("account", STORAGE, STORAGE_API, "storage_account", "name"),
            ("cluster", AKS, AKS_API, "cluster", "name"),
        ):
            if (wanted := params[option]) and wanted[name]:
                path = azure.id(wanted["resource_group"], kind, wanted[name])
                found[what] = lambda path=path, api=api: azure.get(path, api)  # type: ignore[misc]  # mypy can't tell a lambda with defaults
        return found

    def second(self, known: t.Mapping[str, t.Any]) -> dict[str, Question]:
        """What only matters to things that don't exist yet: offers, names, services of the region."""
        params, found = self.run.params, dict[str, Question]()
        if params["postgresql"] and not known.get("server"):
            found["capabilities"] = lambda: self.region("Microsoft.DBforPostgreSQL", "capabilities", POSTGRESQL_API)
            found["Microsoft.DBforPostgreSQL"] = lambda: self.provider("Microsoft.DBforPostgreSQL")
            if name := params["postgresql"]["server_name"]:
                found["server name"] = lambda: self.name("Microsoft.DBforPostgreSQL", POSTGRESQL, name, POSTGRESQL_API)
        if params["storage_account"] and not known.get("account"):
            account = params["storage_account"]["name"]
            found["Microsoft.Storage"] = lambda: self.provider("Microsoft.Storage")
            found["account name"] = lambda: self.name("Microsoft.Storage", STORAGE, account, STORAGE_API)
        if (params["cluster"] or params["kubernetes_version"] or params["vm_sizes"]) and not known.get("cluster"):
            found["Microsoft.ContainerService"] = lambda: self.provider("Microsoft.ContainerService")
            if params["kubernetes_version"]:
                found["Kubernetes versions"] = self.kubernetes_versions
        return found

    def provider(self, namespace: str) -> Json | None:
        return self.azure.get(f"{self.subscription}/providers/{namespace}", RESOURCES_API)

    def region(self, namespace: str, what: str, api: str) -> list[Json]:
        path = f"{self.subscription}/providers/{namespace}/locations/{self.location}/{what}"
        return self.azure.pages(path, {"api-version": api}, during=f"read the {what} of {namespace} in {self.location}")

    def kubernetes_versions(self) -> list[Json]:
        path = f"{self.subscription}/providers/Microsoft.ContainerService/locations/{self.location}/kubernetesVersions"
        answer = self.azure.json("GET", path, {"api-version": AKS_API}, during="list the Kubernetes versions")
        return t.cast("list[Json]", (answer or {}).get("values") or [])

    def name(self, namespace: str, kind: str, name: str, api: str) -> Json:
        path = f"{self.subscription}/providers/{namespace}/checkNameAvailability"
        during = f"ask whether the name {name} is free"
        return t.cast("Json", self.azure.json("POST", path, {"api-version": api}, {"name": name, "type": kind}, during=during))

    def existing_faults(self) -> list[str]:
        """One sentence for each declared resource that exists with an immutable property set otherwise."""
        declared = {self.azure.complete(item["id"]): item for item in self.run.params["existing"]}
        kinds = {path: type_known(path, item["api_version"]) for path, item in declared.items()}
        live = self.ask({path: lambda path=path: self.azure.get(path, kinds[path].api_version) for path in declared})  # type: ignore[misc]
        found = []
        for path, resource in live.items():
            if resource is None:
                continue
            body = completed(declared[path]["body"], self.azure.subscription_id)
            try:
                plan(title(path), kinds[path].spelled(body, resource), resource, RULES.get(type_of(path).lower(), kinds[path].rules))
            except InputError as error:
                found.append(str(error))
        return found
