"""Basic authentication against bcrypt hashes: verdicts are kept, passwords are not; the slow half is for a worker's thread."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping

MAX_KEPT = 100
MAX_PASSWORD_BYTES = 72
# Who has no account is compared with this, as long as those who have one: the answer's time tells no names.
NOBODY = b"$2b$10$XNZgsC2NKtzXFUMkHHDjluBSZBv47jqLqBdSS7W9eKq3xGcQkZcnS"


class Passwords:
    """Users and their hashes, with the verdicts of late; a change of users is another object."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        self._users = dict(users)
        self._secret = os.urandom(32)
        # Apart, so that a flood of wrong passwords takes no right one's verdict away.
        self._good: dict[bytes, None] = {}
        self._bad: dict[bytes, None] = {}

    def key(self, authorization: str) -> bytes:
        """What stands for a header where it must be kept; nobody can compute it, or read a password from it."""
        return hmac.new(self._secret, authorization.encode("latin-1", "replace"), hashlib.sha256).digest()

    def known(self, authorization: str) -> bool | None:
        """The verdict, where it can be had at once."""
        if not self._users:
            return True
        if _credentials(authorization) is None:
            return False
        key = self.key(authorization)
        return True if key in self._good else (False if key in self._bad else None)

    def examined(self, authorization: str) -> bool:
        """The verdict, worked out: tenths of a second of a processor."""
        import bcrypt

        credentials = _credentials(authorization)
        if credentials is None:
            return False
        user, password = credentials
        given = self._users.get(user)
        # bcrypt cannot take more, and must be kept busy all the same.
        fits = len(password) <= MAX_PASSWORD_BYTES
        matches = bcrypt.checkpw(password if fits else b"", given or NOBODY)
        admitted = matches and fits and given is not None
        kept = self._good if admitted else self._bad
        kept[self.key(authorization)] = None
        if len(kept) > MAX_KEPT:
            del kept[next(iter(kept))]
        return admitted


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
        user, colon, password = decoded.partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
