"""Texts of sites, made fit to be shown and stored."""

from __future__ import annotations

import re
from typing import Any

_MAX_TEXT = 1000
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")


def clean(text: Any) -> str:
    """Without what cannot be seen, and not longer than 1,000 characters."""
    # Written in UTF-8 later: a lone surrogate must not get that far.
    return _UNSEEN.sub(" ", str(text)).encode("utf-8", "replace").decode("utf-8").strip()[:_MAX_TEXT]
