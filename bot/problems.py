"""From what went wrong to what can be done about it. Messages of errors never reach the chat: only their codes do."""

from __future__ import annotations

from enum import Enum, auto

from bot.texts import Texts
from service.errors import AlreadyChosen, CardGone, Conflict, LimitReached, MagpieError, NotFound, NotYours


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


def remedy_for(code: str | None) -> Remedy:
    return _REMEDIES.get(code or "", Remedy.AGAIN)


def notice_of(error: MagpieError, texts: Texts) -> str:
    """What the answer to a button, or to a command, says."""
    match error:
        case CardGone():
            return texts.gone
        case NotYours():
            return texts.not_yours
        case AlreadyChosen() | Conflict():
            return texts.already
        case LimitReached():
            return texts.failure("limit_reached")
        case NotFound():
            return texts.no_longer_stored
        case _:
            return texts.failure(error.code)
