"""Certificates of an authority of the tests' own."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Issues what a server or a client shows; every call is a new key."""

    def __init__(self) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    def write(self, folder: Path) -> None:
        """cert.pem and key.pem of a server on 127.0.0.1, and ca.pem; other.pem is somebody else's key."""
        issued = self._ca.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
        other = self._ca.issue_cert("other.example", key_type=trustme.KeyType.ECDSA)
        (folder / "ca.pem").write_bytes(self._ca.cert_pem.bytes())
        (folder / "other.pem").write_bytes(other.private_key_pem.bytes())
        self.swap(folder, issued)

    def swap(self, folder: Path, issued: trustme.LeafCert | None = None) -> None:
        """Another certificate and key in the place of those there, each renamed into it."""
        issued = issued or self._ca.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
        for name, blob in (("cert.pem", issued.cert_chain_pems[0]), ("key.pem", issued.private_key_pem)):
            (folder / f"{name}.new").write_bytes(blob.bytes())
            (folder / f"{name}.new").replace(folder / name)

    def client(self, *names: str) -> ssl.SSLContext:
        """A client that trusts this authority, and bears these names where there are some."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        if names:
            self._ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA).configure_cert(context)
        return context
