"""Refusals in the words of Entra."""

from __future__ import annotations


class EntraError(Exception):
    """A refusal in the words of Entra; `number` is that of AADSTS."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.number, self.message = status, error, number, message


def missing(parameter: str) -> EntraError:
    """A request without something that it needs."""
    return EntraError(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{parameter}'.")


def unknown_application(app_id: str, tenant_id: str) -> EntraError:
    """A client_id that the tenant has nothing for."""
    message = (
        f"Application with identifier '{app_id}' was not found in the directory '{tenant_id}'. This can happen if the application has not been "
        "installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to "
        "the wrong tenant."
    )
    return EntraError(400, "unauthorized_client", 700016, message)
