from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY, generate_latest

from magpie.metrics import Meters
from service.media_url import MediaUrl
from service.model import Job, Origin, Phase, Progress
from service.selection import Selection

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_job(**more: Any) -> Job:
    return Job(
        id=UUID(int=1),
        download_session_id=UUID(int=2),
        account_id=None,
        origin=Origin.API,
        url=MediaUrl.parse("https://example.com/1"),
        selection=Selection.of("video"),
        created_at=NOON,
        **more,
    )


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def told(meters: Meters, name: str) -> list[str]:
    return [line for line in generate_latest(meters.registry).decode().splitlines() if line.startswith(name)]


def test_a_job_that_is_under_way_is_not_counted() -> None:
    meters = Meters()
    for job in (a_job(), a_job().started(NOON), a_job().started(NOON).moved(Progress(phase=Phase.DOWNLOADING))):
        meters.heard(job)
    assert told(meters, "magpie_jobs_ended_total") == []


def test_a_list_is_not_counted() -> None:
    meters = Meters()
    meters.heard(a_job(progress=Progress(phase=Phase.ITEMS)).completed(NOON, 0))
    assert told(meters, "magpie_jobs_ended_total") == []


def test_the_duration_is_the_time_that_it_ran_not_that_it_waited() -> None:
    meters = Meters()
    meters.heard(a_job().started(after(1000)).completed(after(1020), 7))
    assert told(meters, "magpie_job_duration_seconds_sum") == ['magpie_job_duration_seconds_sum{kind="video",status="completed"} 20.0']


def test_a_retry_that_was_cancelled_in_the_queue_has_not_run_since_the_first_try() -> None:
    meters = Meters()
    failed = a_job().started(NOON).failed(after(10), "network", "x")
    meters.heard(failed.queued_again().cancelled(after(100_000)))
    assert told(meters, "magpie_job_duration_seconds") == []


def test_failed_jobs_store_nothing() -> None:
    meters = Meters()
    under_way = a_job().started(NOON).moved(Progress(phase=Phase.DOWNLOADING, downloaded=50, total=100))
    meters.heard(under_way.failed(after(10), "network", "x"))
    assert told(meters, "magpie_jobs_stored_bytes_total") == []


def test_requests_are_added_up_and_streams_do_not_lengthen_the_average() -> None:
    meters = Meters()
    assert meters.request_figures.average_seconds is None
    for status, seconds in ((200, 0.25), (503, 0.75), (200, None)):
        meters.answered(method="GET", route="/x", status=status, seconds=seconds)
    figures = meters.request_figures
    assert (figures.total, figures.failed, figures.average_seconds) == (3, 1, 0.5)


def test_calls_to_telegram_and_their_waits_are_told_by_group() -> None:
    meters = Meters()
    meters.called("text", "flood")
    meters.waited("text", 2.0)
    assert told(meters, "magpie_telegram_calls_total") == ['magpie_telegram_calls_total{group="text",outcome="flood"} 1.0']
    assert told(meters, "magpie_telegram_wait_seconds_sum") == ['magpie_telegram_wait_seconds_sum{group="text"} 2.0']


@pytest.mark.parametrize("name", ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"])
def test_the_process_itself_is_measured(name: str) -> None:
    assert len(told(Meters(), f"{name} ")) == 1


def test_two_services_in_one_process_count_apart_and_nothing_is_global() -> None:
    one, other = Meters(), Meters()
    one.called("text", "ok")
    assert told(other, "magpie_telegram_calls_total") == []
    assert b"magpie_" not in generate_latest(REGISTRY)
