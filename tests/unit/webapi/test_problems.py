"""What callers read of an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.errors import LimitReached, Unavailable
from webapi.problems import problem_of


@pytest.mark.parametrize(("seconds", "said"), [(0.001, "1"), (1.2, "2"), (60.4, "61"), (90, "90")])
@pytest.mark.parametrize("kind", [LimitReached, Unavailable])
def test_whoever_comes_back_when_told_does_not_come_too_early(kind: type[LimitReached | Unavailable], seconds: float, said: str) -> None:
    problem = problem_of(kind(retry_after=timedelta(seconds=seconds)))
    assert problem is not None
    assert problem.headers["Retry-After"] == said
