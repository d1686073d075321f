"""A certificate and its key for servers that are measured with TLS: made here, signed by itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_DAYS = 30
# Clocks of hosts differ.
VALID_BEFORE_DAYS = 1
OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Certificate(msgspec.Struct, frozen=True):
    """Both in PEM; the key in PKCS #8, which every server reads. Never part of results."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Certificate({len(self.certificate)} bytes, key hidden)"


def make_certificate(names: Iterable[str]) -> Certificate:
    """For a server that is reached by ``names`` (addresses or host names), and by loopback.

    The key is of the curve P-256: its signatures cost a server little, so that a handshake is no measure of
    RSA. Clients trust it by having it, as its own authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "asgibench")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=VALID_BEFORE_DAYS))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(list(_alternatives(names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _alternatives(names: Iterable[str]) -> Iterator[x509.GeneralName]:
    for name in dict.fromkeys((*OWN_NAMES, *names)):
        try:
            yield x509.IPAddress(ipaddress.ip_address(name.partition("%")[0]))
        except ValueError:
            yield x509.DNSName(name)
