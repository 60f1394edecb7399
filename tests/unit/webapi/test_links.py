"""What a request may say of a link."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from webapi.links import LinkChange


@pytest.mark.parametrize(("field", "value"), [("chat_id", 2**52), ("chat_id", -(2**52)), ("thread_id", 2**31), ("thread_id", 0)])
def test_a_chat_or_topic_that_telegram_could_not_have_is_refused(field: str, value: int) -> None:
    with pytest.raises(ValidationError):
        LinkChange.model_validate({field: value})


@pytest.mark.parametrize(("field", "value"), [("chat_id", 2**52 - 1), ("chat_id", 1 - 2**52), ("thread_id", 2**31 - 1), ("thread_id", 1)])
def test_a_chat_or_topic_of_telegram_is_taken(field: str, value: int) -> None:
    assert getattr(LinkChange.model_validate({field: value}), field) == value
