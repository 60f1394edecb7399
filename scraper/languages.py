"""In which languages a medium can be read: what people wrote, then what a machine heard of the medium's own language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scraper.transcripts import readable

_MOST = 60


def languages_of(info: Mapping[str, Any]) -> list[str]:
    """Codes that `transcripts.choose` finds again. Machine translations are left out."""
    written = list(readable(info.get("subtitles")))
    families = {_family(code) for code in written}
    heard = [code.removesuffix("-orig") for code in _own(info, list(readable(info.get("automatic_captions"))))]
    return [*written, *(code for code in dict.fromkeys(heard) if _family(code) not in families)][:_MOST]


def _own(info: Mapping[str, Any], automatic: list[str]) -> list[str]:
    """Those of the language that is spoken. A site marks it so, or says it of the sound; or there is but one."""
    marked = [code for code in automatic if code.endswith("-orig")]
    if marked or len(automatic) == 1:
        return marked or automatic
    spoken = _spoken(info)
    return [code for code in automatic if spoken is not None and _family(code) == _family(spoken)][:1]


def _spoken(info: Mapping[str, Any]) -> str | None:
    if info.get("language"):
        return str(info["language"])
    sounds = [one for one in info.get("formats") or () if one.get("acodec") != "none" and one.get("language")]
    best = max(sounds, key=lambda one: one.get("language_preference") or -1, default=None)
    return None if best is None else str(best["language"])


def _family(code: str) -> str:
    return code.lower().replace("_", "-").partition("-")[0]
