"""Which way to have a medium, when nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.chat import Preferences
from service.descriptions import Choice, Description, DescriptionKind
from service.selection import Clip, MediaType, Selection


def part_of(told: Description, clip: Clip | None) -> Description:
    """With the sizes that a clip has, about."""
    if clip is None or not told.duration:
        return told
    share = min(1.0, clip.duration / told.duration)
    choices = tuple(one if one.size is None else replace(one, size=round(one.size * share), is_estimate=True) for one in told.choices)
    return replace(told, choices=choices)


def default_of(told: Description, preferences: Preferences, limit: int) -> Selection | None:
    """What starts by itself: what was chosen last, else the best picture; of pictures the best that fits into `limit` bytes.

    None where people have to choose: a list.
    """
    if told.kind is DescriptionKind.LIST:
        return None
    if told.kind is DescriptionKind.PICTURES:
        return Selection.of(MediaType.PICTURE)
    wanted = preferences.selection
    if wanted is not None and wanted.media_type is MediaType.AUDIO:
        return wanted
    videos = [one for one in told.choices if one.selection.media_type is MediaType.VIDEO]
    if not videos:
        sound = next((one for one in told.choices if one.selection.media_type is MediaType.AUDIO), None)
        return sound.selection if sound else Selection.of(MediaType.VIDEO)
    highest = int(wanted.quality) if wanted and wanted.quality.isdigit() else None
    right = [one for one in videos if highest is None or one.height is None or one.height <= highest] or videos[-1:]
    fitting = [one for one in right if one.size is None or one.size <= limit]
    return (fitting or [smallest(right)])[0].selection


def smallest(choices: Sequence[Choice]) -> Choice:
    return min(choices, key=lambda one: one.size if one.size is not None else 0)


def lower_than(told: Description, selection: Selection) -> Selection | None:
    """The next one down, or sound where there is no smaller picture."""
    videos = [one.selection for one in told.choices if one.selection.media_type is MediaType.VIDEO]
    if selection.media_type is not MediaType.VIDEO:
        return None
    place = next((number for number, one in enumerate(videos) if one.quality == selection.quality), -1)
    if place + 1 < len(videos):
        return videos[place + 1]
    return next((one.selection for one in told.choices if one.selection.media_type is MediaType.AUDIO), None)


def remembered(selection: Selection, told: Description) -> Selection:
    """What is kept of a choice: the best picture there is stays "the best", whatever that was this time."""
    videos = [one.selection for one in told.choices if one.selection.media_type is MediaType.VIDEO]
    if selection.media_type is MediaType.VIDEO and videos and selection.quality == videos[0].quality:
        return Selection.of(MediaType.VIDEO)
    return Selection.of(selection.media_type, selection.format, selection.quality)
