# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking Azure which machine sizes can be had, and trying them in order. What is decided from the answers is in `_azure_compute`."""

from __future__ import annotations

import dataclasses
import typing as t

from ._azure_compute import Choice, Quota, Size, Wish, choose, normalized, nothing_fits, quota_of, sizes_of
from ._azure_failures import size_failure
from ._errors import ApiError, InputError
from ._graph import all_of

if t.TYPE_CHECKING:
    from ._azure_client import Azure
    from ._run import Run

Json = dict[str, t.Any]
SKUS_API: t.Final = "2021-07-01"
USAGES_API: t.Final = "2024-07-01"
# Not being allowed to ask says nothing about what may be made.
UNKNOWN: t.Final = frozenset({"AuthorizationFailed", "MissingSubscriptionRegistration", "SubscriptionNotRegistered"})


@dataclasses.dataclass(frozen=True)
class Offer:
    """What a region has for this subscription; None where Azure would not say."""

    location: str
    sizes: t.Mapping[str, Size] | None = None
    quota: Quota | None = None

    def choose(self, wish: Wish) -> Choice:
        """See `_azure_compute.choose`. Where nothing is known of the sizes, each may be tried."""
        if self.sizes is None:
            return Choice(wish.sizes, ())
        return choose(wish, self.sizes, self.quota or Quota({}), self.location)

    def less(self, size: str, count: int) -> Offer:
        """What is left for others once so many machines of the size run."""
        known = (self.sizes or {}).get(size.lower())
        return self if known is None or self.quota is None else dataclasses.replace(self, quota=self.quota.less(known, count))


def read_offer(run: Run, azure: Azure, location: str) -> Offer:
    """Ask for the region's sizes and quotas, at once. A warning where asking isn't allowed."""
    here = normalized(location)
    compute = f"/subscriptions/{azure.subscription_id}/providers/Microsoft.Compute"
    calls: dict[str, tuple[str, Json]] = {
        "VM sizes": (f"{compute}/skus", {"api-version": SKUS_API, "$filter": f"location eq '{here}'"}),
        "VM quotas": (f"{compute}/locations/{here}/usages", {"api-version": USAGES_API}),
    }

    def ask(what: str) -> list[Json] | None:
        try:
            return azure.pages(*calls[what], during=f"read the {what} of {here}")
        except ApiError as error:
            if not UNKNOWN & set(error.codes):
                raise
            reason = "before Microsoft.Compute is registered" if "AuthorizationFailed" not in error.codes else f"as they may not be read. {error}"
            run.warn(f"The {what} of {here} are not checked, {reason}")
            return None

    answers = all_of(calls, ask)
    skus, usages = answers["VM sizes"], answers["VM quotas"]
    return Offer(here, None if skus is None else sizes_of(skus, here), None if usages is None else quota_of(usages))


class Trial:
    """Sizes tried one after another until one can be had. `attempts` tells of each: its size and why it failed (None: it didn't)."""

    def __init__(self, run: Run, what: str, choice: Choice, location: str) -> None:
        self.run, self.what, self.location = run, what, location
        self.usable = choice.usable
        self.taken = ""
        self.refused = list(choice.refused)
        self.attempts: list[Json] = [{"vm_size": size, "error": f"not tried: {reason}"} for size, reason in choice.refused]

    def first_that_works(self, make: t.Callable[[str], Json], clean: t.Callable[[ApiError], None]) -> Json:
        """Call `make(size)` in order; after a failure that another size may help, `clean(failure)` what is left and go on.

        :raises InputError: where none was worth trying, :raises ApiError: where each failed; both list each size with its reason.
        """
        last: ApiError | None = None
        for size in self.usable:
            self.run.report(self.what, f"creating with {size}")
            try:
                made = make(size)
            except ApiError as error:
                reason = size_failure(error.codes, str(error))
                self.attempts.append({"vm_size": size, "error": str(error)})
                if reason is None:
                    raise
                self.refused.append((size, reason))
                self.run.report(self.what, f"{size} {reason}")
                last = error
                clean(error)
            else:
                self.attempts.append({"vm_size": size, "error": None})
                self.taken = size
                return made
        sentence = nothing_fits(self.what, self.location, self.refused)
        if last is None:
            raise InputError(sentence)
        hint = "Ask for the quota named, or name sizes of other families in vm_sizes, or take another region."
        raise ApiError(last.status, last.code, sentence, last.request_id, hint=hint)
