"""The emulator's own certificate authority, and the certificates of everything it runs."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import pathlib
import typing as t

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=800)  # Apple's and some other clients refuse more than 825 days
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class CertificateAuthority:
    """A CA of this emulator's own, made at first use and kept in `folder`.

    `key_path` (key and certificate, 0600) is laid out as mitmproxy expects it in its confdir, so that the proxy signs with the same CA.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.key_path = folder / "mitmproxy-ca.pem"
        self.ca_path = folder / "ca.pem"
        if not self.key_path.exists():
            self._create()
        pem = self.key_path.read_bytes()
        self._key = t.cast(Key, serialization.load_pem_private_key(pem, None))
        self._certificate = x509.load_pem_x509_certificate(pem)
        self.ca_pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        if not self.ca_path.exists():
            self.ca_path.write_text(self.ca_pem)

    @property
    def bundle_path(self) -> pathlib.Path:
        """The public roots that Python's clients trust, and this CA: what `REQUESTS_CA_BUNDLE` and its like are set to."""
        path = self.folder / "bundle.pem"
        content = f"{pathlib.Path(certifi.where()).read_text()}\n{self.ca_pem}"
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
        return path

    def issue(self, names: list[str], ips: t.Sequence[str] = ()) -> tuple[str, str]:
        """A server certificate for the host `names` and addresses `ips`, with its key, as PEM: (certificate, key).

        The same names give the same certificate again until a month before it ends. Raises ValueError where both lists are empty.
        """
        if not names and not ips:
            raise ValueError("a certificate needs a name or an address")
        digest = hashlib.sha256("\n".join([*names, "", *ips]).encode()).hexdigest()[:32]
        path = self.folder / f"{digest}.pem"
        if path.exists():
            pem = path.read_text()
            key_pem, _, _ = pem.partition("-----BEGIN CERTIFICATE-----")
            certificate_pem = pem[len(key_pem) :]
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            if certificate.not_valid_after_utc > _now() + datetime.timedelta(days=30):
                return certificate_pem, key_pem
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, [*names, *ips][0][:64])])
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        certificate = (
            _builder(subject, self._certificate.subject, key, LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        certificate_pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        key_pem = _key_pem(key).decode()
        write_secret(path, (key_pem + certificate_pem).encode())
        return certificate_pem, key_pem

    def _create(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud-emulator CA")])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key, LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        write_secret(self.key_path, _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))


def write_secret(path: pathlib.Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step (a reader sees the old or the new content, never half of it)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, lifetime: datetime.timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=2))
        .not_valid_after(_now() + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
