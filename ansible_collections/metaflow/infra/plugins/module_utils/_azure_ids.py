# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource ids: /subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME/SUBTYPE/NAME. Equal in any case."""

from __future__ import annotations

import re

from ._errors import InputError

GROUP = "Microsoft.Resources/resourceGroups"


def complete(resource_id: str, subscription_id: str) -> str:
    """The id with its subscription: /resourceGroups/… gets the one given. :raises InputError: where it is no id."""
    text = "/" + resource_id.strip("/")
    if re.match(r"/resourceGroups/", text, re.IGNORECASE):
        text = f"/subscriptions/{subscription_id}{text}"
    segments = text.strip("/").split("/")
    if not re.match(r"/(subscriptions|providers)/", text, re.IGNORECASE) or len(segments) % 2 or not all(segments):
        raise InputError(f"{resource_id!r} is not a resource id: it should look like /resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME.")
    return text


def normal(resource_id: str) -> str:
    """The form in which equal ids are equal."""
    return resource_id.rstrip("/").lower()


def type_of(resource_id: str) -> str:
    """NAMESPACE/TYPE/SUBTYPE as written; of a group GROUP, of a subscription Microsoft.Resources/subscriptions."""
    dummy, found, rest = resource_id.rpartition("/providers/")
    if not found:
        return GROUP if "/resourcegroups/" in normal(resource_id) else "Microsoft.Resources/subscriptions"
    segments = rest.strip("/").split("/")
    return "/".join([segments[0], *segments[1::2]])


def name_of(resource_id: str) -> str:
    return resource_id.rstrip("/").rsplit("/", 1)[-1]


def parent_of(resource_id: str) -> str:
    """Id of what contains it: subnet -> network -> group -> subscription."""
    head = resource_id.rstrip("/").rsplit("/", 2)[0]
    return re.sub(r"/providers/[^/]+$", "", head)


def group_of(resource_id: str) -> str | None:
    """Name of its resource group."""
    found = re.search(r"/resourcegroups/([^/]+)", resource_id, re.IGNORECASE)
    return found[1] if found else None


def contains(outer: str, inner: str) -> bool:
    """Whether inner lies somewhere below outer."""
    return normal(inner).startswith(normal(outer) + "/")


def title(resource_id: str) -> str:
    """How the user is told of it: "virtualNetworks/subnets vnet-a/db", "resourceGroups rg"."""
    kind, dummy, rest = type_of(resource_id).partition("/")
    names = resource_id.rpartition("/providers/")[2].strip("/").split("/")[2::2] if "/providers/" in resource_id else [name_of(resource_id)]
    return f"{rest} {'/'.join(names)}" if rest else f"provider {kind}"
