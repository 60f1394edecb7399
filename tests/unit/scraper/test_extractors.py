"""Which yt-dlp is used, and what is kept of those that were fetched."""

from __future__ import annotations

import importlib.metadata
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from scraper.extractors import FreshExtractors, UpdateUnderWay, order_of, version_in, wanted_solver
from scraper.tools import inventory

OWN = importlib.metadata.version("yt-dlp")


@pytest.fixture
def extractors(tmp_path: Path) -> FreshExtractors:
    root = tmp_path / "extractors"
    root.mkdir()
    return FreshExtractors(root)


def a_release(extractors: FreshExtractors, version: str, *, solver: str | None = None, asks: str = "0.8.0") -> Path:
    """As much of one as is looked at."""
    place = extractors.root / version
    for name, of in (("yt-dlp", version), ("yt-dlp-ejs", solver)):
        if of is not None:
            about = place / f"{name.replace('-', '_')}-{of}.dist-info"
            about.mkdir(parents=True)
            (about / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {of}\nRequires-Dist: yt-dlp-ejs=={asks}; extra == 'default'\n"
            )
    return place


def test_without_a_choice_the_environments_own_is_used(extractors: FreshExtractors) -> None:
    a_release(extractors, "2030.1.1")
    assert extractors.chosen() is None


def test_what_is_chosen_is_used(extractors: FreshExtractors) -> None:
    place = a_release(extractors, "2030.1.1")
    extractors.choose(place)
    assert extractors.chosen() == place


@pytest.mark.parametrize("version", [OWN, "2020.1.1"])
def test_what_is_no_newer_than_the_environments_own_is_not_used(extractors: FreshExtractors, version: str) -> None:
    extractors.choose(a_release(extractors, version))
    assert extractors.chosen() is None
    assert not extractors.is_broken


@pytest.mark.parametrize("content", [b"", b"2030.1.1\n", b"../../somewhere\n", b"\xff\xfe\0", b"/etc\n"])
def test_a_choice_that_names_nothing_is_broken_and_not_used(extractors: FreshExtractors, content: bytes) -> None:
    (extractors.root / "current").write_bytes(content)
    assert extractors.chosen() is None
    assert extractors.is_broken


def test_a_choice_does_not_lead_out_of_the_directory(extractors: FreshExtractors) -> None:
    a_release(FreshExtractors(extractors.root.parent), "2030.1.1")
    (extractors.root / "current").write_text("../2030.1.1\n")
    assert extractors.chosen() is None


def test_every_choice_has_another_stamp(extractors: FreshExtractors) -> None:
    stamps = [extractors.stamp()]
    for version in ("2030.1.1", "2030.1.2"):
        extractors.choose(a_release(extractors, version))
        stamps.append(extractors.stamp())
    assert len(set(stamps)) == 3


def test_the_chosen_one_and_the_one_before_are_kept(extractors: FreshExtractors) -> None:
    first, second, third = (a_release(extractors, f"2030.1.{day}") for day in (1, 2, 3))
    extractors.choose(third, second)
    extractors.tidy()
    assert [place.exists() for place in (first, second, third)] == [False, True, True]


def test_one_that_is_used_is_kept_until_it_is_not(extractors: FreshExtractors) -> None:
    old = a_release(extractors, "2030.1.1")
    with extractors.used(old):
        extractors.tidy()
        assert old.exists()
    extractors.tidy()
    assert not old.exists()


def test_one_that_is_used_by_several_is_kept_until_the_last_is_done(extractors: FreshExtractors) -> None:
    old = a_release(extractors, "2030.1.1")
    with ExitStack() as stays:
        stays.enter_context(extractors.used(old))
        with extractors.used(old):
            pass
        assert not extractors.remove(old)


def test_one_that_is_gone_cannot_be_used(extractors: FreshExtractors) -> None:
    with pytest.raises(OSError, match="No such file"), extractors.used(extractors.root / "2030.1.1"):
        pass


def test_what_a_killed_update_left_goes(extractors: FreshExtractors) -> None:
    for name in (".new-abc", ".smoke-abc", ".gone-abc"):
        (extractors.root / name / "yt_dlp").mkdir(parents=True)
    half = extractors.root / ".current-abc"
    half.write_text("2030")
    os.utime(half, (0, 0))
    extractors.tidy()
    assert list(extractors.root.iterdir()) == []


def test_one_that_is_no_good_gives_way_to_the_one_before(extractors: FreshExtractors) -> None:
    good, bad = (a_release(extractors, f"2030.1.{day}") for day in (1, 2))
    extractors.choose(bad, good)
    extractors.withdraw(bad, good)
    assert extractors.chosen() == good
    assert not bad.exists()


def test_what_was_chosen_meanwhile_stays_chosen(extractors: FreshExtractors) -> None:
    good, bad, better = (a_release(extractors, f"2030.1.{day}") for day in (1, 2, 3))
    extractors.choose(better, bad)
    extractors.withdraw(bad, good)
    assert extractors.chosen() == better


def test_only_one_update_has_the_lock(extractors: FreshExtractors) -> None:
    with extractors.locked(), pytest.raises(UpdateUnderWay), extractors.locked():
        pass
    with extractors.locked():
        pass


def test_a_day_is_the_same_with_zeros_and_without() -> None:
    assert order_of("2030.01.09") == order_of("2030.1.9") < order_of("2030.1.10") < order_of("2030.1.10.232907.dev0")


def test_the_solver_scripts_are_those_that_the_release_asks_for(extractors: FreshExtractors) -> None:
    assert wanted_solver(a_release(extractors, "2030.1.1", asks="0.9.3")) == "0.9.3"


def test_the_inventory_tells_what_is_used(extractors: FreshExtractors) -> None:
    place = a_release(extractors, "2030.1.1", solver="0.9.0", asks="0.9.1")
    tools = {tool.name: tool for tool in inventory(place)}
    assert (tools["yt-dlp"].version, tools["yt-dlp"].path) == ("2030.1.1", str(place))
    assert (tools["yt-dlp-ejs"].version, tools["yt-dlp-ejs"].problem) == ("0.9.0", "this yt-dlp needs 0.9.1")
    assert version_in(None) == OWN
