from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from service.errors import FetchFailed, GeoBlocked, InvalidSelection, MagpieError, fetch_failure
from service.media_url import MediaUrl
from service.model import STATUS_STEP, Job, JobStatus, Origin, Phase, Progress, Validators
from service.selection import FORMATS, QUALITIES, MediaType, Selection

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_job() -> Job:
    return Job(
        id=UUID(int=1),
        download_session_id=UUID(int=2),
        account_id=None,
        origin=Origin.API,
        url=MediaUrl.parse("https://example.com/1"),
        selection=Selection.of("audio"),
        created_at=NOW,
    )


def test_a_selection_has_defaults() -> None:
    assert Selection.of().key == "audio:mp3:best"
    assert Selection.of("video").key == "video:mp4:best"
    assert Selection.of("video", quality="1080p").quality == "1080"
    assert Selection.of("transcript", "srt", language="de").key == "transcript:srt:best:de"


@pytest.mark.parametrize("media_type", list(FORMATS))
def test_every_selection_survives_its_key(media_type: MediaType) -> None:
    for form in FORMATS[media_type]:
        for quality in QUALITIES[media_type]:
            selection = Selection.of(media_type, form, quality)
            assert Selection.from_key(selection.key) == selection


@pytest.mark.parametrize(
    ("given", "field", "accepted"),
    [
        (("music", None, None), "media_type", "audio, video, transcript, picture"),
        (("audio", "mp4", None), "format", "mp3, wav, flac, m4a, opus"),
        (("video", "mp4", "128k"), "quality", "best, 2160, 1440, 1080, 720, 480, 360, worst"),
    ],
)
def test_a_wrong_selection_names_the_field_and_what_is_accepted(given: tuple[str | None, ...], field: str, accepted: str) -> None:
    with pytest.raises(InvalidSelection) as wrong:
        Selection.of(given[0], given[1], given[2])
    assert wrong.value.field == field
    assert str(wrong.value) == f"{field} must be one of: {accepted}"


def test_every_change_of_a_job_raises_seq_and_one_of_its_status_past_all_progress_that_may_have_been_told() -> None:
    job = a_job()
    small = [job.moved(Progress(phase=Phase.DOWNLOADING)), job.identified("T", None)]
    of_status = [
        job.started(NOW),
        job.waiting("fetch"),
        job.queued_again(),
        job.under_way_again(),
        job.completed(NOW, 5),
        job.failed(NOW, "network", "x"),
        job.cancelled(NOW),
    ]
    assert {change.seq for change in small} == {2}
    assert {change.seq for change in of_status} == {1 + STATUS_STEP}


def test_a_change_leaves_the_old_job_alone() -> None:
    job = a_job()
    job.started(NOW)
    assert (job.status, job.seq) == (JobStatus.PENDING, 1)


def test_a_new_attempt_forgets_the_failure() -> None:
    again = a_job().started(NOW).failed(NOW, "network", "x").queued_again()
    assert (again.attempt, again.starts, again.error_code, again.ended_at) == (2, 0, None, None)


@pytest.mark.parametrize(
    ("downloaded", "total", "percent"), [(None, 10, None), (5, None, None), (5, 10, 50.0), (20, 10, 100.0), (0, 0, None)]
)
def test_percent(downloaded: int | None, total: int | None, percent: float | None) -> None:
    assert Progress(phase=Phase.DOWNLOADING, downloaded=downloaded, total=total).percent == percent


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Validators(etag="a", length=1), Validators(etag="a", length=1), True),
        (Validators(etag="a", length=1), Validators(etag="b", length=1), False),
        (Validators(etag="a", length=1), Validators(last_modified="x", length=1), False),
        (Validators(last_modified="x", length=1), Validators(last_modified="x", length=1), True),
        (Validators(last_modified="x"), Validators(last_modified="x"), False),
        (Validators(length=1), Validators(length=1), False),
        (Validators(etag="a", length=1), Validators(etag="a", length=2), False),
    ],
)
def test_validators_agree_only_on_evidence(one: Validators, other: Validators, same: bool) -> None:  # noqa: FBT001 - a table's column
    assert one.agrees_with(other) is same


def test_a_failure_is_found_by_its_code() -> None:
    assert isinstance(fetch_failure("geo_blocked"), GeoBlocked)
    assert str(fetch_failure("geo_blocked")) == GeoBlocked.__doc__
    assert type(fetch_failure("nothing known")) is FetchFailed
    assert str(fetch_failure("nothing known")) == "Download failed"


def test_every_error_has_a_code_of_its_own_and_a_sentence() -> None:
    def below(kind: type[MagpieError]) -> list[type[MagpieError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    kinds = [kind for kind in below(MagpieError) if kind.__module__ == "service.errors"]
    for kind in kinds:
        assert kind.__doc__
        assert "code" in vars(kind)
    codes = [kind.code for kind in kinds if kind.__name__ != "FetchAddressRefused"]
    assert len(codes) == len(set(codes))
