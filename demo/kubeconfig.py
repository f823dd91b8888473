"""Print the kubeconfig of an AKS cluster, with the credentials of the environment: kubeconfig.py RESOURCE_ID. What `az aks get-credentials` does,
and `kubelogin`, which the kubeconfig of a cluster with Entra asks for: a token stands in the place of its call."""

from __future__ import annotations

import base64
import sys

import requests
import yaml
from azure.identity import DefaultAzureCredential

HOST = "https://management.azure.com"
VERSION = "2025-05-01"
KUBERNETES = "6dae42f8-4368-4678-94ff-3960e28e3630"  # the application id of AKS's API servers, the same everywhere


def main() -> int:
    credential = DefaultAzureCredential()
    token = credential.get_token(f"{HOST}/.default").token
    url = f"{HOST}{sys.argv[1]}/listClusterUserCredential?api-version={VERSION}"
    answer = requests.post(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    if answer.status_code != 200:
        print(f"The cluster gives no credentials ({answer.status_code}): {answer.text}", file=sys.stderr)
        return 1
    config = yaml.safe_load(base64.b64decode(answer.json()["kubeconfigs"][0]["value"]))
    for entry in config["users"]:
        if "exec" in entry["user"]:
            entry["user"] = {"token": credential.get_token(f"{KUBERNETES}/.default").token}
    yaml.safe_dump(config, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
