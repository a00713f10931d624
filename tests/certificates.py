"""Certificates of an authority of the tests' own."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

import trustme


class Authority:
    """Issues what a server or a client shows; every call is a new key."""

    def __init__(self) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    def write(self, folder: Path) -> None:
        """cert.pem and key.pem of a server on 127.0.0.1, and ca.pem; other.pem is somebody else's key."""
        other = self._ca.issue_cert("other.example", key_type=trustme.KeyType.ECDSA)
        (folder / "ca.pem").write_bytes(self._ca.cert_pem.bytes())
        (folder / "other.pem").write_bytes(other.private_key_pem.bytes())
        self.swap(folder)

    def swap(self, folder: Path, between: Callable[[], None] = lambda: None) -> bytes:
        """Another certificate and then its key in the place of those there, each renamed into it; the certificate, as DER."""
        issued = self._ca.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
        certificate = issued.cert_chain_pems[0].bytes()
        _rename_into(folder / "cert.pem", certificate)
        between()
        _rename_into(folder / "key.pem", issued.private_key_pem.bytes())
        return ssl.PEM_cert_to_DER_cert(certificate.decode())

    def swap_at_once(self, folder: Path) -> bytes:
        """The same as the kubelet does it: the files are links into the folder `..data`, a link that is renamed into place."""
        aside = Path(tempfile.mkdtemp(prefix="..", dir=folder))
        shown = self.swap(aside)
        (folder / "..data.new").symlink_to(aside.name)
        (folder / "..data.new").replace(folder / "..data")
        for name in ("cert.pem", "key.pem"):
            if not (folder / name).is_symlink():
                (folder / f"{name}.new").symlink_to(f"..data/{name}")
                (folder / f"{name}.new").replace(folder / name)
        return shown

    def client(self, *names: str) -> ssl.SSLContext:
        """A client that trusts this authority, and bears these names where there are some."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        if names:
            self._ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA).configure_cert(context)
        return context


def _rename_into(file: Path, content: bytes) -> None:
    aside = file.with_name(f"{file.name}.new")
    aside.write_bytes(content)
    aside.replace(file)
