#!/usr/bin/python
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Azure Database for PostgreSQL flexible server, with its databases and parameters."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_postgresql_flexible_server
short_description: Manage an Azure Database for PostgreSQL flexible server
version_added: 0.1.0
description:
  - Creates, changes and deletes a flexible server, its databases and its server parameters.
  - The first servers of a subscription often fail with C(InternalServerError). The module then takes the server if it became usable all the same,
    removes what is left of it if it certainly never served, and creates it again after a growing pause, for up to O(creation_timeout) seconds.
  - A server that was ever usable is never deleted or replaced, except by O(state=absent).
  - Writes to one server are made one after another, as Azure takes one at a time.
options:
  name:
    description: Name of the server; unique in all of Azure.
    type: str
    required: true
  resource_group:
    description: Name of its resource group.
    type: str
    required: true
  location:
    description: Region, such as V(westus2). Can't be changed.
    type: str
  version:
    description: Major version of PostgreSQL. Can only be raised.
    type: str
  sku:
    description: Size of the server.
    type: dict
    suboptions:
      name:
        description: Such as V(Standard_B2s) or V(Standard_D2ds_v5).
        type: str
        required: true
      tier:
        description: Tier of the size; known from its name if left out.
        type: str
        choices: [Burstable, GeneralPurpose, MemoryOptimized]
  storage_gb:
    description: Size of the disk in GiB, one of Azure's steps (32, 64, 128 and so on). Can only grow.
    type: int
  storage_auto_grow:
    description: Whether Azure enlarges the disk when it gets full. Then a disk larger than O(storage_gb) is left alone.
    type: bool
  backup_retention_days:
    description: How long backups are kept, from 7 to 35 days.
    type: int
  geo_redundant_backup:
    description: Whether backups are also kept in the paired region. Can't be changed.
    type: bool
  high_availability:
    description: Whether there is a standby server, and where. Not with a Burstable size.
    type: str
    choices: [disabled, same_zone, zone_redundant]
  delegated_subnet_id:
    description: Id of the subnet, delegated to C(Microsoft.DBforPostgreSQL/flexibleServers), that the server lives in. Can't be changed.
    type: str
  private_dns_zone_id:
    description: Id of the private DNS zone for the server's name; goes with O(delegated_subnet_id).
    type: str
  administrator_login:
    description: Name of the administrator. Can't be changed.
    type: str
  administrator_password:
    description: Password of the administrator. If left out, the server is created with a random one that nobody learns; set another later.
    type: str
  update_password:
    description:
      - Azure never returns the password, so it can't be compared. V(on_create) sets it at creation only,
        V(always) sets it in each run and reports a change each time.
    type: str
    choices: [on_create, always]
    default: on_create
  databases:
    description: Databases that must exist. Others are left alone.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      charset:
        description: Character set. Can't be changed.
        type: str
        default: UTF8
      collation:
        description: Collation. Can't be changed.
        type: str
        default: en_US.utf8
  configurations:
    description: Server parameters and their values; V(true) and V(false) mean on and off. Others are left alone.
    type: dict
    default: {}
  restart:
    description: Whether to restart the server where a changed parameter needs that. Otherwise RV(restart_pending) names them.
    type: bool
    default: false
  tags:
    description: Tags that the server must have. Others are left alone.
    type: dict
  wait:
    description:
      - Whether to wait until the server is usable and all is done.
      - With V(false) a missing server is only started, so that other work can go on; call again with V(true) for the databases and parameters,
        and for recovery where the creation failed.
    type: bool
    default: true
  creation_timeout:
    description: Seconds after which no further attempt to create the server is made.
    type: int
    default: 3600
  timeout:
    description: Seconds that the whole task may take, with all waiting and trying again.
    type: int
    default: 5400
extends_documentation_fragment:
  - metaflow.infra.azure
  - metaflow.infra.azure.state
  - metaflow.infra.attributes
  - metaflow.infra.attributes.azure
author: The metaflow.infra authors (@metaflow-infra)
"""

EXAMPLES = r"""
- name: A small server in a network of its own
  metaflow.infra.azure_postgresql_flexible_server:
    name: psql-acme-metaflow-default
    resource_group: rg-metaflow-default-westus
    location: westus
    version: "17"
    sku:
      name: Standard_B2s
    storage_gb: 32
    administrator_login: metaflow
    delegated_subnet_id: "{{ subnet_id }}"
    private_dns_zone_id: "{{ zone_id }}"
    databases:
      - name: metaflow
    configurations:
      require_secure_transport: true

- name: Give the administrator a new password
  metaflow.infra.azure_postgresql_flexible_server:
    name: psql-acme-metaflow-default
    resource_group: rg-metaflow-default-westus
    administrator_password: "{{ new_password }}"
    update_password: always
