"""Links that open one thing for a while, to whoever holds them."""

from __future__ import annotations

from datetime import timedelta

from service.errors import LinkExpired, LinkInvalid
from service.ports import Clock, Vault

MEDIA, STATUS, EVENTS = "media", "status", "events"
"""What a link may be good for: one made for one purpose opens nothing else."""

MAX_DIGITS = 12


class SignedLinks:
    """Signs a path together with its expiry, its purpose and the file's epoch."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault, self._clock = vault, clock

    def sign(self, path: str, *, purpose: str, ttl: timedelta, epoch: int = 0) -> str:
        """The query that opens the path: `?e=EXPIRY&s=SIGNATURE`. `path` is not percent-encoded."""
        expiry = int((self._clock.now() + ttl).timestamp())
        return f"?e={expiry}&s={self._vault.sign(purpose, _text(path, expiry, epoch))}"

    def check(self, path: str, *, purpose: str, expiry: str, signature: str, epoch: int = 0) -> None:
        """Raises `LinkInvalid` for a wrong signature and `LinkExpired` for a right one that is too old."""
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= MAX_DIGITS):
            raise LinkInvalid
        if not self._vault.verify(purpose, _text(path, int(expiry), epoch), signature):
            raise LinkInvalid
        if int(expiry) < self._clock.now().timestamp():
            raise LinkExpired


def _text(path: str, expiry: int, epoch: int) -> str:
    return f"{path.rstrip('/')}\n{expiry}\n{epoch}"
