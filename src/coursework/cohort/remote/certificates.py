"""Certificates for the connections between scheduler, workers and the instructor's machine."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coursework.files import write_whole
from coursework.trouble import CourseError

VALID = timedelta(days=365)
CA, CERTIFICATE, KEY, CONFIGURATION = "ca.pem", "cert.pem", "key.pem", "dask.yaml"
# Python 3.13 refuses an authority that doesn't say what its key is for.
_SIGNS = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
    encipher_only=False, decipher_only=False,
)  # fmt: skip
# Clocks of machines differ a little.
_BEFORE = timedelta(hours=1)


def write_certificates(folder: Path) -> datetime:
    """Write a certificate that all machines of a run show each other, its key, and who signed it.

    The authority's own key is kept nowhere: nobody signs another one for a stranger.

    Args:
        folder: where they go, with the configuration that makes Dask use them there.

    Returns:
        When they expire.

    Raises:
        CourseError: a file of such a name is there already, or the folder cannot be written.
    """
    if there := [n for n in (CA, CERTIFICATE, KEY, CONFIGURATION) if (folder / n).exists()]:
        raise CourseError(
            f"{folder} holds {', '.join(there)} already.",
            why="machines that have earlier certificates refuse new ones",
            fix="course certificates NEW-FOLDER",
        )
    now = datetime.now(UTC)
    ends = now + VALID
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, name = _name("course grade: authority"), _name("course grade")
    signed = (
        _begun(issuer, issuer, authority, now, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS, critical=True)
        .sign(authority, hashes.SHA256())
    )
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    certificate = (
        _begun(name, issuer, key, now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(by, critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    kept = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / KEY, kept, mode=0o600)
        write_whole(folder / CA, signed.public_bytes(pem))
        write_whole(folder / CERTIFICATE, certificate.public_bytes(pem))
        write_whole(folder / CONFIGURATION, _configuration(folder.absolute()).encode())
    except OSError as error:
        raise CourseError(f"{folder} cannot be written.", why=str(error)) from error
    return ends


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _configuration(folder: Path) -> str:
    """Return Dask's configuration; JSON is YAML, too."""
    own = {"cert": str(folder / CERTIFICATE), "key": str(folder / KEY)}
    tls = {"ca-file": str(folder / CA), "scheduler": own, "worker": own, "client": own}
    comm = {"require-encryption": True, "default-scheme": "tls", "tls": tls}
    return json.dumps({"distributed": {"comm": comm}}, indent=2) + "\n"