"""

RETURN = r"""
server:
  description: The server as Azure describes it (in check mode as it would be); null where there is none. Never with a password.
  returned: always
  type: dict
databases:
  description: The databases of O(databases), as Azure describes them.
  returned: when O(state=present)
  type: list
  elements: dict
restart_pending:
  description: Parameters whose new values need a restart.
  returned: when O(state=present)
  type: list
  elements: str
attempts:
  description: What was tried to create the server, each with its number, its start in seconds and the error that ended it.
  returned: when O(state=present)
  type: list
  elements: dict
"""

import typing as t

from ..module_utils._azure_argspec import azure_spec
from ..module_utils._azure_ids import title
from ..module_utils._azure_names import fault, login_fault
from ..module_utils._azure_postgresql import API_VERSION, TYPE, creation_faults, desired, faults, random_password
from ..module_utils._azure_postgresql_recovery import Next, next_step, state_of
from ..module_utils._errors import InputError
from ..module_utils._plan import plan_absent
from ..module_utils._run import Run, main_of

if t.TYPE_CHECKING:
    from ..module_utils._azure_client import Azure

Json = dict[str, t.Any]


def work(run: Run) -> dict[str, t.Any]:
    params = run.params
    if run.present and (found := [*names_faults(params), *faults(params)]):
        raise InputError(" ".join(found))
    from ..module_utils._azure_client import connect
    from ..module_utils._azure_postgresql_creation import Creation, refuse_offer
    from ..module_utils._azure_postgresql_update import Update

    azure = connect(run)
    path = azure.id(params["resource_group"], TYPE, params["name"])
    live = azure.get(path, API_VERSION)
    if not run.present:
        return remove(run, azure, path, live)

    wanted = desired(params)
    update = Update(run, azure, path, wanted)
    gone = next_step(live, ours=True) in (Next.CREATE, Next.WAIT_GONE, Next.REMOVE)
    if gone:
        if missing := creation_faults(params):
            raise InputError(missing)
        refuse_offer(run, azure, wanted)
    update.server_change(None if gone else live)  # refuses what can't be, before anything is written
    if state_of(live) == "Ready":
        return update.apply(t.cast("Json", live))

    creation = Creation(run, azure, path, wanted, params["administrator_password"] or random_password())
    coming = update.changes(None) if gone else {}
    if run.writes(list(coming.values())) and live is None and not params["wait"]:
        live = creation.start()
    if run.check_mode or not params["wait"]:
        planned = {child: change.after for child, change in coming.items()} if run.check_mode else {}
        return update.result(planned.get(path, live), planned, creation.attempts)
    return update.apply(creation.finish(live), creation.attempts)


def names_faults(params: t.Mapping[str, t.Any]) -> list[str]:
    found = [fault("postgresql_server", params["name"]), login_fault(params["administrator_login"]) if params["administrator_login"] else None]
    return [sentence for sentence in found if sentence]


def remove(run: Run, azure: Azure, path: str, live: Json | None) -> dict[str, t.Any]:
    change = plan_absent(title(path), live)
    if run.writes([change]):
        azure.delete(path, API_VERSION, wait=run.params["wait"])
    return {"server": None}


def main() -> None:
    text = {"type": "str"}
    sku = {"name": {"type": "str", "required": True}, "tier": {"type": "str", "choices": ["Burstable", "GeneralPurpose", "MemoryOptimized"]}}
    database = {
        "name": {"type": "str", "required": True},
        "charset": {"type": "str", "default": "UTF8"},
        "collation": {"type": "str", "default": "en_US.utf8"},
    }
    spec = {
        **azure_spec(timeout=5400),
        "name": {"type": "str", "required": True},
        "resource_group": {"type": "str", "required": True},
        **{name: dict(text) for name in ("location", "version", "delegated_subnet_id", "private_dns_zone_id", "administrator_login")},
        "sku": {"type": "dict", "options": sku},
        "storage_gb": {"type": "int"},
        "storage_auto_grow": {"type": "bool"},
        "backup_retention_days": {"type": "int"},
        "geo_redundant_backup": {"type": "bool"},
        "high_availability": {"type": "str", "choices": ["disabled", "same_zone", "zone_redundant"]},
        "administrator_password": {"type": "str", "no_log": True},
        "update_password": {"type": "str", "choices": ["on_create", "always"], "default": "on_create", "no_log": False},
        "databases": {"type": "list", "elements": "dict", "default": [], "options": database},
        "configurations": {"type": "dict", "default": {}},
        "restart": {"type": "bool", "default": False},
        "tags": {"type": "dict"},
        "wait": {"type": "bool", "default": True},
        "creation_timeout": {"type": "int", "default": 3600},
    }
    main_of(spec, work)


if __name__ == "__main__":
    main()
