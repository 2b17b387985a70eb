"""Certificates made by the tests, in files: an authority, a server, a client, and wrong ones."""

import datetime as dt
import ssl
from pathlib import Path

import trustme

from worker.embedded.loopback import HOST

_LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


class Pair:
    """A certificate and its key, in files."""

    def __init__(self, made: trustme.LeafCert, folder: Path, name: str) -> None:
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        self.certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(self.key))


class Authority:
    """An authority whose certificates are trusted by whoever trusts `file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._made = trustme.CA()
        self._folder = folder
        self._name = name
        self.file = folder / f"{name}.pem"
        self._made.cert_pem.write_to_path(str(self.file))

    def pair(self, host: str = HOST, *, is_over: bool = False) -> Pair:
        """Issue a certificate for a host or a client's name; one that `is_over` has expired."""
        ends = _LONG_AGO if is_over else None
        begins = _LONG_AGO - dt.timedelta(days=1) if is_over else None
        made = self._made.issue_cert(host, not_before=begins, not_after=ends)
        return Pair(made, self._folder, f"{self._name}-{host}{'-over' if is_over else ''}")

    def client_query(self) -> str:
        """Write the part of a Redis URL that trusts this authority and shows a certificate of it."""
        own = self.pair("worker")
        return f"ssl_ca_certs={self.file}&ssl_certfile={own.certificate}&ssl_keyfile={own.key}"

    def server_side(self, pair: Pair, *, asks_clients: bool = False) -> ssl.SSLContext:
        """Make what a server encrypts with; one that `asks_clients` takes only clients of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        if asks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context
