"""Keyboards below a message."""

from __future__ import annotations

from typing import Any

from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.links import checked_link
from sandbox.bot_api.values import Json

_DATA_BYTES = 64
_BUTTONS, _IN_A_ROW = 100, 8
_ACTIONS = (
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
)  # fmt: skip
_OTHERS = ("keyboard", "remove_keyboard", "force_reply")


def check_markup(markup: Json | None) -> Json | None:
    """The inline keyboard as it is kept with the message, None where there is none. Raises `Refused`."""
    if not markup or any(name in markup for name in _OTHERS):
        return None
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("object expected as reply markup")
    kept = [[_button(button) for button in row] for row in rows if row]
    if sum(map(len, kept)) > _BUTTONS or any(len(row) > _IN_A_ROW for row in kept):
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": kept} if kept else None


def _button(button: Any) -> Json:
    if not isinstance(button, dict) or "text" not in button:
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    text = str(button["text"]).strip()
    if not text:
        raise bad_request("inline keyboard button text must be non-empty")
    chosen = [name for name in _ACTIONS if name in button]
    if not chosen:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    kept = {**button, "text": text}
    if "callback_data" in button:
        size = len(str(button["callback_data"]).encode())
        if not 0 < size <= _DATA_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
    if "url" in button:
        link = checked_link(str(button["url"]))
        if link is None:
            raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
        kept["url"] = link
    return kept


def buttons(message: Json) -> list[Json]:
    """Every button below the message, row by row."""
    markup = message.get("reply_markup") or {}
    return [button for row in markup.get("inline_keyboard", []) for button in row]
