"""Texts that are kept encrypted where they may hold a credential."""

from __future__ import annotations

from functools import lru_cache

from service.errors import NeedsReentry
from service.media_url import MediaUrl
from service.ports import Vault
from storage.vault import UnreadableSecret

SEALED = "sealed:"
REENTRY = f"{SEALED}needs_reentry"
"""What stands where a secret was whose key is not here."""


class LostSecret(UnreadableSecret, NeedsReentry):
    """This was encrypted with a key that is not here any more; give it again."""


@lru_cache(maxsize=1024)
def _parsed(text: str) -> MediaUrl:
    return MediaUrl.parse(text)


class Sealing:
    """Without a vault, texts are kept as they are."""

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault

    def seal(self, text: str) -> str:
        return text if self._vault is None else SEALED + self._vault.encrypt(text).decode()

    def open(self, text: str) -> str:
        """Raises `UnreadableSecret`; as `NeedsReentry` too, where an import found that its key is not here."""
        if text == REENTRY:
            raise LostSecret
        if self._vault is not None and text.startswith(SEALED):
            return self._vault.decrypt(text.removeprefix(SEALED).encode())
        return text

    def seal_url(self, url: MediaUrl) -> str:
        """An address that may be a credential is encrypted; another stays readable."""
        return self.seal(url.text) if url.is_secret else url.text

    def open_url(self, text: str) -> MediaUrl:
        return MediaUrl.parse(self.open(text)) if text.startswith(SEALED) else _parsed(text)
