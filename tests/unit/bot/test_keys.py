"""A button's data is short, and comes back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.keys import Key, button, keyboard, rows

words = st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"]), max_size=8)


@given(kind=words, one=words, verb=words, argument=words)
def test_a_key_comes_back_as_it_was_written(kind: str, one: str, verb: str, argument: str) -> None:
    key = Key(kind, one, verb, argument)
    assert Key.read(str(key)) == key


@given(data=st.text(max_size=64))
def test_any_data_can_be_read(data: str) -> None:
    assert isinstance(Key.read(data), Key)


def test_an_argument_may_hold_the_mark_that_separates() -> None:
    assert Key.read("history|8||a|b").argument == "a|b"


def test_rows_are_filled_one_after_the_other() -> None:
    buttons = [button(str(number), Key("k", str(number))) for number in range(7)]
    assert [len(row) for row in rows(buttons)] == [3, 3, 1]


def test_a_keyboard_leaves_empty_rows_out() -> None:
    made = keyboard([], [button("a", Key("k", "1"))], [])
    assert made is not None
    assert len(made.inline_keyboard) == 1


def test_there_is_no_keyboard_without_buttons() -> None:
    assert keyboard([], []) is None
