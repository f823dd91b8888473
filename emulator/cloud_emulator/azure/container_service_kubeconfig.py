"""The kubeconfigs that a cluster's credential calls hand out, under AKS's names."""

from __future__ import annotations

import base64
import typing as t

import yaml

Json = dict[str, t.Any]

#: applications of Microsoft that every tenant knows: the API servers of AKS, and the client that logs users in to them
SERVER_APPLICATION = "6dae42f8-4368-4678-94ff-3960e28e3630"
CLIENT_APPLICATION = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"
_HINT = (
    "\nkubelogin is not installed which is required to connect to AAD enabled cluster.\n\nTo learn more, please go to https://aka.ms/aks/kubelogin\n"
)


def certificate_user(certificate: str, key: str) -> Json:
    """A user with a client certificate: local accounts."""
    return {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}


def entra_user(tenant_id: str, style: str = "exec") -> Json:
    """A user who logs in with Entra: through kubelogin, or (`azure`) the plugin that older clients had built in."""
    if style == "azure":
        config = {
            "apiserver-id": SERVER_APPLICATION,
            "client-id": CLIENT_APPLICATION,
            "config-mode": "1",
            "environment": "AzurePublicCloud",
            "tenant-id": tenant_id,
        }
        return {"auth-provider": {"name": "azure", "config": config}}
    options = {
        "environment": "AzurePublicCloud",
        "server-id": SERVER_APPLICATION,
        "client-id": CLIENT_APPLICATION,
        "tenant-id": tenant_id,
        "login": "devicecode",
    }
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "args": ["get-token", *(text for name, value in options.items() for text in (f"--{name}", value))],
            "command": "kubelogin",
            "env": None,
            "installHint": _HINT,
            "provideClusterInfo": False,
        }
    }


def kubeconfig(*, cluster: str, context: str, fqdn: str, ca_pem: str, user_name: str, user: Json) -> Json:
    """A whole kubeconfig with one cluster, one user and one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _base64(ca_pem), "server": f"https://{fqdn}:443"}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user_name}}],
        "current-context": context,
        "users": [{"name": user_name, "user": user}],
    }


def encoded(config: Json, name: str) -> Json:
    """The answer of a credential call."""
    return {"kubeconfigs": [{"name": name, "value": _base64(yaml.safe_dump(config, sort_keys=False))}]}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
