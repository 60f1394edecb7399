"""What a card looks like: text and buttons, from nothing but its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot import wording
from bot.keys import Key, Verb, button, keyboard, rows
from bot.problems import Remedy, refusal, remedy_for
from bot.texts import Texts
from service.chat import Card, CardState, Preferences
from service.choices import default_of, lower_than, part_of
from service.descriptions import Choice, Description, DescriptionKind
from service.media_url import MediaUrl
from service.model import Job, JobStatus, Phase, Progress
from service.selection import MediaType, Selection

MAX_CHOICES = 6
LIST_SELECTIONS = ("video:mp4:best", "video:mp4:720", "video:mp4:480", "audio:mp3:best")
WINDOWS = (5, 10, 25)
"""How many items a list's buttons offer to take from its ends."""


@dataclass(frozen=True, slots=True)
class View:
    """What is to be seen."""

    text: str
    keyboard: InlineKeyboardMarkup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a card's looks depend on besides itself."""

    texts: Texts
    preferences: Preferences
    upload_limit: int
    job: Job | None = None
    ahead: int | None = None
    """How many jobs are before this one in the queue."""
    children: tuple[Job, ...] = ()
    arrived: int = 0
    """How many of a list's items the chat has."""
    had: frozenset[str] = field(default_factory=frozenset)
    """The selections in which the asker has this medium already."""
    menu: str = ""
    """Which of its menus is open."""
    opens_in: timedelta | None = None
    """Of what a quota refused: how long until the asker may ask again. None where it may be done now."""


def view_of(card: Card, now: Situation) -> View:
    """The card's looks in whatever state it is."""
    match card.state:
        case CardState.LOOKING:
            return View(f"{_source(card.url)}\n{now.texts.looking} …")
        case CardState.OFFERED:
            return _offer(card, now)
        case CardState.ORDERED:
            return _under_way(card, now)
        case CardState.FAILED:
            return _failure(card, now)
        case CardState.DISMISSED:
            return View(f"{_head(card, now)}\n\n{now.texts.stopped}", keyboard([_do(card, Verb.AGAIN, now.texts.start_again)]))
        case CardState.DELIVERED:
            return _delivered(card, now)


def caption_of(card: Card, job: Job, *, length: str | None) -> str:
    """Under a file: title, source, duration."""
    about = " · ".join(part for part in (wording.escaped(job.artist or "", 80), length) if part)
    lines = [f"<b>{wording.escaped(job.title or job.url.host)}</b>", about, _source(job.url, _clip_text(card))]
    return "\n".join(line for line in lines if line)


def file_keyboard(card: Card, texts: Texts) -> InlineKeyboardMarkup | None:
    """Under a delivered file."""
    if card.description is not None and card.description.kind is not DescriptionKind.MEDIUM:
        return None
    return keyboard([_do(card, Verb.OTHER, texts.other_formats)])


# --- before ---------------------------------------------------------------------------------------------------------


def _offer(card: Card, now: Situation) -> View:
    assert card.description is not None
    told = part_of(card.description, card.clip)
    head = _head(card, now)
    if now.menu == Verb.SUBTITLES:
        buttons = [_do(card, Verb.LANGUAGE, language, str(n)) for n, language in enumerate(told.languages[:24])]
        return View(f"{head}\n\n{now.texts.subtitles_choose}", keyboard(*rows(buttons), [_do(card, Verb.BACK, now.texts.back)]))
    if told.kind is DescriptionKind.LIST:
        return _list_offer(card, told, now)
    cancel = _do(card, Verb.CANCEL, now.texts.cancel)
    if told.kind is DescriptionKind.PICTURES:
        get = _do(card, Verb.SELECTION, now.texts.pictures_get, Selection.of(MediaType.PICTURE).key)
        return View(f"{head}\n\n{_what_next(card, told, now)}", keyboard([get], [cancel]))
    return View(f"{head}\n\n{_what_next(card, told, now)}", keyboard(*_choices(card, told, now), _extras(card, told, now), [cancel]))


def _what_next(card: Card, told: Description, now: Situation) -> str:
    default = default_of(told, now.preferences, now.upload_limit) if card.starts_at else None
    if default is None:
        return now.texts.choose
    if told.kind is DescriptionKind.PICTURES:
        return now.texts.starts_soon.format(choice=now.texts.pictures_get)
    choice = next((one for one in told.choices if one.selection == default), Choice(selection=default))
    return now.texts.starts_soon.format(choice=wording.escaped(_label(choice)))


