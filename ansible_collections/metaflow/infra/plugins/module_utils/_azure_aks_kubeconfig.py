# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster's kubeconfig as data, usable without kubelogin. Pure.

Where a cluster asks for Entra tokens, the kubeconfig that AKS gives names a program (``exec: kubelogin``) that fetches them.
A machine in an execution environment doesn't have it, so the entry is replaced by a token, got with the same credentials.
"""

from __future__ import annotations

import base64
import itertools
import typing as t

from ._errors import InputError

Json = dict[str, t.Any]

# The application id of "Azure Kubernetes Service AAD Server", the same in every tenant of the public cloud.
SERVER_APPLICATION: t.Final = "6dae42f8-4368-4678-94ff-3960e28e3630"


def decoded(answer: t.Mapping[str, t.Any]) -> Json:
    """The kubeconfig in the answer of ``listCluster…Credential``. :raises InputError: where there is none in it."""
    import yaml

    try:
        config = yaml.safe_load(base64.b64decode(answer["kubeconfigs"][0]["value"]))
    except (LookupError, TypeError, ValueError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict) or not config.get("clusters"):
        raise InputError("Azure's answer has no kubeconfig in it: the credentials may list the cluster but not use it.")
    return config


def server_application(config: Json) -> str | None:
    """The application that tokens are wanted for, None where the kubeconfig brings credentials of its own."""
    for entry in config.get("users") or ():
        user = entry.get("user") or {}
        if exec_ := user.get("exec"):
            args = list(exec_.get("args") or ())
            pairs = dict(itertools.pairwise(args))
            joined = dict(arg.split("=", 1) for arg in args if arg.startswith("--") and "=" in arg)
            return str(pairs.get("--server-id") or joined.get("--server-id") or SERVER_APPLICATION)
        if provider := user.get("auth-provider"):
            return str((provider.get("config") or {}).get("apiserver-id") or SERVER_APPLICATION)
    return None


def with_token(config: Json, token: str) -> Json:
    """The kubeconfig with a bearer token in the place of each program that would fetch one."""
    users = [
        {**entry, "user": {"token": token}} if {"exec", "auth-provider"} & (entry.get("user") or {}).keys() else entry
        for entry in config.get("users") or ()
    ]
    return {**config, "users": users}
