# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Credentials, cloud and time: what every Azure module takes."""

    DOCUMENTATION = r"""
requirements:
  - azure-identity
  - azure-mgmt-core
options:
  subscription_id:
    description:
      - Subscription to work in.
      - If not set, E(AZURE_SUBSCRIPTION_ID) or E(ARM_SUBSCRIPTION_ID) is used, else the default one of a login with C(az).
    type: str
  tenant_id:
    description:
      - Tenant (directory) to log in to.
      - If not set, E(AZURE_TENANT_ID), E(AZURE_TENANT) or E(ARM_TENANT_ID) is used.
    type: str
  client_id:
    description:
      - Client id of the service principal, or of the identity where a machine has several.
      - If not set, E(AZURE_CLIENT_ID) or E(ARM_CLIENT_ID) is used.
    type: str
  client_secret:
    description:
      - Secret of the service principal.
      - If not set, E(AZURE_CLIENT_SECRET), E(AZURE_SECRET) or E(ARM_CLIENT_SECRET) is used.
      - E(AZURE_CLIENT_CERTIFICATE_PATH), E(AZURE_FEDERATED_TOKEN_FILE) or E(AZURE_USERNAME) and E(AZURE_PASSWORD) are taken in its place.
    type: str
  cloud:
    description:
      - V(AzureCloud), V(AzureChinaCloud) or V(AzureUSGovernment).
      - If not set, E(AZURE_CLOUD) or E(AZURE_CLOUD_ENVIRONMENT) is used, else V(AzureCloud).
    type: str
  auth_source:
    description:
      - Where credentials come from. If not set, E(AZURE_AUTH_SOURCE) is used.
      - V(auto) takes the first of these that is complete - options and environment, a managed identity where the environment names its
        endpoint, a login with C(az).
      - V(env) takes options and environment only, V(cli) a login with C(az), V(managed_identity) the identity of the machine,
        V(workload_identity) the federated token in E(AZURE_FEDERATED_TOKEN_FILE).
    type: str
    choices: [auto, env, cli, managed_identity, workload_identity]
    default: auto
  timeout:
    description: Seconds that the whole task may take, with all waiting and trying again.
    type: int
    default: 3600
"""

    # For modules that make and delete.
    STATE = r"""
options:
  state:
    description: Whether it should be there.
    type: str
    choices: [present, absent]
    default: present
"""
