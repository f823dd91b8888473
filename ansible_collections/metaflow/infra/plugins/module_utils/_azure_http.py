# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to Azure's hosts: azure-core's pipeline with our retry rules, and one client that turns refusals into ApiError.

azure-core is imported where it is used: bad input is refused before that, and a missing library is told of like other bad input.
"""

from __future__ import annotations

import json
import typing as t
import urllib.parse

from ._azure_errors import TRANSIENT, Transient, api_error, passing, unreachable
from ._azure_ids import title
from ._errors import ApiError
from ._graph import WORKERS
from ._wait import Deadline, intervals

T = t.TypeVar("T")
Report = t.Callable[[str, str], None]
SERVER_ERRORS = 4
METHODS = frozenset(["HEAD", "GET", "PUT", "PATCH", "DELETE"])  # making the same call twice does no harm


def adapter() -> t.Any:
    """What sends; one connection for each thread is kept. Tests put their own here."""
    from requests.adapters import HTTPAdapter

    return HTTPAdapter(pool_maxsize=WORKERS)


def transport() -> t.Any:
    """azure-core's transport on that, for Azure's hosts and for Entra alike."""
    import requests
    from azure.core.pipeline.transport import RequestsTransport

    session = requests.Session()
    session.mount("https://", adapter())
    return RequestsTransport(session=session, connection_timeout=20, read_timeout=180)


def retry_policy(deadline: Deadline, report: Report) -> t.Any:
    """azure-core's rules, but throttling is waited for as long as the module may take, and whoever waits is told.

    A conflict (409) is not repeated here, even with a Retry-After: whether it passes depends on its code, see TRANSIENT.
    """
    from azure.core.pipeline.policies import RetryPolicy

    class Retry(RetryPolicy[t.Any, t.Any]):
        def is_retry(self, settings: dict[str, t.Any], response: t.Any) -> bool:
            status = response.http_response.status_code
            if status == 429:
                return True
            failures = [h for h in settings["history"] if h.http_response is not None and h.http_response.status_code != 429]
            repeatable = status == 408 or status >= 500
            return repeatable and len(failures) < SERVER_ERRORS and bool(super().is_retry(settings, response))

        def sleep(self, settings: dict[str, t.Any], transport: t.Any, response: t.Any = None) -> None:
            pause = self.get_retry_after(response) if response is not None else None
            pause = max(pause or self.get_backoff_time(settings), 0.5)
            what = title_of(response.http_request) if response is not None else "Azure"
            state = f"answered {response.http_response.status_code}" if response is not None else "no connection"
            report(what, f"{state}, again in {max(pause, 1):.0f} s")
            deadline.sleep(pause, what, state)

    policy = Retry(retry_total=10_000, retry_status=10_000, retry_backoff_max=30)
    policy._method_whitelist = METHODS
    return policy


class Client:
    """One host of Azure's. Every call carries a token, is repeated where that helps, and ends with JSON or ApiError."""

    def __init__(self, base: str, scope: str, credential: t.Any, deadline: Deadline, report: Report, carrier: t.Any) -> None:
        from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        self.base, self.credential, self.deadline, self.report, self.scope = base, credential, deadline, report, scope
        token = ARMChallengeAuthenticationPolicy(credential, scope)
        policies = [RequestIdPolicy(), UserAgentPolicy("metaflow.infra"), retry_policy(deadline, report), token]
        self.pipeline: ARMPipelineClient[t.Any, t.Any] = ARMPipelineClient(base, policies=policies, transport=carrier)

    def send(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, str] | None = None,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        *,
        during: str = "",
        **options: t.Any,
    ) -> t.Any:
        """One call; the pipeline's answer, from which operations can be followed. :raises ApiError: for 400 and above, or no answer."""
        from azure.core.exceptions import AzureError, HttpResponseError
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https://") else self.base + urllib.parse.quote(path, safe="/()='$,:@!")
        request = HttpRequest(method, url, params=dict(query or {}) or None, json=body, headers=dict(headers or {}))
        try:
            answer = self.pipeline.send_request(request, _return_pipeline_response=True, **options)
        except HttpResponseError as error:
            raise self.refusal(error.response, during) if error.response else unreachable(self.base, reason_of(error), during) from None
        except AzureError as error:
            raise unreachable(self.base, reason_of(error), during) from None
        if answer.http_response.status_code >= 400:
            raise self.refusal(answer.http_response, during)
        return answer

    def json(self, method: str, path: str, query: t.Mapping[str, str] | None = None, body: t.Any = None, **options: t.Any) -> t.Any:
        """One call; what its answer holds, None where that is empty."""
        return content(self.send(method, path, query, body, **options).http_response)

    def repeated(self, call: t.Callable[[], T], what: str, table: t.Iterable[Transient] = TRANSIENT) -> T:
        """Make a call again while it fails with what passes by itself. :raises ApiError: the last one, once its limit or the time is over."""
        table, first_seen = list(table), dict[Transient, float]()
        for pause in intervals(2, 30):
            try:
                return call()
            except ApiError as error:
                row, wait, now = passing(error, table), error.retry_after or pause, self.deadline.elapsed
                if row is None or wait > self.deadline.left:
                    raise
                if row.limit is not None and now + wait > first_seen.setdefault(row, now) + row.limit:
                    raise
                self.report(what, f"{row.code}, again in {wait:.0f} s")
                self.deadline.clock.sleep(wait)
        raise AssertionError("the pauses never end")

    def pages(self, path: str, query: t.Mapping[str, str] | None = None, **options: t.Any) -> list[dict[str, t.Any]]:
        """All of a list that comes in pages (nextLink of Resource Manager, @odata.nextLink of Graph)."""
        found: list[dict[str, t.Any]] = []
        next_page: str | None = path
        while next_page:
            page = self.json("GET", next_page, query, **options) or {}
            found += page.get("value", [])
            next_page, query = page.get("nextLink") or page.get("@odata.nextLink"), None
        return found

    def refusal(self, response: t.Any, during: str) -> ApiError:
        return api_error(response.status_code, content(response), {k.lower(): v for k, v in response.headers.items()}, during)


def content(response: t.Any) -> t.Any:
    """JSON of an answer, its text where it is none, None where it is empty."""
    text = response.text() if response.content else ""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def title_of(request: t.Any) -> str:
    """Method and thing of a request, without its query: that of an operation is signed."""
    path = urllib.parse.urlsplit(request.url).path
    return f"{request.method} {title(path) if path.lower().startswith('/subscriptions/') else path}"


def reason_of(error: Exception) -> str:
    return str(getattr(error, "message", None) or error).splitlines()[0]
