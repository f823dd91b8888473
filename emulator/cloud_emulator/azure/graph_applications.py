"""Graph's applications: created, found by three keys, their secrets and owners, deleted and restored."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from ..clock import timestamp
from . import graph_objects as objects
from .graph_call import Call, GraphError, Json, bad_request, not_found, writable


def named(call: Call, key: str) -> Json:
    """The application that a path names by object id, `appid='…'` or `uniquename='…'`. Raises GraphError, also while not replicated."""
    value = objects.find_application(call.emulator, key)
    if value is None or value["_visible_from"] > call.emulator.clock.now().timestamp():
        raise not_found(key.partition("=")[2].strip("'") or key)
    return value


async def list_applications(call: Call) -> Response:
    now = call.emulator.clock.now().timestamp()
    values = [value for _, value in call.emulator.store.items("applications") if value["_visible_from"] <= now]
    return call.many([objects.show_application(call.emulator, value) for value in values], "applications")


async def create_application(call: Call) -> Response:
    if not call.body.get("displayName"):
        raise bad_request("The property 'displayName' is required for 'Application'.")
    return call.one(objects.show_application(call.emulator, _new_application(call, call.body)), "applications", 201)


def _new_application(call: Call, body: Json, unique_name: str | None = None) -> Json:
    properties = writable(body, objects.APPLICATION)
    unique_name = unique_name or properties.get("uniqueName")
    if unique_name and objects.find_application(call.emulator, f"uniquename='{unique_name}'", deleted=True):
        raise GraphError(400, "Request_MultipleObjectsWithSameKeyValue", "Another object with the same value for property uniqueName already exists.")
    references = body.get("owners@odata.bind") or []
    owners = [reference.rstrip("/").rpartition("/")[2] for reference in references] or [call.claims["oid"]]
    properties |= {"uniqueName": unique_name, "_owners": owners}
    return call.emulator.directory.add_application(properties.pop("displayName"), **properties)


async def get_application(call: Call, key: str) -> Response:
    return call.one(objects.show_application(call.emulator, named(call, key)), "applications")


async def patch_application(call: Call, key: str) -> Response:
    name, _, unique_name = key.partition("=")
    if name == "uniquename" and call.creates_missing and objects.find_application(call.emulator, key) is None:
        if not call.body.get("displayName"):
            raise bad_request("The property 'displayName' is required for 'Application'.")
        value = _new_application(call, call.body, unique_name.strip("'"))
        return call.one(objects.show_application(call.emulator, value), "applications", 201)
    value = named(call, key)
    changes = writable(call.body, objects.APPLICATION)
    if value.get("uniqueName") and changes.get("uniqueName", value["uniqueName"]) != value["uniqueName"]:
        raise bad_request("Property 'uniqueName' cannot be changed once it is set.")
    call.emulator.store.put("applications", value["id"], {**value, **changes})
    return Response(status_code=204)


async def delete_application(call: Call, key: str) -> Response:
    value = named(call, key)
    call.emulator.store.delete("applications", value["id"])
    call.emulator.store.put("deleted_applications", value["id"], {**value, "deletedDateTime": timestamp(call.emulator.clock.now())})
    if principal := call.emulator.directory.by_app_id(value["appId"]):  # the home tenant's service principal goes with it
        objects.delete_principal(call.emulator, principal)
    return Response(status_code=204)


async def add_password(call: Call, key: str) -> Response:
    return new_password(call, named(call, key)["appId"])


def new_password(call: Call, owner: str) -> Response:
    """Answer with a new secret of an application (its client id) or a service principal (its object id)."""
    wanted = call.body.get("passwordCredential") or {}
    if "secretText" in wanted:
        raise bad_request("Property secretText in payload has a value that does not match schema.")
    secret = call.emulator.directory.add_secret(owner, wanted.get("displayName"), wanted.get("endDateTime"), wanted.get("startDateTime"))
    return JSONResponse({"@odata.context": f"{call.base}/$metadata#microsoft.graph.passwordCredential", **secret})


async def remove_password(call: Call, key: str) -> Response:
    return drop_password(call, named(call, key)["appId"])


def drop_password(call: Call, owner: str) -> Response:
    """Remove the secret that the body names from an application or a service principal."""
    key_id = str(call.body.get("keyId", ""))
    if not call.emulator.directory.remove_secret(owner, key_id):
        raise bad_request(f"No password credential found with keyId '{key_id}'.")
    return Response(status_code=204)


async def list_owners(call: Call, key: str) -> Response:
    return call.many(objects.shown(call.emulator, named(call, key)["_owners"]), "directoryObjects")


async def add_owner(call: Call, key: str) -> Response:
    value = named(call, key)
    object_id = str(call.body.get("@odata.id", "")).rstrip("/").rpartition("/")[2]
    if not call.emulator.directory.visible(object_id):
        raise not_found(object_id)
    if object_id in value["_owners"]:
        raise bad_request("One or more added object references already exist for the following modified properties: 'owners'.")
    call.emulator.store.put("applications", value["id"], {**value, "_owners": [*value["_owners"], object_id]})
    return Response(status_code=204)


async def remove_owner(call: Call, key: str, object_id: str) -> Response:
    value = named(call, key)
    if object_id not in value["_owners"]:
        raise not_found(object_id)
    call.emulator.store.put("applications", value["id"], {**value, "_owners": [owner for owner in value["_owners"] if owner != object_id]})
    return Response(status_code=204)


# Deleted applications ----------------------------------------------------------------------------------------------------------------------


async def get_deleted(call: Call, name: str) -> Response:
    """One deleted object by its id, or all of a kind (`microsoft.graph.application`)."""
    if not name.lower().startswith("microsoft.graph."):
        return call.one(objects.show_application(call.emulator, _deleted(call, name)), "directoryObjects")
    deleted = call.emulator.store.items("deleted_applications") if name.lower().endswith(".application") else []
    return call.many([objects.show_application(call.emulator, value) for _, value in deleted], "applications")


async def restore(call: Call, object_id: str) -> Response:
    value = _deleted(call, object_id)
    value.pop("deletedDateTime", None)
    call.emulator.store.delete("deleted_applications", object_id)
    call.emulator.store.put("applications", object_id, value)
    objects.restore_principal(call.emulator, value["appId"])
    return call.one({"@odata.type": "#microsoft.graph.application", **objects.show_application(call.emulator, value)}, "directoryObjects")


async def purge(call: Call, object_id: str) -> Response:
    value = _deleted(call, object_id)
    call.emulator.store.delete("deleted_applications", object_id)
    principal = call.emulator.store.get("deleted_principals", value["appId"]) or {}
    secrets_of = [("secrets", value["appId"]), *([("secrets", principal["object_id"])] if principal else [])]
    for collection, prefix in (*secrets_of, ("federated", object_id), ("deleted_principals", value["appId"])):
        for key, _ in call.emulator.store.items(collection, prefix):
            call.emulator.store.delete(collection, key)
    return Response(status_code=204)


def _deleted(call: Call, object_id: str) -> Json:
    value = call.emulator.store.get("deleted_applications", object_id)
    if value is None:
        raise not_found(object_id)
    return value
