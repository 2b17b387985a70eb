"""Encryption of a connection to PostgreSQL, and whom it trusts: libpq's rules, but without the need for a home folder.

The driver's own code fails for a user whose home folder cannot be read. It does so even if nothing in that folder is
needed. Here a file of the home folder counts only if it can be read. Files that the URL names have been checked before.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from worker.errors import PostgresLoginError

_HOME = Path(".postgresql")
_FROM_HOME = {"sslrootcert": "root.crt", "sslcrl": "root.crl", "sslcert": "postgresql.crt", "sslkey": "postgresql.key"}
_VERIFYING = ("verify-ca", "verify-full")
_OLDEST = "TLSv1.2"


def ways_to_encrypt(tls: Mapping[str, str]) -> tuple[ssl.SSLContext | bool, ...]:
    """Return the ways to connect, in the order to try them; False is without TLS.

    Args:
        tls: Options by libpq's names.

    Raises:
        PostgresLoginError: The options cannot be fulfilled.
    """
    mode = tls.get("sslmode", "prefer")
    if mode == "disable":
        return (False,)
    try:
        context = _context(mode, {**_found_at_home(), **tls})
    except OSError as error:
        reason = error.strerror or error
        raise PostgresLoginError(f"the files of TLS cannot be used ({reason}); accepted: PEM files") from error
    if mode == "allow":
        return False, context
    return (context, False) if mode == "prefer" else (context,)


def _context(mode: str, tls: Mapping[str, str]) -> ssl.SSLContext:
    """Return the driver's TLS context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _version(tls.get("ssl_min_protocol_version", _OLDEST))
    if "ssl_max_protocol_version" in tls:
        context.maximum_version = _version(tls["ssl_max_protocol_version"])
    context.check_hostname = mode == "verify-full"
    roots = tls.get("sslrootcert") if mode in {"require", *_VERIFYING} else None
    if mode in _VERIFYING and not roots:
        raise PostgresLoginError(
            f"sslmode={mode} needs the certificates of an authority; accepted: sslrootcert=FILE, sslrootcert=system "
            "for those of this machine, or ~/.postgresql/root.crt"
        )
    context.verify_mode = ssl.CERT_REQUIRED if roots else ssl.CERT_NONE
    if roots == "system":
        context.load_default_certs()
    elif roots:
        context.load_verify_locations(cafile=roots)
    if roots and "sslcrl" in tls:
        context.load_verify_locations(cafile=tls["sslcrl"])
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in tls:
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: tls.get("sslpassword", ""))
    if ssl.HAS_ALPN:
        context.set_alpn_protocols(["postgresql"])
    return context


def _found_at_home() -> dict[str, str]:
    """Return the files that libpq looks for in the home folder, if there is one and they can be read."""
    found = {}
    for name, file in _FROM_HOME.items():
        try:
            path = Path.home() / _HOME / file
            with path.open("rb"):
                found[name] = str(path)
        except (OSError, RuntimeError):  # no home folder, or no right to read it
            continue
    return found


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")]
