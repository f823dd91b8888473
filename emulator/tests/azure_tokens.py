"""Reading tokens as a stranger would: with the published keys alone."""

from __future__ import annotations

import typing as t

import jwt


def decoded(token: str, jwks: dict[str, t.Any]) -> dict[str, t.Any]:
    """The claims of a token whose signature fits the keys of a JWKS document."""
    wanted = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in jwks["keys"] if key["kid"] == wanted)
    return jwt.decode(token, jwt.PyJWK(key).key, algorithms=["RS256"], options={"verify_aud": False})
