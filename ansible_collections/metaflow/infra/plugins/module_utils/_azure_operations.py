# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long-running operations, followed by azure-core's rules (Azure-AsyncOperation, Location, provisioningState, in this order)."""

from __future__ import annotations

import typing as t

from ._azure_errors import unreachable
from ._azure_http import Client, content, reason_of
from ._wait import intervals


def polling_of(client: Client, what: str) -> t.Any:
    """ARMPolling with our clock and deadline, shorter pauses than its 30 s where the service asks for none, and word to the user."""
    from azure.mgmt.core.polling.arm_polling import ARMPolling

    pauses = intervals(1, 15)

    class Polling(ARMPolling):
        def _extract_delay(self) -> float:
            return super()._extract_delay() or next(pauses)

        def _sleep(self, delay: float) -> None:
            client.report(what, self.status())
            client.deadline.sleep(delay, what, self.status())

    # A network that is gone for a minute does not end an operation of an hour.
    return Polling(timeout=0, lro_options={"final-state-via": "azure-async-operation"}, retry_connect=8, retry_read=8)


def follow(client: Client, answer: t.Any, what: str, during: str) -> t.Any:
    """Wait until the operation that `answer` began is over; the resource as it is then, None where there is none.

    :raises ApiError: with the operation's own error where it fails.
    :raises Timeout: at the client's deadline.
    """
    from azure.core.exceptions import AzureError, HttpResponseError

    if complete(answer.http_response):
        return content(answer.http_response)
    polling = polling_of(client, what)
    try:
        polling.initialize(client.pipeline, answer, lambda last: content(last.http_response))
        polling.run()
    except HttpResponseError as error:
        raise client.refusal(error.response, during) from None
    except AzureError as error:
        raise unreachable(client.base, reason_of(error), during) from None
    return polling.resource()


def complete(response: t.Any) -> bool:
    """Whether the answer is the resource itself, without word of an operation: a synchronous 201, which azure-core would read once more."""
    body = content(response)
    if response.status_code not in (200, 201) or "Azure-AsyncOperation" in response.headers or "Location" in response.headers:
        return False
    return isinstance(body, dict) and "id" in body and "provisioningState" not in (body.get("properties") or {})
