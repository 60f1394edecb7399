"""Keeps secrets. Every secret passes here before it reaches a row; keys rotate."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SIGNATURE_BYTES = 16
MIN_KEY_LENGTH = 16


class UnreadableSecret(Exception):
    """The secret was encrypted with a key that is no longer given."""


class MultiFernetVault:
    """The first key encrypts and signs; all of them decrypt and verify."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        """Each key is any text of at least 16 characters. Raises `ValueError` for none or a shorter one."""
        if not secret_keys or any(len(key) < MIN_KEY_LENGTH for key in secret_keys):
            raise ValueError("a secret key needs at least 16 characters")
        self._keys = tuple(key.encode() for key in secret_keys)
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, "encrypt"))) for key in self._keys])
        self._signing: dict[str, tuple[bytes, ...]] = {}

    @property
    def fingerprint(self) -> str:
        """Names the first key without giving it away."""
        return hashlib.sha256(_derived(self._keys[0], "fingerprint")).hexdigest()[:16]

    def encrypt(self, secret: str) -> bytes:
        return self._fernet.encrypt(secret.encode())

    def decrypt(self, token: bytes) -> str:
        """Raises `UnreadableSecret`."""
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken as wrong:
            raise UnreadableSecret from wrong

    def rotate(self, token: bytes) -> bytes:
        """The same secret under the first key. Raises `UnreadableSecret`."""
        try:
            return self._fernet.rotate(token)
        except InvalidToken as wrong:
            raise UnreadableSecret from wrong

    def sign(self, purpose: str, text: str) -> str:
        """A signature of 128 bits, safe in an address. One made for another purpose does not verify."""
        return _mac(self.keys_for(purpose)[0], text)

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        given = signature.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(_mac(key, text).encode(), given) for key in self.keys_for(purpose))

    def keys_for(self, purpose: str) -> tuple[bytes, ...]:
        """256-bit keys for signing, newest first: the first one signs, all of them verify."""
        if purpose not in self._signing:
            self._signing[purpose] = tuple(_derived(key, f"sign:{purpose}") for key in self._keys)
        return self._signing[purpose]


def _derived(key: bytes, purpose: str) -> bytes:
    """One independent 256-bit key a purpose (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"magpie:{purpose}".encode()).derive(key)


def _mac(key: bytes, text: str) -> str:
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()[:SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def secret_keys_from(file: Path) -> tuple[str, ...]:
    """The keys in the file, newest first; made with mode 0600 when there is none. Raises `OSError`."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return tuple(line.strip() for line in file.read_text().splitlines() if line.strip())
    key = base64.urlsafe_b64encode(os.urandom(32)).decode()
    with os.fdopen(descriptor, "w") as new:
        new.write(key + "\n")
        new.flush()
        os.fsync(new.fileno())
    return (key,)
