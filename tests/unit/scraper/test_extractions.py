"""Which kept extractions may be used, and which are removed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from scraper import kept
from scraper.extractions import Extractions

ADDRESS = "https://site.example/watch"
NOW = 1_800_000_000.0


@pytest.fixture
def extractions(tmp_path: Path) -> Extractions:
    found = Extractions(tmp_path, kept_for=timedelta(minutes=10), most=3, now=lambda: NOW)
    found.sweep()
    return found


def kept_at(extractions: Extractions, address: str, moment: float, trust_class: str = "public") -> Path:
    path = extractions.place(address, trust_class)
    path.write_text("{}")
    os.utime(path, (moment, moment))
    return path


def test_one_is_fresh_for_ten_minutes(extractions: Extractions) -> None:
    path = kept_at(extractions, ADDRESS, NOW - 599)
    assert extractions.fresh(ADDRESS, "public") == path
    kept_at(extractions, ADDRESS, NOW - 601)
    assert extractions.fresh(ADDRESS, "public") is None


def test_one_from_the_future_is_not_fresh(extractions: Extractions) -> None:
    kept_at(extractions, ADDRESS, NOW + 60)
    assert extractions.fresh(ADDRESS, "public") is None


def test_one_is_for_its_address_and_its_trust_class_only(extractions: Extractions) -> None:
    kept_at(extractions, ADDRESS, NOW)
    assert extractions.fresh(f"{ADDRESS}?x", "public") is None
    assert extractions.fresh(ADDRESS, "account-1") is None


def test_the_name_of_its_file_does_not_give_the_address_away(extractions: Extractions) -> None:
    assert "site" not in extractions.place(ADDRESS, "public").name


def test_expired_ones_are_swept(extractions: Extractions) -> None:
    old, young = kept_at(extractions, "https://old.example/", NOW - 601), kept_at(extractions, ADDRESS, NOW - 1)
    extractions.sweep()
    assert (old.exists(), young.exists()) == (False, True)


def test_cleared_ones_are_gone_however_fresh(extractions: Extractions) -> None:
    kept_at(extractions, ADDRESS, NOW)
    extractions.clear()
    assert extractions.fresh(ADDRESS, "public") is None


def test_at_most_so_many_are_kept_and_the_oldest_goes(extractions: Extractions) -> None:
    paths = [kept_at(extractions, f"https://{number}.example/", NOW - number) for number in range(5)]
    extractions.sweep()
    assert [path.exists() for path in paths] == [True, True, True, False, False]


def test_what_yt_dlp_copied_from_the_format_it_took_is_not_kept(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    formats = [{"format_id": "1", "url": "https://x.example/1", "filesize": 5}]
    info = {
        "id": "x",
        "title": "t",
        "language": "de",
        "formats": formats,
        **formats[0],
        "requested_formats": formats,
        "__private": object(),
    }
    kept.write(place, info)
    found = kept.read(str(place))
    assert found is not None
    assert {"url", "format_id", "filesize", "requested_formats", "__private"}.isdisjoint(found)
    assert (found["formats"], found["language"]) == (formats, "de")


def test_of_a_medium_with_one_format_its_address_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    kept.write(place, {"id": "x", "title": "t", "url": "https://x.example/1", "ext": "mp4"})
    found = kept.read(str(place))
    assert found is not None
    assert found["url"] == "https://x.example/1"


def test_what_is_too_much_is_not_kept(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    kept.write(place, {"id": "x", "title": "x" * 17_000_000})
    assert kept.read(str(place)) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\udcff"])
def test_what_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    place = tmp_path / "x.json"
    place.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert kept.read(str(place)) is None
    assert kept.read(None) is None
