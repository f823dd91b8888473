"""Access tokens as Entra signs them: made here, and verified here by everything that takes one."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import pathlib
import typing as t
import uuid

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ..certificates import write_secret
from ..clock import Clock
from .directory import Principal

LIFETIME = datetime.timedelta(seconds=3599)  # as Entra says for a service principal
Claims = dict[str, t.Any]


@dataclasses.dataclass
class TokenError(Exception):
    """Why a token was refused, in the words of Resource Manager (401)."""

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


class Tokens:
    """The tenant's signing key, kept in the state, and what is signed with it (RS256)."""

    def __init__(self, path: pathlib.Path, tenant_id: str, clock: Clock) -> None:
        self._tenant_id = tenant_id
        self._clock = clock
        if not path.exists():
            write_secret(path, _pem(rsa.generate_private_key(65537, 2048)))
        self._key = t.cast(rsa.RSAPrivateKey, serialization.load_pem_private_key(path.read_bytes(), None))
        der = self._key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA1())  # noqa: S303  # a name for the key, as Entra makes it; not a protection
        digest.update(der)
        self.key_id = base64.urlsafe_b64encode(digest.finalize()).rstrip(b"=").decode()

    @property
    def issuer(self) -> str:
        return f"https://sts.windows.net/{self._tenant_id}/"

    def jwks(self) -> dict[str, t.Any]:
        """The public keys, as the tenant's jwks_uri gives them."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "kid": self.key_id, "x5t": self.key_id, "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [key]}

    def issue(self, principal: Principal, audience: str, authentication: str = "1", lifetime: datetime.timedelta = LIFETIME, client: str = "") -> str:
        """An access token of `principal` for the resource `audience`.

        `authentication` is the appidacr claim: 0 = by a public client, 1 = with a secret, 2 = with an assertion or certificate. `client` is
        the application that a user signs in with.
        """
        now = int(self._clock.now().timestamp())
        claims: Claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "aio": base64.b64encode(uuid.uuid4().bytes).decode(),
            "appid": client or principal.app_id,
            "appidacr": authentication,
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal.object_id,
            "rh": "1.",
            "sub": principal.object_id,
            "tid": self._tenant_id,
            "uti": base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode(),
            "ver": "1.0",
        }
        if principal.resource_id:
            claims["xms_mirid"] = principal.resource_id
        if principal.kind == "User":
            claims |= {"idtyp": "user", "scp": "user_impersonation", "amr": ["pwd"], "name": principal.display_name}
            claims |= dict.fromkeys(("upn", "unique_name"), principal.user_name)
        return self._signed(claims)

    def issue_identity(self, user: Principal, client: str) -> str:
        """An id_token: who has signed in, for the application `client`."""
        now = int(self._clock.now().timestamp())
        claims: Claims = {
            "aud": client,
            "iss": f"https://login.microsoftonline.com/{self._tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + int(LIFETIME.total_seconds()),
            "name": user.display_name,
            "oid": user.object_id,
            "preferred_username": user.user_name,
            "sub": user.object_id,
            "tid": self._tenant_id,
            "ver": "2.0",
        }
        return self._signed(claims)

    def _signed(self, claims: Claims) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id, "x5t": self.key_id})

    def verify(self, authorization: str | None, audiences: t.Collection[str]) -> Claims:
        """The claims of the bearer token in an Authorization header, made for one of `audiences` (a final slash does not matter).

        Raises TokenError: no token, not one of this tenant's, for another audience, expired.
        """
        if not authorization:
            raise TokenError("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenError("AuthenticationFailed", "Authentication failed. The 'Authorization' header is provided in an invalid format.")
        try:
            options = t.cast(t.Any, {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False})
            claims: Claims = jwt.decode(token.strip(), self._key.public_key(), algorithms=["RS256"], options=options)
        except jwt.PyJWTError as error:
            raise TokenError("InvalidAuthenticationToken", "The access token is invalid.") from error
        now = self._clock.now()
        expiry = datetime.datetime.fromtimestamp(claims["exp"], datetime.UTC)
        if expiry <= now:
            message = f"The access token expiry UTC time '{_american(expiry)}' is earlier than current UTC time '{_american(now)}'."
            raise TokenError("ExpiredAuthenticationToken", message)
        if claims["aud"].rstrip("/").lower() not in {audience.rstrip("/").lower() for audience in audiences}:
            allowed = ",".join(f"'{audience}'" for audience in audiences)
            message = (
                f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. "
                f"It should exactly match with one of the allowed audiences {allowed}."
            )
            raise TokenError("InvalidAuthenticationTokenAudience", message)
        return claims


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def _american(moment: datetime.datetime) -> str:
    return f"{moment.month}/{moment.day}/{moment.year} {moment:%I:%M:%S %p}"
