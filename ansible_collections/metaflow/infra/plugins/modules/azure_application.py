#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_application
short_description: Manage an application in Entra ID, its service principal and its secret
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Makes an application registration that is found again by O(unique_name), and the service principal that belongs to it.
  - Secrets that this module did not make are left alone.
attributes:
  idempotent:
    support: partial
    details: O(secret=rotate) makes a new secret each time.
options:
  unique_name:
    description: Identifies the application in the tenant for ever; it can't be changed.
    type: str
    required: true
  display_name:
    description: The name that users see. Needed with O(state=present).
    type: str
  owners:
    description: Object ids of owners that it should have. Others are left alone.
    type: list
    elements: str
    default: []
  secret:
    description:
      - V(present) sees to it that there is a secret (of this O(secret_name)) that is good for at least O(secret_renew_days) more days.
      - V(rotate) makes a new one. The one before stays good, so that what uses it can be given the new one; older ones are removed.
      - V(absent) removes those of this O(secret_name).
    type: str
    choices: [absent, present, rotate]
    default: absent
  secret_name:
    description: Name by which this module knows its secrets.
    type: str
    default: metaflow.infra
  secret_lifetime_days:
    description: Days that a new secret is good for. Tenants may forbid long ones.
    type: int
    default: 365
  secret_renew_days:
    description: Days before its end when a secret is followed by a new one.
    type: int
    default: 30
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
"""

EXAMPLES = r"""
- name: Make a service principal with a secret
  metaflow.infra.azure_application:
    unique_name: research-blobs
    display_name: Reads and writes the blobs of research
    secret: present
  register: principal
  no_log: true
"""

RETURN = r"""
application:
  description: The application and its service principal; in check mode, what is not made yet is V(null).
  returned: success
  type: dict
  contains:
    app_id:
      description: Client id.
      type: str
    object_id:
      description: Object id of the application.
      type: str
    principal_id:
      description: Object id of the service principal, which role assignments want.
      type: str
    secrets:
      description: Key ids of its secrets.
      type: list
      elements: str
client_secret:
  description: The new secret. It can't be read again, so take it from here, with C(no_log).
  returned: when a secret was made
  type: str
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._run import Run, main_of


def work(run: Run) -> dict[str, t.Any]:
    from ..module_utils._azure_application import Application
    from ..module_utils._azure_client import connect_graph

    application = Application(connect_graph(run), run.params, run.warn)
    application.read()
    changes = application.plan() if run.present else application.plan_absent()
    if not run.writes(changes):
        return {"application": application.result() if run.present else None}
    if not run.present:
        application.delete()
        return {"application": None}
    application.apply()
    made = {"client_secret": application.client_secret} if application.client_secret else {}
    return {"application": application.result(), **made}


def main() -> None:
    spec = azure_spec() | {
        "unique_name": {"type": "str", "required": True},
        "display_name": {"type": "str"},
        "owners": {"type": "list", "elements": "str", "default": []},
        "secret": {"type": "str", "choices": ["absent", "present", "rotate"], "default": "absent", "no_log": False},
        "secret_name": {"type": "str", "default": "metaflow.infra", "no_log": False},
        "secret_lifetime_days": {"type": "int", "default": 365, "no_log": False},
        "secret_renew_days": {"type": "int", "default": 30, "no_log": False},
    }
    main_of(spec, work, required_if=[("state", "present", ("display_name",))])


if __name__ == "__main__":
    main()
