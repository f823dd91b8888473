"""Federated credentials of Graph's applications: which cluster's tokens may be used in place of a secret."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from . import graph_objects as objects
from .graph_applications import named
from .graph_call import Call, GraphError, Json, bad_request, not_found


async def list_federated(call: Call, key: str) -> Response:
    return call.many(objects.federated(call.emulator, named(call, key)), "federatedIdentityCredentials")


async def create_federated(call: Call, key: str) -> Response:
    value = named(call, key)
    missing = [name for name in ("name", "issuer", "subject", "audiences") if not call.body.get(name)]
    if missing:
        raise bad_request(f"The property '{missing[0]}' is required for 'FederatedIdentityCredential'.")
    existing = objects.federated(call.emulator, value)
    if any(other["name"] == call.body["name"] for other in existing):
        message = f"FederatedIdentityCredential with name {call.body['name']} already exists."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    if any((other["issuer"], other["subject"]) == (call.body["issuer"], call.body["subject"]) for other in existing):
        message = "FederatedIdentityCredential with issuer and subject combination already exists on this app."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    made = {"id": str(uuid.uuid4()), "description": None, **{name: call.body.get(name) for name in objects.FEDERATED}}
    call.emulator.store.put("federated", f"{value['id']}/{made['id']}", made)
    return call.one(made, "federatedIdentityCredentials", 201)


def _federated(call: Call, key: str, name: str) -> tuple[str, Json]:
    value = named(call, key)
    for credential in objects.federated(call.emulator, value):
        if name in (credential["id"], credential["name"]):
            return f"{value['id']}/{credential['id']}", credential
    raise not_found(name)


async def get_federated(call: Call, key: str, name: str) -> Response:
    return call.one(_federated(call, key, name)[1], "federatedIdentityCredentials")


async def patch_federated(call: Call, key: str, name: str) -> Response:
    path, value = _federated(call, key, name)
    call.emulator.store.put("federated", path, {**value, **{n: v for n, v in call.body.items() if n in objects.FEDERATED and n != "name"}})
    return Response(status_code=204)


async def delete_federated(call: Call, key: str, name: str) -> Response:
    call.emulator.store.delete("federated", _federated(call, key, name)[0])
    return Response(status_code=204)
