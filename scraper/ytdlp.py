"""One job in a worker: look, say what it is, wait for the go, download, finish, verify. Runs in a process of its own and blocks."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yt_dlp.utils import determine_protocol

from scraper import covers, kept, transcripts
from scraper.choices import note_size
from scraper.clips import Cutter, Span, is_remote, span_of, within
from scraper.description import artist_of, chapters_of, tags_of, title_of
from scraper.digest import RunningDigest
from scraper.downloader import Downloader, is_site_wide
from scraper.failures import JobFailed, cause_of
from scraper.finish import COVER_ATTACHED, COVER_IN_STREAM, COVER_IN_TAG, Extras, chapters_as_tags, ffmetadata, finish, fits_already
from scraper.live import refuse_live
from scraper.manifests import look_at_manifest
from scraper.meter import Meter
from scraper.options import ytdlp_options
from scraper.probe import Probe, probe
from scraper.validators import said_of
from scraper.wire import JobSpec
from scraper.workshop import Talk, Workshop
from service.model import Phase
from service.selection import MediaType, Selection

MAX_SUBTITLES = 20 * 1024 * 1024
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_ESTIMATE_MARGIN = 1.2
_NOT_STALE = frozenset({"address_not_allowed", "clip_outside", "ffmpeg", "format_unavailable"}) | frozenset(
    {"no_space", "no_subtitles", "throttled", "too_large", "too_long"}
)
"""What asking the site again would not change. Anything else may come of a kept extraction that has become stale."""


class Job:
    """One fetch. `run` returns the answer for the service, None when it said stop; raises `JobFailed` or anything yt-dlp raises."""

    def __init__(self, spec: JobSpec, workshop: Workshop, talk: Talk) -> None:
        self._spec = spec
        self._shop = workshop
        self._talk = talk
        self._selection = Selection.from_key(spec.selection) if spec.language is None else _with_language(spec)
        self._directory = Path(spec.directory)
        self._meter = Meter(spec.max_bytes, talk.progress)
        self._span: Span | None = None
        self._identity: tuple[str, str] | None = None

    def run(self) -> dict[str, Any] | None:
        known = kept.read(self._spec.kept)
        if known is not None:
            try:
                return self._attempt(known)
            except Exception as error:
                if cause_of(error, self._shop.guard).code in _NOT_STALE:
                    raise
            self._begin_again()
        return self._attempt(None)

    def _begin_again(self) -> None:
        """The kept extraction is of no use any more."""
        kept.drop(str(self._spec.kept))
        self._keep_only("")
        self._meter = Meter(self._spec.max_bytes, self._talk.progress)
        self._shop.guard.reset()

    def _attempt(self, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """With the extraction that is known already, else with a fresh one."""
        shop = self._shop
        options = ytdlp_options(
            self._selection, state_directory=shop.state_directory, ffmpeg=shop.ffmpeg, deno=shop.deno, cookies=self._spec.cookies
        )
        with Downloader(options, shop.extractors, shop.guard, self._talk.proxy) as ydl:
            ydl.add_progress_hook(self._meter.hook)
            info = ydl.extract_info(self._spec.url, download=False) if known is None else ydl.process_ie_result(known, download=False)
            if not info:
                raise JobFailed("unsupported", "nothing was found")
            formats = self._chosen(ydl, info)
            self._check_bounds(info, formats)
            if not self._may_go_on(self._identified(info, formats)):
                return None
            ydl.is_looking = False
            transcript = self._selection.media_type is MediaType.TRANSCRIPT
            file = self._transcript(ydl, info) if transcript else self._medium(ydl, info, formats)
            self._keep_only(file["name"])
            answer = ydl.last_answer if _is_direct(info) else None
        said = None if answer is None else said_of(answer)
        return {"files": [file], "title": title_of(info), "artist": artist_of(info), "validators": said}

    # --- looking -------------------------------------------------------------------------------------------------

    def _chosen(self, ydl: Downloader, info: dict[str, Any]) -> list[dict[str, Any]]:
        """The formats to download, each with what is known of its size; none for a transcript."""
        refuse_live(info)
        if self._selection.media_type is MediaType.TRANSCRIPT:
            return []
        formats = [dict(one) for one in info.get("requested_formats") or [info]]
        for one in formats:
            if not one.get("url"):
                raise JobFailed("unsupported", "a format without an address")
            if determine_protocol(one) in {"m3u8", "m3u8_native"}:
                duration = look_at_manifest(ydl, one, info)
                info["duration"] = info.get("duration") or duration
            note_size(ydl, one)
        if self._selection.clip is not None:
            self._span = span_of(self._selection.clip, info.get("duration"))
        return formats

    def _check_bounds(self, info: Mapping[str, Any], formats: Sequence[Mapping[str, Any]]) -> None:
        if (self._length(info) or 0) > self._spec.max_duration:
            raise JobFailed("too_long", f"{self._length(info)} s")
        exact = self._share(info) * sum(one.get("filesize") or 0 for one in formats)
        estimate = self._share(info) * sum(one.get("filesize") or one.get("filesize_approx") or 0 for one in formats)
        if exact > self._spec.max_bytes or estimate > _ESTIMATE_MARGIN * self._spec.max_bytes:
            raise JobFailed("too_large", f"{estimate} bytes")

    def _length(self, info: Mapping[str, Any]) -> float | None:
        """Seconds of what will come."""
        return info.get("duration") if self._span is None else self._span.length

    def _share(self, info: Mapping[str, Any]) -> float:
        """How much of the medium will come: 1 for all of it. A clip of a medium whose length is unknown counts for nothing."""
        if self._span is None:
            return 1.0
        return self._span.length / info["duration"] if info.get("duration") else 0.0

    def _identified(self, info: Mapping[str, Any], formats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own = is_site_wide(info, self._shop.extractors)
        sizes = [one.get("filesize") or one.get("filesize_approx") for one in formats]
        return {
            "extractor": str(info.get("extractor_key") or "Generic"),
            "id": str(info["id"]) if own else self._spec.digest,
            "title": title_of(info),
            "artist": artist_of(info),
            "duration": self._length(info),
            "size": int(self._share(info) * sum(size or 0 for size in sizes)) or None if sizes and all(sizes) else None,
            # Nothing but the address vouches for it: a page may show another medium tomorrow.
            "is_generic": not own,
        }

    def _may_go_on(self, found: dict[str, Any]) -> bool:
        """What the service says to this medium. It is asked once, also when the extraction had to be made anew."""
        identity = (found["extractor"], found["id"])
        if self._identity is None:
            self._identity = identity
            return self._talk.identified(found)
        if identity != self._identity:
            raise JobFailed("network", "another medium than a moment ago")
        return True

    # --- fetching ------------------------------------------------------------------------------------------------

    def _medium(self, ydl: Downloader, info: dict[str, Any], formats: Sequence[dict[str, Any]]) -> dict[str, Any]:
        sources = self._whole(ydl, info, formats) if self._span is None else self._clipped(ydl, info, formats, self._span)
        received = self._meter.received or sum(path.stat().st_size for path, _ in sources)
        self._talk.progress({"phase": Phase.CONVERTING, "downloaded": received, "total": received})
        probes = [found for _, found in sources]
        duration = max((found.duration or 0 for found in probes), default=0) or self._length(info)
        if (duration or 0) > self._spec.max_duration:
            raise JobFailed("too_long", f"{duration} s")
        target = self._directory / f"media.{self._selection.format}"
        # Of a file found by its address nothing is known that would be worth a tag.
        extras = Extras() if _is_direct(info) else self._extras(ydl, info)
        digest, found = None, None
        if extras.is_nothing and fits_already(self._selection, probes):
            digest = ydl.digests.get(str(sources[0][0]))
            sources[0][0].rename(target)
            found = probes[0]
        else:
            finish(self._selection, sources, extras, target, self._shop.ffmpeg)
            # Sound is as long as its source was; pictures may have another size now.
            found = probe(target, self._shop.ffmpeg) if self._selection.media_type is MediaType.VIDEO else None
        picture = found.video if found and self._selection.media_type is MediaType.VIDEO else None
        return {
            **_file(target, self._selection, self._spec.max_bytes, digest),
            "duration": (found.duration if found else None) or duration,
            "width": picture.width if picture else None,
            "height": picture.height if picture else None,
        }

    def _whole(self, ydl: Downloader, info: dict[str, Any], formats: Sequence[dict[str, Any]]) -> list[tuple[Path, Probe]]:
        self._meter.expect([one.get("filesize") for one in formats])
        sources = []
        for number, one in enumerate(formats):
            path = self._directory / f"source{number}.{_extension(one.get('ext'))}"
            self._download(ydl, path, {**info, "requested_formats": None, **one})
            sources.append((path, probe(path, self._shop.ffmpeg)))
        return sources

    def _clipped(self, ydl: Downloader, info: dict[str, Any], formats: Sequence[dict[str, Any]], span: Span) -> list[tuple[Path, Probe]]:
        """The one file that holds the clip's picture and sound."""
        here = iter(self._whole(ydl, info, [one for one in formats if not is_remote(one)]))
        sources = [one if is_remote(one) else next(here)[0] for one in formats]
        path = Cutter(ydl, self._shop.ffmpeg, self._talk.progress).cut(sources, span, self._selection, self._directory)
        try:
            found = probe(path, self._shop.ffmpeg)
        except JobFailed as nothing:
            raise JobFailed("clip_outside", nothing.detail) from nothing
        if not found.duration:
            raise JobFailed("clip_outside", "an empty clip")
        return [(path, found)]

    def _download(self, ydl: Downloader, path: Path, info: dict[str, Any]) -> None:
        info = {key: value for key, value in info.items() if value is not None}
        finished, _ = ydl.dl(str(path), info)
        if not finished or not path.exists():
            raise JobFailed("download_failed", f"yt-dlp returned {finished!r}")
        if path.stat().st_size == 0:
            raise JobFailed("truncated", "an empty file")

    def _extras(self, ydl: Downloader, info: dict[str, Any]) -> Extras:
        form = self._selection.format
        cover = None
        if form in COVER_IN_STREAM | COVER_ATTACHED | COVER_IN_TAG:
            cover = covers.fetch(ydl, info.get("thumbnails") or (), self._directory, self._shop.ffmpeg)
        tags = tags_of(info)
        if cover is not None and form in COVER_IN_TAG:
            tags["METADATA_BLOCK_PICTURE"] = covers.as_tag(cover)
        chapters = chapters_of(info) if self._span is None else within(chapters_of(info), self._span)
        if form == "flac":
            tags |= chapters_as_tags(chapters)
        file = self._directory / "tags.txt"
        file.write_text(ffmetadata(tags, chapters), encoding="utf-8")
        return Extras(tags=file, cover=cover)

    def _transcript(self, ydl: Downloader, info: dict[str, Any]) -> dict[str, Any]:
        _, track = transcripts.choose(info, self._selection.language)
        path = self._directory / f"source.{_extension(track.get('ext'))}"
        if track.get("data") is not None:
            path.write_text(str(track["data"]), encoding="utf-8")
        else:
            ydl.dl(str(path), {"http_headers": info.get("http_headers"), "id": info["id"], **track}, subtitle=True)
        if not path.exists() or path.stat().st_size > MAX_SUBTITLES:
            raise JobFailed("no_subtitles", "nothing came, or too much")
        cues = transcripts.read(path.read_bytes(), str(track.get("ext")))
        if not cues:
            raise JobFailed("no_subtitles", "no cues in it")
        target = self._directory / f"media.{self._selection.format}"
        target.write_text(transcripts.written(cues, self._selection.format), encoding="utf-8")
        return {**_file(target, self._selection, self._spec.max_bytes), "duration": info.get("duration"), "width": None, "height": None}

    def _keep_only(self, name: str) -> None:
        for path in self._directory.iterdir():
            if path.name != name:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_direct(info: Mapping[str, Any]) -> bool:
    """Whether the address is that of the file itself, not of a page about it."""
    return bool(info.get("direct")) and info.get("url") == info.get("webpage_url")


def _with_language(spec: JobSpec) -> Selection:
    media_type, form, quality = spec.selection.split(":")[:3]
    return Selection(media_type=MediaType(media_type), format=form, quality=quality, language=spec.language)


def _file(path: Path, selection: Selection, max_bytes: int, running: RunningDigest | None = None) -> dict[str, Any]:
    size = path.stat().st_size
    if size == 0:
        raise JobFailed("truncated", "an empty file")
    if size > max_bytes:
        raise JobFailed("too_large", f"{size} bytes after converting")
    if running is not None:
        digest = running.of(path)
    else:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "kind": selection.media_type, "extension": selection.format, "size": size, "sha256": digest}


def _extension(text: Any) -> str:
    return text if isinstance(text, str) and _EXTENSION.fullmatch(text) else "bin"
