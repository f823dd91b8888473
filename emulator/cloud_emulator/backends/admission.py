"""What AKS changes in pods when they are made: the workload identity webhook, as a real mutating webhook of the API server."""

from __future__ import annotations

import base64
import copy
import json

from .kubernetes_api import APPLY, Api, Object
from .webhooks import PORT

PATH = "/mutate-v1-pod"
NAME = "azure-wi-webhook-mutating-webhook-configuration"
PREFIX = "azure.workload.identity"
AUDIENCE = "api://AzureADTokenExchange"
VOLUME, FOLDER, FILE = "azure-identity-token", "/var/run/secrets/azure/tokens", "azure-identity-token"


class WorkloadIdentity:
    """The webhook of one cluster: answers an AdmissionReview of a pod."""

    def __init__(self, api: Api, tenant_id: str, authority_host: str = "https://login.microsoftonline.com/") -> None:
        self._api, self._tenant_id, self._authority_host = api, tenant_id, authority_host

    async def register(self, ip: str, ca_pem: str) -> None:
        """Tell the API server of it."""
        path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{NAME}"
        await self._api.request("PATCH", f"{path}?fieldManager=aks&force=true", configuration(ip, ca_pem), APPLY)

    async def review(self, review: Object) -> Object:
        request = review["request"]
        name = request["object"]["spec"].get("serviceAccountName") or "default"
        account = await self._api.get(f"/api/v1/namespaces/{request['namespace']}/serviceaccounts/{name}")
        patch = mutation(request["object"], account or {"metadata": {}}, self._tenant_id, self._authority_host)
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        return {"response": {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}}


def configuration(ip: str, ca_pem: str) -> Object:
    """The webhook's registration: pods that carry the label azure.workload.identity/use, as they are made."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"azure-workload-identity.io/system": "true"}},
        "webhooks": [
            {
                "name": "mutation.azure-workload-identity.io",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": f"https://{ip}:{PORT}{PATH}", "caBundle": base64.b64encode(ca_pem.encode()).decode()},
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "objectSelector": {"matchLabels": {f"{PREFIX}/use": "true"}},
                "reinvocationPolicy": "IfNeeded",
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}],
                "sideEffects": "None",
                "timeoutSeconds": 10,
            }
        ],
    }


def mutation(pod: Object, account: Object, tenant_id: str, authority_host: str) -> list[Object]:
    """The JSON patch that gives a pod's containers the service account's identity: variables, and a token that the kubelet renews.

    The account's annotations name client and tenant; those of the pod say how long a token lives, and which containers are left out.
    """
    annotations, own = account["metadata"].get("annotations") or {}, pod["metadata"].get("annotations") or {}
    seconds = int(own.get(f"{PREFIX}/service-account-token-expiration") or annotations.get(f"{PREFIX}/service-account-token-expiration") or 3600)
    skipped = {name.strip() for name in own.get(f"{PREFIX}/skip-containers", "").split(";")}
    variables = {
        "AZURE_CLIENT_ID": annotations.get(f"{PREFIX}/client-id", ""),
        "AZURE_TENANT_ID": annotations.get(f"{PREFIX}/tenant-id") or tenant_id,
        "AZURE_FEDERATED_TOKEN_FILE": f"{FOLDER}/{FILE}",
        "AZURE_AUTHORITY_HOST": authority_host,
    }
    spec = copy.deepcopy(pod["spec"])
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        if container["name"] in skipped:
            continue
        known = {variable["name"] for variable in container.get("env") or []}
        added = [{"name": name, "value": value} for name, value in variables.items() if name not in known]
        container["env"] = [*(container.get("env") or []), *added]
        mounts = container.get("volumeMounts") or []
        if all(mount["name"] != VOLUME for mount in mounts):
            container["volumeMounts"] = [*mounts, {"name": VOLUME, "mountPath": FOLDER, "readOnly": True}]
    token = {"serviceAccountToken": {"path": FILE, "expirationSeconds": seconds, "audience": AUDIENCE}}
    if all(volume["name"] != VOLUME for volume in spec.get("volumes") or []):
        spec["volumes"] = [*(spec.get("volumes") or []), {"name": VOLUME, "projected": {"sources": [token], "defaultMode": 420}}]
    paths = [name for name in ("containers", "initContainers", "volumes") if name in spec and spec[name] != pod["spec"].get(name)]
    return [{"op": "add", "path": f"/spec/{name}", "value": spec[name]} for name in paths]
