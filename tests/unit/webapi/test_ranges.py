from __future__ import annotations

import pytest

from webapi.ranges import Slice, wanted


def ask(headers: dict[str, str], *, size: int = 100, method: str = "GET") -> tuple[int, int, int]:
    found = wanted(method, headers, etag="abc", size=size)
    return found.status, found.start, found.end


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bytes=0-9", (206, 0, 10)),
        ("bytes=90-", (206, 90, 100)),
        ("bytes=90-1000", (206, 90, 100)),
        ("bytes=-10", (206, 90, 100)),
        ("bytes=-1000", (206, 0, 100)),
        ("Bytes = 1-1", (206, 1, 2)),
        ("bytes=0-" + "9" * 4000, (206, 0, 100)),
        ("bytes=100-", (416, 0, 0)),
        ("bytes=-0", (416, 0, 0)),
        ("bytes=" + "9" * 4000 + "-", (416, 0, 0)),
        ("bytes=9-1", (200, 0, 100)),
        ("bytes=-", (200, 0, 100)),
        ("bytes=a-b", (200, 0, 100)),
        ("bytes=0-1,5-6", (200, 0, 100)),
        ("bytes=0-" + "9" * 5000, (200, 0, 100)),
        ("lines=0-1", (200, 0, 100)),
        ("bytes=\u0660-\u0661", (200, 0, 100)),
    ],
)
def test_one_range_is_served_and_what_is_none_is_ignored(given: str, expected: tuple[int, int, int]) -> None:
    assert ask({"Range": given}) == expected


def test_an_empty_file_has_no_ranges() -> None:
    assert ask({}, size=0) == (200, 0, 0)
    assert ask({"Range": "bytes=0-"}, size=0) == (416, 0, 0)
    assert ask({"Range": "bytes=-5"}, size=0) == (416, 0, 0)


def test_head_has_no_ranges() -> None:
    assert ask({"Range": "bytes=0-9"}, method="HEAD") == (200, 0, 100)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"abc"'}, 304),
        ({"If-None-Match": 'W/"abc"'}, 304),
        ({"If-None-Match": '"x", "abc"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"abcd"'}, 200),
        ({"If-None-Match": "abc"}, 200),
        ({"If-Match": '"abc"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": 'W/"abc"'}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": '"x"', "If-None-Match": '"abc"'}, 412),
        ({"If-None-Match": '"abc"', "Range": "bytes=0-1"}, 304),
        ({"If-Range": '"abc"', "Range": "bytes=0-1"}, 206),
        ({"If-Range": '"x"', "Range": "bytes=0-1"}, 200),
        ({"If-Range": 'W/"abc"', "Range": "bytes=0-1"}, 200),
        ({"If-Range": "Sat, 21 Nov 2026 06:05:08 GMT", "Range": "bytes=0-1"}, 200),
    ],
)
def test_conditions_compare_entity_tags(headers: dict[str, str], status: int) -> None:
    assert ask(headers)[0] == status


def test_the_length_is_what_lies_between() -> None:
    assert Slice(status=200, start=3, end=10).length == 7  # type: ignore[arg-type] # any status does