def _choices(card: Card, told: Description, now: Situation) -> list[list[InlineKeyboardButton]]:
    numbered = list(enumerate(told.choices))
    videos = [(n, one) for n, one in numbered if one.selection.media_type is MediaType.VIDEO][:MAX_CHOICES]
    sounds = [(n, one) for n, one in numbered if one.selection.media_type is MediaType.AUDIO]

    def pick(number: int, choice: Choice) -> InlineKeyboardButton:
        mark = "✓ " if choice.selection.key in now.had else ""
        return _do(card, Verb.PICK, mark + _label(choice), str(number))

    return [*rows([pick(n, one) for n, one in videos], 2), *rows([pick(n, one) for n, one in sounds], 2)]


def _extras(card: Card, told: Description, now: Situation) -> list[InlineKeyboardButton]:
    extras = []
    if told.languages and card.clip is None:
        extras.append(_do(card, Verb.SUBTITLES, now.texts.subtitles))
    if card.starts_at is not None:
        extras.append(_do(card, Verb.WAIT, now.texts.wait))
    return extras


def _label(choice: Choice) -> str:
    name = wording.selection_name(choice.selection, choice.height)
    if choice.size is None:
        return name
    return f"{name} · {'≈ ' if choice.is_estimate else ''}{wording.size(choice.size)}"


def _list_offer(card: Card, told: Description, now: Situation) -> View:
    total = len(told.items)
    last = card.range_to or total
    chosen = now.texts.range_chosen.format(first=card.range_from, last=last)
    text = f"{_head(card, now)}\n{chosen}\n\n{now.texts.range_help}"
    windows = [count for count in WINDOWS if count < total]
    first = [_do(card, Verb.RANGE, now.texts.range_first.format(count=count), f"1-{count}") for count in windows]
    ends = [_do(card, Verb.RANGE, now.texts.range_last.format(count=count), f"{total - count + 1}-{total}") for count in windows]
    whole = [_do(card, Verb.RANGE, now.texts.range_all.format(count=total), f"1-{total}")]
    kinds = [_do(card, Verb.SELECTION, _list_label(key, now), key) for key in LIST_SELECTIONS]
    last_row = [_do(card, Verb.CANCEL, now.texts.cancel)]
    if told.extractor:  # a list that is somewhere, and not just the links of one message
        last_row.insert(0, _do(card, Verb.WATCH, now.texts.watch_button))
    return View(text, keyboard(first, ends, whole, *rows(kinds, 2), last_row))


def _list_label(key: str, now: Situation) -> str:
    selection = Selection.from_key(key)
    if selection == Selection.of(MediaType.VIDEO):
        return f"🎬 {now.texts.settings_best}"
    return wording.selection_name(selection)


# --- under way ------------------------------------------------------------------------------------------------------


def _under_way(card: Card, now: Situation) -> View:
    job, texts = now.job, now.texts
    cancel = keyboard([_do(card, Verb.CANCEL, texts.cancel)])
    if job is None:
        return View(_head(card, now), cancel)
    if job.is_list:
        return View(f"{_head(card, now)}\n\n{_items_line(now)}", cancel)
    if job.status is JobStatus.COMPLETED:
        size = job.progress.total
        return View(f"{_head(card, now)}\n\n{texts.uploading}{f' · {wording.size(size)}' if size else ''} …", cancel)
    return View(f"{_head(card, now)}\n\n{_progress(job, now)}", cancel)


def _progress(job: Job, now: Situation) -> str:
    texts, state = now.texts, job.progress
    if job.status is JobStatus.PENDING and state.phase is not Phase.WAITING:
        return texts.queued_behind.format(ahead=now.ahead) if now.ahead else texts.queued
    words = {
        Phase.QUEUED: texts.queued,
        Phase.WAITING: texts.waiting,
        Phase.LOOKING: texts.looking,
        Phase.CONVERTING: texts.converting,
        Phase.STORING: texts.storing,
        Phase.BACKING_OFF: texts.backing_off,
    }
    if state.phase is not Phase.DOWNLOADING:
        return f"{words.get(state.phase, texts.queued)} …"
    return _download_line(state, texts)


