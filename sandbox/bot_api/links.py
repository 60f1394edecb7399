"""Which addresses Telegram takes in links and buttons."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_OWN = ("tg", "ton", "tonsite")


def linked_user(address: str) -> int | None:
    """The user that a `tg://user?id=…` address names."""
    found = re.fullmatch(r"tg:(?://)?user\?id=(\d+)", address)
    return int(found.group(1)) if found else None


def checked_link(address: str) -> str | None:
    """The address as Telegram keeps it (with scheme and path); None where it takes it for no address, as `localhost`."""
    if address.partition(":")[0].lower() in _OWN and ":" in address:
        return address
    full = address if _SCHEME.match(address) and "://" in address else f"http://{address}"
    try:
        parts = urlsplit(full)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return None
    named = "." in host.strip(".") or ":" in host
    if parts.scheme.lower() not in {"http", "https"} or not named or re.search(r"\s", full):
        return None
    return full if parts.path or parts.query or parts.fragment else f"{full}/"
