#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_provider
short_description: Register Azure resource providers
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - A subscription can only hold resources of the providers that are registered in it. This registers those that are not yet, all at once, and
    waits until they are, which takes minutes the first time.
  - Nothing is ever unregistered.
options:
  namespaces:
    description: The providers.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Register what a database and a cluster need
  metaflow.infra.azure_provider:
    namespaces:
      - Microsoft.ContainerService
      - Microsoft.DBforPostgreSQL
"""

RETURN = r"""
providers:
  description: State of each, by namespace; in check mode as it would be.
  returned: success
  type: dict
  sample:
    Microsoft.DBforPostgreSQL: Registered
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._errors import InputError
from ..module_utils._plan import plan
from ..module_utils._run import Run, main_of

API = "2021-04-01"
REGISTERED = "Registered"


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_client import connect
    from ..module_utils._graph import all_of

    azure = connect(run)
    base = f"/subscriptions/{azure.subscription_id}/providers"

    def state(namespace: str) -> str:
        provider = azure.get(f"{base}/{namespace}", API)
        if provider is None:
            raise InputError(f"Azure has no resource provider {namespace!r}.")
        return str(provider.get("registrationState"))

    def register(namespace: str) -> str:
        azure.post(f"{base}/{namespace}/register", API, during=f"register {namespace}")
        return run.wait_for(lambda: state(namespace), lambda seen: seen == REGISTERED, f"registration of {namespace}")

    states = all_of(dict.fromkeys(run.params["namespaces"]), state)
    changes = [plan(n, {"registrationState": REGISTERED}, {"registrationState": s}) for n, s in states.items()]
    missing = [change.key for change in changes if change]
    registered = all_of(missing, register) if run.writes(changes) else dict.fromkeys(missing, REGISTERED)
    return {"providers": states | registered}


def main() -> None:
    main_of(azure_spec(state=False) | {"namespaces": {"type": "list", "elements": "str", "required": True}}, work)


if __name__ == "__main__":
    main()