def _download_line(state: Progress, texts: Texts) -> str:
    parts = []
    if state.percent is not None:
        parts.append(f"{wording.bar(state.percent)} {state.percent:.0f} %")
    if state.downloaded is not None:
        so_far = wording.size(state.downloaded)
        parts.append(texts.of_total.format(done=so_far, total=wording.size(state.total)) if state.total else so_far)
    if state.speed:
        parts.append(f"{wording.size(round(state.speed))}/s")
    if state.eta is not None and state.eta >= 1:
        parts.append(texts.left.format(time=wording.clock(state.eta)))
    return f"{texts.downloading}\n" + " · ".join(parts)


def _items_line(now: Situation) -> str:
    failed = sum(child.status is JobStatus.FAILED for child in now.children)
    line = now.texts.items_done.format(done=now.arrived, count=len(now.children))
    return f"{line}, {now.texts.items_failed.format(failed=failed)}" if failed else line


# --- afterwards -----------------------------------------------------------------------------------------------------


def _failure(card: Card, now: Situation) -> View:
    job = now.job
    lines = [_head(card, now), "", f"⚠️ {refusal(card.error_code, now.opens_in, now.texts)}"]
    if job is not None:
        lines.append(f"<code>{now.texts.job.format(id=str(job.id)[:8])}</code>")
    else:
        lines.append(f"<code>{now.texts.job.format(id=card.id[:8])}</code>")
    return View("\n".join(lines), keyboard([_remedy(card, now)]))


def _remedy(card: Card, now: Situation) -> InlineKeyboardButton:
    remedy = remedy_for(card.error_code)
    if remedy is Remedy.LOWER and card.description and now.job and lower_than(card.description, now.job.selection):
        return _do(card, Verb.LOWER, now.texts.lower_quality)
    if remedy is Remedy.OTHER and card.description:
        return _do(card, Verb.OTHER, now.texts.other_formats)
    if remedy is Remedy.SEND:
        return _do(card, Verb.SEND, now.texts.send_again)
    return _do(card, Verb.AGAIN, now.texts.try_again)


def _delivered(card: Card, now: Situation) -> View:
    if now.job is not None and now.job.is_list:
        well = sum(child.status is JobStatus.COMPLETED for child in now.children)
        text = f"{_head(card, now)}\n\n{now.texts.list_done.format(done=well, count=len(now.children))}"
        missing = any(child.status is not JobStatus.COMPLETED for child in now.children)
        return View(text, keyboard([_do(card, Verb.AGAIN, now.texts.try_again)]) if missing else None)
    return View(f"{_head(card, now)}\n\n{now.texts.done}", file_keyboard(card, now.texts))


# --- parts ----------------------------------------------------------------------------------------------------------


def _head(card: Card, now: Situation) -> str:
    told = card.description
    if told is None:
        title = now.job.title if now.job else None
        return f"<b>{wording.escaped(title)}</b>\n{_source(card.url)}" if title else _source(card.url)
    about = [wording.escaped(told.artist or "", 80)]
    if told.duration is not None:
        about.append(wording.duration(told.duration))
    if told.kind is DescriptionKind.LIST:
        about.append(_count(told, now.texts))
    if told.kind is DescriptionKind.PICTURES and told.count:
        about.append(now.texts.pictures.format(count=told.count))
    is_batch = told.kind is DescriptionKind.LIST and not told.extractor
    title = now.texts.batch_title.format(count=told.count) if is_batch else wording.escaped(told.title)
    lines = [f"<b>{title}</b>", " · ".join(part for part in about if part)]
    if card.clip:
        lines.append(now.texts.clip.format(start=wording.moment(card.clip.start), end=wording.moment(card.clip.end)))
    return "\n".join(line for line in lines if line)


def _count(told: Description, texts: Texts) -> str:
    if told.count is not None and told.count > len(told.items):
        return texts.items_more.format(count=len(told.items))
    return texts.items.format(count=len(told.items))


def _clip_text(card: Card) -> str | None:
    return f"{wording.moment(card.clip.start)} – {wording.moment(card.clip.end)}" if card.clip else None


def _source(url: MediaUrl, clip: str | None = None) -> str:
    host = wording.escaped(url.host.removeprefix("www."), 60)
    link = host if url.is_secret else f'<a href="{wording.escaped_attribute(url.text)}">{host}</a>'
    return f"{link} ✂️ {clip}" if clip else link


def _do(card: Card, verb: str, label: str, argument: str = "") -> InlineKeyboardButton:
    return button(label, Key("card", card.id, verb, argument))
