"""Print the kubeconfig of an AKS cluster, with the credentials of the environment: kubeconfig.py RESOURCE_ID. What `az aks get-credentials` does."""

from __future__ import annotations

import base64
import sys

import requests
from azure.identity import DefaultAzureCredential

HOST = "https://management.azure.com"
VERSION = "2025-05-01"


def main() -> int:
    token = DefaultAzureCredential().get_token(f"{HOST}/.default").token
    url = f"{HOST}{sys.argv[1]}/listClusterUserCredential?api-version={VERSION}"
    answer = requests.post(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    if answer.status_code != 200:
        print(f"The cluster gives no credentials ({answer.status_code}): {answer.text}", file=sys.stderr)
        return 1
    sys.stdout.write(base64.b64decode(answer.json()["kubeconfigs"][0]["value"]).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
