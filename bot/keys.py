"""What stands in a button's data: at most 64 bytes, so ids and short words only. The state is in the database."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

A_ROW = 3


class Verb:
    """What a card's button does."""

    PICK = "p"
    """The choice with this number."""
    SELECTION = "q"
    """This selection, by its key."""
    SUBTITLES = "l"
    LANGUAGE = "t"
    """The language with this number."""
    RANGE = "r"
    CANCEL = "x"
    WAIT = "w"
    AGAIN = "a"
    LOWER = "d"
    OTHER = "o"
    SEND = "s"
    BACK = "b"
    WATCH = "v"
    """Make a link of the list."""


@dataclass(frozen=True, slots=True)
class Key:
    """A button's data, taken apart: `card|abc|p|3`, `history|8|cats`."""

    kind: str
    id: str
    verb: str = ""
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.kind}|{self.id}|{self.verb}|{self.argument}".rstrip("|")

    @classmethod
    def read(cls, data: str) -> Key:
        kind, one, verb, argument = [*data.split("|", 3), "", "", ""][:4]
        return cls(kind, one, verb, argument)


def button(label: str, key: Key) -> InlineKeyboardButton:
    return InlineKeyboardButton(label, callback_data=str(key))


def rows(buttons: list[InlineKeyboardButton], a_row: int = A_ROW) -> list[list[InlineKeyboardButton]]:
    waiting = iter(buttons)
    return list(iter(lambda: list(islice(waiting, a_row)), []))


def keyboard(*lines: list[InlineKeyboardButton]) -> InlineKeyboardMarkup | None:
    """None where there is no button."""
    full = [line for line in lines if line]
    return InlineKeyboardMarkup(full) if full else None
