# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Azure clouds: where to log in, and where Resource Manager and Microsoft Graph answer (learn.microsoft.com, "national clouds")."""

from __future__ import annotations

import dataclasses

from ._errors import InputError


@dataclasses.dataclass(frozen=True)
class Cloud:
    name: str
    authority: str
    resource_manager: str
    graph: str
    blob_suffix: str
    postgresql_suffix: str


CLOUDS = (
    Cloud(
        "AzureCloud",
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "https://graph.microsoft.com",
        "blob.core.windows.net",
        "postgres.database.azure.com",
    ),
    Cloud(
        "AzureChinaCloud",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "blob.core.chinacloudapi.cn",
        "postgres.database.chinacloudapi.cn",
    ),
    Cloud(
        "AzureUSGovernment",
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "https://graph.microsoft.us",
        "blob.core.usgovcloudapi.net",
        "postgres.database.usgovcloudapi.net",
    ),
)

# Other tools' names for the same clouds: azure-identity, terraform, older AWX credentials.
ALIASES = {
    "azurepubliccloud": "azurecloud",
    "public": "azurecloud",
    "china": "azurechinacloud",
    "usgovernment": "azureusgovernment",
    "azuregovernment": "azureusgovernment",
    "azureusgovernmentcloud": "azureusgovernment",
}


def cloud_named(name: str | None) -> Cloud:
    """The cloud of that name, in any case; none named means the public one. :raises InputError: where there is none."""
    key = (name or "AzureCloud").lower()
    key = ALIASES.get(key, key)
    for cloud in CLOUDS:
        if cloud.name.lower() == key:
            return cloud
    raise InputError(f"There is no Azure cloud {name!r}: choose one of {', '.join(c.name for c in CLOUDS)}.")
