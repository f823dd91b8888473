"""The keys and certificates of a cluster: its own authority, what it signs, and the key of the service account tokens."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import pathlib
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..certificates import write_secret

LIFETIME = datetime.timedelta(days=3650)
CLIENT_LIFETIME = datetime.timedelta(days=730)  # as in the kubeconfigs of AKS
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class ClusterAuthority:
    """The authority that signs everything of one cluster, and the service account key; both are made at first use and kept in `folder`."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.ca_path, self.ca_key_path = folder / "ca.crt", folder / "ca.key"
        self.account_key_path, self.account_public_path = folder / "sa.key", folder / "sa.pub"
        if not self.ca_path.exists():
            self._create()
        self._key = t.cast(Key, serialization.load_pem_private_key(self.ca_key_path.read_bytes(), None))
        self._certificate = x509.load_pem_x509_certificate(self.ca_path.read_bytes())
        self.ca_pem = self.ca_path.read_text()

    def client(self, user: str, groups: t.Sequence[str] = ()) -> tuple[str, str]:
        """A client certificate for `user` in `groups` with its key, as PEM: (certificate, key)."""
        name = [*(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups), x509.NameAttribute(NameOID.COMMON_NAME, user)]
        return self._issue(x509.Name(name), [], CLIENT_LIFETIME, ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, names: t.Sequence[str], ips: t.Sequence[str]) -> tuple[str, str]:
        """A server certificate called `name` for host `names` and addresses `ips`, usable between servers of the cluster too: (certificate, key)."""
        alternatives = [*(x509.DNSName(host) for host in names), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips)]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._issue(subject, alternatives, LIFETIME, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

    def write(self, name: str, pair: tuple[str, str]) -> tuple[str, str]:
        """Keep a certificate and its key as `name`.crt and `name`.key; returns the two paths."""
        paths = (self.folder / f"{name}.crt", self.folder / f"{name}.key")
        for path, pem in zip(paths, pair, strict=True):
            write_secret(path, pem.encode())
        return str(paths[0]), str(paths[1])

    def jwks(self) -> dict[str, t.Any]:
        """The public key of the service account tokens, as the API server publishes it at /openid/v1/jwks."""
        public = t.cast(rsa.RSAPublicKey, serialization.load_pem_public_key(self.account_public_path.read_bytes()))
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        numbers = public.public_numbers()
        key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": key_id, "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}]}

    def _issue(
        self, subject: x509.Name, alternatives: list[x509.GeneralName], lifetime: datetime.timedelta, *uses: x509.ObjectIdentifier
    ) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._certificate.subject, key, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key).decode()

    def _create(self) -> None:
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only", "key_encipherment", "digital_signature"),
            False,
        )
        certificate = (
            _builder(name, name, key, LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .sign(key, hashes.SHA256())
        )
        account = rsa.generate_private_key(65537, 2048)
        write_secret(self.account_key_path, _pem(account))
        public = account.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_secret(self.account_public_path, public)
        write_secret(self.ca_key_path, _pem(key))
        write_secret(self.ca_path, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, lifetime: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _pem(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
