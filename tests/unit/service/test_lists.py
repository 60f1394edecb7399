"""A list's scope, and what its parent is told."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from service import lists
from service.descriptions import ListItem
from service.media_url import MediaUrl
from service.model import PUBLIC, Job, JobStatus, Origin, Phase
from service.selection import Selection

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def items(count: int) -> list[ListItem]:
    return [ListItem(url=MediaUrl.parse(f"https://example.com/{number}")) for number in range(count)]


def a_job(number: int = 1, **more: object) -> Job:
    return Job(
        id=UUID(int=number),
        download_session_id=UUID(int=9),
        account_id=1,
        origin=Origin.CHAT,
        url=MediaUrl.parse("https://example.com/list"),
        selection=Selection.of("video"),
        created_at=NOW,
        **more,  # type: ignore[arg-type]
    )


def test_a_parent_is_under_way_from_the_beginning_and_counts_items() -> None:
    parent = lists.parent_of(a_job(), "List", items(7))
    assert parent.is_list
    assert (parent.status, parent.progress.downloaded, parent.progress.total) == (JobStatus.PROCESSING, 0, 7)
    assert parent.progress.phase is Phase.ITEMS


def test_public_media_is_everybodys() -> None:
    assert lists.scope_of(1, UUID(int=9), is_secret=False) == PUBLIC


def test_what_a_secret_address_leads_to_is_its_accounts() -> None:
    assert lists.scope_of(1, UUID(int=9), is_secret=True) == "account:1"


def test_what_a_secret_address_leads_to_is_its_sessions_where_there_is_no_account() -> None:
    assert lists.scope_of(None, UUID(int=9), is_secret=True) == f"session:{UUID(int=9)}"


def test_a_list_with_a_good_item_ended_well() -> None:
    parent = lists.parent_of(a_job(), "List", items(2))
    well, badly = a_job(2).started(NOW).completed(NOW, 5), a_job(3).failed(NOW, "private", "x")
    assert lists._ended(parent, [badly, well], NOW).status is JobStatus.COMPLETED


def test_a_list_without_a_good_item_failed_as_its_first_did() -> None:
    parent = lists.parent_of(a_job(), "List", items(2))
    ended = lists._ended(parent, [a_job(2).cancelled(NOW), a_job(3).failed(NOW, "private", "x"), a_job(4).failed(NOW, "network", "y")], NOW)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "private")


def test_a_list_whose_items_were_all_cancelled_was_cancelled() -> None:
    parent = lists.parent_of(a_job(), "List", items(1))
    assert lists._ended(parent, [a_job(2).cancelled(NOW)], NOW).status is JobStatus.CANCELLED
