"""Which way to have a medium, when nobody says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.chat import Preferences
from service.choices import default_of, lower_than, remembered
from service.descriptions import Choice, Description, DescriptionKind
from service.selection import Selection

MB = 10**6


def video(height: int, size: int | None) -> Choice:
    return Choice(selection=Selection.of("video", quality=str(height)), size=size, height=height)


SOUND = Choice(selection=Selection.of("audio", "mp3"), size=5 * MB)
MP3 = Preferences(selection=Selection.of("audio", "mp3"))
NOTHING = Preferences()


def told(*choices: Choice, kind: DescriptionKind = DescriptionKind.MEDIUM) -> Description:
    return Description(kind=kind, extractor="site", id="1", title="T", choices=choices)


FILM = told(video(1080, 84 * MB), video(720, 40 * MB), video(360, 10 * MB), SOUND)


def quality(selection: Selection | None) -> str | None:
    return selection.quality if selection else None


def test_at_first_it_is_the_best_picture_that_telegram_takes() -> None:
    assert quality(default_of(FILM, NOTHING, 50 * MB)) == "720"


def test_with_room_it_is_the_best_there_is() -> None:
    assert quality(default_of(FILM, NOTHING, 2000 * MB)) == "1080"


def test_where_nothing_fits_it_is_the_smallest() -> None:
    assert quality(default_of(FILM, NOTHING, 1 * MB)) == "360"


def test_an_unknown_size_is_taken_to_fit() -> None:
    assert quality(default_of(told(video(1080, None), video(720, 1)), NOTHING, 50 * MB)) == "1080"


def test_what_was_chosen_last_is_an_upper_bound() -> None:
    preferred = Preferences(selection=Selection.of("video", quality="480"))
    assert quality(default_of(FILM, preferred, 50 * MB)) == "360"


def test_where_all_are_above_what_was_chosen_it_is_the_lowest() -> None:
    preferred = Preferences(selection=Selection.of("video", quality="360"))
    assert quality(default_of(told(video(1080, 1), video(720, 1)), preferred, 50 * MB)) == "720"


def test_whoever_wants_sound_gets_sound() -> None:
    assert default_of(FILM, MP3, 50 * MB) == MP3.selection


def test_where_there_is_only_sound_it_is_sound() -> None:
    assert default_of(told(SOUND), NOTHING, 50 * MB) == SOUND.selection


def test_a_medium_of_which_nothing_is_known_is_asked_for_as_video() -> None:
    assert default_of(told(), NOTHING, 50 * MB) == Selection.of("video")


def test_of_a_list_people_choose() -> None:
    assert default_of(told(kind=DescriptionKind.LIST), MP3, 50 * MB) is None


def test_a_post_of_pictures_is_wanted_as_it_is() -> None:
    assert default_of(told(kind=DescriptionKind.PICTURES), MP3, 50 * MB) == Selection.of("picture")


@given(
    sizes=st.lists(st.none() | st.integers(1, 100 * MB), min_size=1, max_size=6),
    limit=st.integers(1, 100 * MB),
    wanted=st.sampled_from([None, "1080", "360", "best"]),
)
def test_the_default_is_always_one_that_is_there_and_fits_if_any_that_is_wanted_does(
    sizes: list[int | None], limit: int, wanted: str | None
) -> None:
    made = [video(height, size) for height, size in zip((2160, 1440, 1080, 720, 480, 360), sizes, strict=False)]
    preferred = Preferences(selection=Selection.of("video", quality=wanted) if wanted else None)
    chosen = default_of(told(*made), preferred, limit)
    (found,) = [one for one in made if one.selection == chosen]
    bound = int(wanted) if wanted and wanted.isdigit() else 10**6
    right = [one for one in made if (one.height or 0) <= bound] or made[-1:]
    assert found in right
    assert (found.size or 0) <= limit or all((one.size or 0) > limit for one in right)


def test_the_next_one_down() -> None:
    assert lower_than(FILM, Selection.of("video", quality="1080")) == Selection.of("video", quality="720")


def test_below_the_lowest_picture_there_is_sound() -> None:
    assert lower_than(FILM, Selection.of("video", quality="360")) == SOUND.selection


def test_below_the_best_without_a_number_is_the_best_with_one() -> None:
    assert lower_than(FILM, Selection.of("video")) == Selection.of("video", quality="1080")


def test_below_sound_there_is_nothing() -> None:
    assert lower_than(FILM, SOUND.selection) is None
    assert lower_than(told(video(360, 1)), Selection.of("video", quality="360")) is None


def test_the_best_of_this_time_is_remembered_as_the_best() -> None:
    assert remembered(Selection.of("video", quality="1080"), FILM) == Selection.of("video")


def test_another_choice_is_remembered_as_it_is() -> None:
    assert remembered(Selection.of("video", quality="720"), FILM) == Selection.of("video", quality="720")
    assert remembered(SOUND.selection, FILM) == SOUND.selection
