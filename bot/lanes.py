"""Which calls go first, and which of them Telegram counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Lane(IntEnum):
    """What a call is for: the lower number goes first."""

    ANSWER = 0
    """Button answers, reactions, chat actions and all else that is no message. Telegram does not count them."""
    DELIVERY = 1
    TEXT = 2
    PROGRESS = 3
    """Only ever asked for. An edit in this lane may be left out when a newer call for its message comes."""


@dataclass(frozen=True, slots=True)
class Within:
    """A call that is made soon or not at all: `TimeoutError` when its turn does not come within so many seconds."""

    seconds: float


DELIVERIES = frozenset(
    {
        "sendAnimation",
        "sendAudio",
        "sendDocument",
        "sendLivePhoto",
        "sendMediaGroup",
        "sendPaidMedia",
        "sendPhoto",
        "sendVideo",
        "sendVideoNote",
        "sendVoice",
        "copyMessage",
        "copyMessages",
        "forwardMessage",
        "forwardMessages",
        "editMessageMedia",
    }
)
DELETES = frozenset({"deleteMessage", "deleteMessages"})
NEVER_HELD = frozenset({"setWebhook", "deleteWebhook", "logOut", "close"})


def default_lane(endpoint: str) -> Lane | None:
    """The lane of a Bot API method; None when its calls are never held (`getUpdates`, `getFile`, `setWebhook`, …)."""
    if endpoint.startswith("get") or endpoint in NEVER_HELD:
        return None
    if endpoint in DELIVERIES:
        return Lane.DELIVERY
    if endpoint in DELETES or is_edit(endpoint) or (endpoint.startswith("send") and endpoint != "sendChatAction"):
        return Lane.TEXT
    return Lane.ANSWER


def is_edit(endpoint: str) -> bool:
    return endpoint.startswith(("editMessage", "stopPoll", "stopMessage"))


def messages_counted(endpoint: str, arguments: Mapping[str, Any]) -> int:
    """How many messages Telegram counts for this call: an edit is one, an album as many as it has parts."""
    if endpoint == "sendMediaGroup":
        return max(1, _length(arguments.get("media")))
    if endpoint in {"copyMessages", "forwardMessages"}:
        return max(1, _length(arguments.get("message_ids")))
    counted = endpoint not in DELETES and default_lane(endpoint) not in {None, Lane.ANSWER}
    return 1 if counted else 0


def messages_changed(endpoint: str, arguments: Mapping[str, Any]) -> frozenset[int | str]:
    """The ids of the messages that this call edits or deletes."""
    if not (is_edit(endpoint) or endpoint in DELETES):
        return frozenset()
    one = arguments.get("message_id", arguments.get("inline_message_id"))
    several = arguments.get("message_ids", ())
    return frozenset(several if one is None else (one,))


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sequence) else 1
