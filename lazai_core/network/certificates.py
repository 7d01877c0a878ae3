"""TLS certificates that live as long as the process. They say nothing by themselves: `hello` binds them to node keys.

TLS asks a client for its certificate only where it can check who issued it. So all certificates are issued by one
authority whose key everybody knows: that check always passes, and both ends see each other's certificate.
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509 import Certificate

_AUTHORITY_SEED = sha256(b"lazai/network/authority/v1: a key that everybody knows").digest()
# A machine without a clock must be able to join: the certificate's age is no part of the trust.
_FROM, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_AUTHORITY_NAME, _NODE_NAME = "lazai everyone", "lazai node"


@frozen(kw_only=True)
class Credentials:
    """Both TLS contexts of a node, and the SHA-256 of the certificate that they show."""

    server: ssl.SSLContext = field(repr=False)
    client: ssl.SSLContext = field(repr=False)
    fingerprint: bytes


def make_credentials() -> Credentials:
    """A fresh key, its certificate, and contexts that speak TLS 1.3 only and want a certificate of the other end."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    authority_key = Ed25519PrivateKey.from_private_bytes(_AUTHORITY_SEED)
    authority = _certificate(authority_key, _AUTHORITY_NAME, authority_key, is_authority=True)
    key = Ed25519PrivateKey.generate()
    certificate = _certificate(key, _NODE_NAME, authority_key, is_authority=False)
    encoding = serialization.Encoding
    key_text = key.private_bytes(
        encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = certificate.public_bytes(encoding.PEM)
    trusted = authority.public_bytes(encoding.PEM).decode("ascii")
    with tempfile.TemporaryDirectory(prefix="lazai-tls-") as folder:
        # The ssl module reads keys from files only; the folder is this user's alone and gone at once.
        path = Path(folder, "node.pem")
        path.touch(mode=0o600)
        path.write_bytes(key_text + chain)
        server, client = (
            _context(protocol, path, trusted) for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
        )
    return Credentials(
        server=server, client=client, fingerprint=sha256(certificate.public_bytes(encoding.DER)).digest()
    )


def _context(protocol: int, path: Path, trusted: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted)
    context.load_cert_chain(path)
    # A resumed session would skip the certificates that the hello is bound to.
    context.options |= ssl.OP_NO_TICKET
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def _certificate(
    key: Ed25519PrivateKey, name: str, issuer_key: Ed25519PrivateKey, *, is_authority: bool
) -> Certificate:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    constraints = x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(_AUTHORITY_NAME))
        .public_key(key.public_key())
        .serial_number(1 if is_authority else x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, algorithm=None)
    )
