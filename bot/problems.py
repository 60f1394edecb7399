"""From what went wrong to what can be done about it. Messages of errors never reach the chat: only their codes do."""

from __future__ import annotations

import math
from datetime import timedelta
from enum import Enum, auto

from bot.texts import Texts
from service.errors import (
    AccountNotFound,
    AlreadyPaired,
    CardGone,
    Conflict,
    CookiesNotFound,
    DownloadSessionNotFound,
    LastSuperuser,
    LimitReached,
    MagpieError,
    NotFound,
    NotPaired,
    NotYours,
    Vanished,
)


class Remedy(Enum):
    """The one thing that a failure offers."""

    AGAIN = auto()
    LOWER = auto()
    OTHER = auto()
    SEND = auto()


_REMEDIES = {
    "too_large": Remedy.LOWER,
    "time_limit": Remedy.LOWER,
    "format_unavailable": Remedy.OTHER,
    "no_subtitles": Remedy.OTHER,
    "ffmpeg": Remedy.OTHER,
    "clip_outside": Remedy.OTHER,
    "too_long": Remedy.OTHER,
    "not_accepted": Remedy.OTHER,
    "chat_gone": Remedy.SEND,
    "not_delivered": Remedy.SEND,
    "may_be_there": Remedy.SEND,
    "file_gone": Remedy.AGAIN,
}


QUOTAS = frozenset({"daily_jobs_reached", "daily_bytes_reached", "storage_full"})
"""Codes of what is refused only for the time being."""


def remedy_for(code: str | None) -> Remedy:
    return _REMEDIES.get(code or "", Remedy.AGAIN)


def notice_of(error: MagpieError, texts: Texts) -> str:
    """What the answer to a button, or to a command, says."""
    match error:
        case LimitReached():
            code = error.code if error.code in texts.failures else LimitReached.code
            return refusal(code, getattr(error, "retry_after", None), texts)
        case AlreadyPaired() | LastSuperuser() | AccountNotFound() | CookiesNotFound() | DownloadSessionNotFound() | NotPaired():
            return texts.failure(error.code)
        case _:
            return _of_family(error, texts)


def _of_family(error: MagpieError, texts: Texts) -> str:
    match error:
        case CardGone() | Vanished():
            return texts.gone
        case NotYours():
            return texts.not_yours
        case Conflict():
            return texts.already
        case NotFound():
            return texts.no_longer_stored
        case _:
            return texts.failure(error.code)


def refusal(code: str | None, opens_in: timedelta | None, texts: Texts) -> str:
    """The sentence for this code and, where it is known, when to come back."""
    sentence = texts.failure(code)
    return f"{sentence} {texts.come_back.format(time=span(opens_in))}" if opens_in is not None else sentence


def span(wait: timedelta) -> str:
    """`3:20 h`, `12 min`: rounded up, so that whoever comes then does not come too early."""
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"  # noqa: PLR2004 - minutes of an hour
