"""Who may do what in a cluster with Entra: the answers to the questions that its API server asks, as AKS's own webhooks give them."""

from __future__ import annotations

import typing as t

from .arm import access
from .container_service_kubeconfig import SERVER_APPLICATION
from .tokens import TokenError

if t.TYPE_CHECKING:
    from ..emulator import Emulator

Object = dict[str, t.Any]
CLUSTERS = "Microsoft.ContainerService/managedClusters"
VERBS = {
    **dict.fromkeys(("get", "list", "watch"), "read"),
    **dict.fromkeys(("create", "update", "patch"), "write"),
    **dict.fromkeys(("delete", "deletecollection"), "delete"),
}


class ClusterAccess:
    """Answers for the clusters, by key (the resource's id in lower case)."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def authenticate(self, key: str, token: str) -> Object | None:
        """The user (a TokenReview's) whose Entra token this is; None where the cluster has no Entra, or the token is not one for clusters."""
        if self._profile(key) is None:
            return None
        try:
            claims = self._emulator.tokens.verify(f"Bearer {token}", (SERVER_APPLICATION, f"spn:{SERVER_APPLICATION}", f"api://{SERVER_APPLICATION}"))
        except TokenError:
            return None
        # People are known by their name, service principals by their object id.
        return {
            "username": claims.get("upn") or claims["oid"],
            "groups": [*claims.get("groups", []), "system:authenticated"],
            "extra": {"oid": [claims["oid"]]},
        }

    def authorize(self, key: str, spec: Object) -> tuple[bool, str]:
        """Whether a SubjectAccessReview's user may, and why. Asked only where Kubernetes' own RBAC has not allowed it."""
        profile = self._profile(key)
        object_id = next(iter((spec.get("extra") or {}).get("oid", [])), None)
        if profile is None or object_id is None:
            return False, ""
        if set(spec.get("groups") or []) & set(profile.get("adminGroupObjectIDs") or []):
            return True, "Access allowed to a member of the cluster's admin groups"
        if not profile.get("enableAzureRBAC"):
            return False, ""
        allowed = access.data_allowed(self._emulator, object_id, action(spec), scope(key, spec))
        hint = "" if allowed else "User does not have access to the resource in Azure. Update role assignment to allow access."
        return allowed, hint or "Access allowed by Azure RBAC Role Assignment"

    def _profile(self, key: str) -> Object | None:
        record = self._emulator.store.get("resources", key) or {}
        profile: Object | None = record.get("body", {}).get("properties", {}).get("aadProfile")
        return profile


def action(spec: Object) -> str:
    """Azure's data action for what a SubjectAccessReview asks: …/managedClusters/apps/deployments/write."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = (spec.get("nonResourceAttributes") or {}).get("path", "").strip("/").split("/")[0]
        return f"{CLUSTERS}/{path}/read"
    parts = [CLUSTERS, *([asked["group"]] if asked.get("group") else []), asked.get("resource", "*")]
    verb = VERBS.get(asked.get("verb", ""), asked.get("verb", "*"))
    if asked.get("subresource") in ("exec", "attach", "portforward", "proxy"):
        return "/".join([*parts, asked["subresource"], "action"])
    return "/".join([*parts, verb])


def scope(key: str, spec: Object) -> str:
    """The cluster, or the namespace in it: roles can be assigned at both."""
    namespace = (spec.get("resourceAttributes") or {}).get("namespace")
    return f"{key}/namespaces/{namespace}" if namespace else key
