"""Graph's service principals, and directory objects of all kinds."""

from __future__ import annotations

from starlette.responses import Response

from . import graph_applications as applications
from . import graph_objects as objects
from .directory import Principal
from .graph_call import Call, GraphError, bad_request, not_found, writable


def _principal(call: Call, key: str) -> Principal:
    principal = objects.find_principal(call.emulator, key)
    if principal is None or principal.kind == "User" or not call.emulator.directory.visible(principal.object_id):
        raise not_found(key.partition("=")[2].strip("'") or key)
    return principal


async def list_principals(call: Call) -> Response:
    directory = call.emulator.directory
    visible = [principal for principal in directory.all() if principal.kind != "User" and directory.visible(principal.object_id)]
    return call.many([objects.show_principal(call.emulator, principal) for principal in visible], "servicePrincipals")


async def create_principal(call: Call) -> Response:
    app_id = str(call.body.get("appId") or "").lower()
    if not app_id:
        raise bad_request("The property 'appId' is required for 'ServicePrincipal'.")
    return _new_principal(call, app_id)


def _new_principal(call: Call, app_id: str) -> Response:
    application = call.emulator.directory.application_of(app_id)
    if application is None or application["_visible_from"] > call.emulator.clock.now().timestamp():
        raise bad_request(f"The appId '{app_id}' of the service principal does not reference a valid application object.")
    if call.emulator.directory.by_app_id(app_id):
        message = f"The service principal cannot be created, updated, or restored because the service principal name {app_id} is already in use."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    principal = call.emulator.directory.add_service_principal(application["displayName"], app_id)
    principal.extra = writable(call.body, objects.PRINCIPAL)
    principal.tags = list(call.body.get("tags") or [])
    call.emulator.directory.update(principal)
    return call.one(objects.show_principal(call.emulator, principal), "servicePrincipals", 201)


async def get_principal(call: Call, key: str) -> Response:
    return call.one(objects.show_principal(call.emulator, _principal(call, key)), "servicePrincipals")


async def patch_principal(call: Call, key: str) -> Response:
    name, _, app_id = key.partition("=")
    if name == "appid" and call.creates_missing and objects.find_principal(call.emulator, key) is None:
        return _new_principal(call, app_id.strip("'").lower())
    principal = _principal(call, key)
    principal.extra |= writable(call.body, objects.PRINCIPAL)
    principal.tags = list(call.body.get("tags", principal.tags) or [])
    call.emulator.directory.update(principal)
    return Response(status_code=204)


async def delete_principal(call: Call, key: str) -> Response:
    objects.delete_principal(call.emulator, _principal(call, key))
    return Response(status_code=204)


async def add_password(call: Call, key: str) -> Response:
    return applications.new_password(call, _principal(call, key).object_id)


async def remove_password(call: Call, key: str) -> Response:
    return applications.drop_password(call, _principal(call, key).object_id)


async def empty_list(call: Call, key: str) -> Response:
    _principal(call, key)
    return call.many([], "directoryObjects")


# Directory objects ------------------------------------------------------------------------------------------------------------------------


async def get_by_ids(call: Call) -> Response:
    wanted = call.body.get("ids") or []
    return call.many(objects.shown(call.emulator, [str(object_id) for object_id in wanted]), "directoryObjects")


async def get_object(call: Call, object_id: str) -> Response:
    found = objects.shown(call.emulator, [object_id])
    if not found:
        raise not_found(object_id)
    return call.one(found[0], "directoryObjects")


def _signed_in_user(call: Call) -> Principal:
    user = call.emulator.directory.by_object_id(call.claims["oid"])
    if user is None or user.kind != "User":
        raise bad_request("/me request is only valid with delegated authentication flow.")
    return user


async def me(call: Call) -> Response:
    return call.one(objects.show_user(_signed_in_user(call)), "users")


async def owned_objects(call: Call) -> Response:
    user = _signed_in_user(call)
    owned = [value["id"] for _, value in call.emulator.store.items("applications") if user.object_id in value["_owners"]]
    return call.many(objects.shown(call.emulator, owned), "directoryObjects")


async def list_users(call: Call) -> Response:
    users = [principal.object_id for principal in call.emulator.directory.all() if principal.kind == "User"]
    return call.many(objects.shown(call.emulator, users), "users")


async def get_user(call: Call, key: str) -> Response:
    user = call.emulator.directory.by_object_id(key) or call.emulator.directory.by_user_name(key)
    if user is None or user.kind != "User":
        raise not_found(key)
    return call.one(objects.show_user(user), "users")


async def organization(call: Call) -> Response:
    return call.many([objects.organization(call.emulator)], "organization")
