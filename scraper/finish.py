"""From what was downloaded to the file that was asked for, in at most one ffmpeg run: joining, converting, tags, cover, chapters.

A stream is copied wherever its codec fits the container. What is re-encoded, and what is refused:
- audio: mp3, m4a (AAC) and opus are copied from a source of that codec unless a lower bit rate is asked for; wav and flac always hold
  PCM and FLAC, and a bit rate means nothing to them;
- mp4: H.264, HEVC, AV1 and VP9 are copied (4K often exists in the last two only), other pictures become H.264; AAC and MP3 are copied,
  other sound becomes AAC;
- webm: VP8, VP9 and AV1 are copied; other pictures are refused as `format_unavailable`, since encoding VP9 takes longer than the film;
- mkv: everything is copied.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scraper.failures import JobFailed, redacted
from scraper.probe import INPUT_GUARD, Probe
from service.selection import MediaType, Selection

_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9"})
_MP4_AUDIO = frozenset({"aac", "mp3", "alac"})
_WEBM_VIDEO = frozenset({"vp8", "vp9", "av1"})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})
_CODEC = {"mp3": "mp3", "m4a": "aac", "opus": "opus", "flac": "flac"}
_ENCODER = {"mp3": "libmp3lame", "m4a": "aac", "opus": "libopus", "flac": "flac", "wav": "pcm_s16le"}
_RATES = {
    "mp3": {"best": ("-q:a", "0"), "worst": ("-q:a", "9")},
    "m4a": {"best": ("-b:a", "192k"), "worst": ("-b:a", "64k")},
    "opus": {"best": ("-b:a", "160k"), "worst": ("-b:a", "48k")},
}
_MUXER = {"mp4": "mp4", "webm": "webm", "mkv": "matroska", "mp3": "mp3", "m4a": "ipod", "opus": "opus", "flac": "flac", "wav": "wav"}
_CONTAINER = {"mp4": "mp4", "webm": "webm", "mkv": "matroska", "mp3": "mp3", "m4a": "m4a", "opus": "ogg", "flac": "flac", "wav": "wav"}
COVER_IN_STREAM = frozenset({"mp3", "m4a", "flac", "mp4"})
COVER_ATTACHED = frozenset({"mkv"})
COVER_IN_TAG = frozenset({"opus"})
_CLOSE_ENOUGH = 1.15
_SIGXFSZ = -int(signal.SIGXFSZ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is put beside the streams. `tags` is an ffmetadata file with the tags and chapters, `cover` a JPEG."""

    tags: Path | None = None
    cover: Path | None = None

    @property
    def is_nothing(self) -> bool:
        return self.tags is None and self.cover is None


def fits_already(selection: Selection, sources: Sequence[Probe]) -> bool:
    """Whether the one downloaded file is, byte for byte, what was asked for."""
    if len(sources) != 1:
        return False
    source, form = sources[0], selection.format
    if _CONTAINER[form] not in source.container.split(","):
        return False
    if form in {"mp4", "m4a"} and not source.is_streamable:
        return False
    if selection.media_type is MediaType.AUDIO:
        return len(source.streams) == 1 and _copies_audio(selection, source)
    if source.video is None:
        return False
    pictures, sounds = {"mp4": (_MP4_VIDEO, _MP4_AUDIO), "webm": (_WEBM_VIDEO, _WEBM_AUDIO)}.get(form, (None, None))
    sound = source.audio
    return (pictures is None or source.video.codec in pictures) and (sounds is None or sound is None or sound.codec in sounds)


def finish(selection: Selection, sources: Sequence[tuple[Path, Probe]], extras: Extras, target: Path, ffmpeg: str) -> None:
    """Write `target`. Raises `JobFailed`: `format_unavailable`, `unsupported`, `too_large`, `no_space`, `ffmpeg`."""
    inputs: list[str] = []
    for path, _ in sources:
        inputs += [*INPUT_GUARD, "-i", f"file:{path}"]
    number = len(sources)
    after: list[str] = []
    if extras.tags is not None:
        inputs += ["-f", "ffmetadata", "-protocol_whitelist", "file,pipe,fd", "-i", f"file:{extras.tags}"]
        after += ["-map_metadata", str(number)]
        number += 1
    after += ["-map_chapters", str(number - 1)] if extras.tags is not None and _has_chapters(extras.tags) else ["-map_chapters", "0"]
    probes = [found for _, found in sources]
    audio = selection.media_type is MediaType.AUDIO
    streams = _audio_streams(selection, probes) if audio else _video_streams(selection, probes)
    cover: list[str] = []
    if extras.cover is not None and selection.format in COVER_IN_STREAM:
        inputs += ["-f", "jpeg_pipe", "-protocol_whitelist", "file,pipe,fd", "-i", f"file:{extras.cover}"]
        place = 0 if audio else 1
        cover = ["-map", f"{number}:v:0", f"-c:v:{place}", "copy", f"-disposition:v:{place}", "attached_pic"]
    elif extras.cover is not None and selection.format in COVER_ATTACHED:
        cover = ["-attach", f"file:{extras.cover}", "-metadata:s:t:0", "mimetype=image/jpeg", "-metadata:s:t:0", "filename=cover.jpg"]
    command = [ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", *inputs, *streams, *cover, *after, "-dn", "-sn"]
    command += [*_muxer_options(selection.format), "-f", _MUXER[selection.format], f"file:{target}"]
    run_ffmpeg(command)


def run_ffmpeg(command: Sequence[str]) -> None:
    """Raises `JobFailed` with the cause."""
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own list; the job's time limit ends it
    if done.returncode == 0:
        return
    said = done.stderr.decode("utf-8", "replace")
    raise cause_said(done.returncode, said) or JobFailed(
        "ffmpeg", redacted(" | ".join(said.strip().splitlines()[-3:])) or f"exit status {done.returncode}"
    )


def cause_said(status: int, said: str) -> JobFailed | None:
    """What a failed ffmpeg says of the disk and of the size limit; None for any other cause."""
    if status == _SIGXFSZ or "File too large" in said:
        return JobFailed("too_large", "ffmpeg reached the size limit")
    if "No space left" in said or "Disk quota exceeded" in said:
        return JobFailed("no_space", "ffmpeg found the disk full")
    return None


def _copies_audio(selection: Selection, source: Probe) -> bool:
    sound = source.audio
    if sound is None or sound.codec != _CODEC.get(selection.format):
        return False
    if not selection.quality.endswith("k") or selection.format == "flac":
        # The smallest is asked for: the source was chosen so, and encoding it once more would only add noise.
        return True
    return sound.bitrate is None or sound.bitrate <= _CLOSE_ENOUGH * int(selection.quality[:-1])


def _audio_streams(selection: Selection, sources: Sequence[Probe]) -> list[str]:
    at = next((index for index, source in enumerate(sources) if source.audio), None)
    if at is None:
        raise JobFailed("format_unavailable", "there is no sound in it")
    streams = ["-map", f"{at}:a:0", "-c:a"]
    form, quality = selection.format, selection.quality
    if _copies_audio(selection, sources[at]):
        return [*streams, "copy"]
    rate = _RATES.get(form, {})
    return [*streams, _ENCODER[form], *(rate.get(quality, ("-b:a", quality)) if rate else ())]


def _video_streams(selection: Selection, sources: Sequence[Probe]) -> list[str]:
    pictures = next(((index, source.video) for index, source in enumerate(sources) if source.video), None)
    if pictures is None:
        raise JobFailed("format_unavailable", "there is no picture in it")
    sounds = next(((index, source.audio) for index, source in reversed(list(enumerate(sources))) if source.audio), None)
    streams = ["-map", f"{pictures[0]}:v:0", "-c:v:0", *_picture_codec(selection.format, pictures[1].codec)]
    if sounds is not None:
        streams += ["-map", f"{sounds[0]}:a:0", "-c:a:0", *_sound_codec(selection.format, sounds[1].codec)]
    return streams


def _picture_codec(form: str, codec: str) -> list[str]:
    if form == "webm" and codec not in _WEBM_VIDEO:
        raise JobFailed("format_unavailable", f"webm from {codec}")
    if form != "mp4" or codec in _MP4_VIDEO:
        # Players of Apple's know HEVC by this tag only.
        return ["copy", "-tag:v:0", "hvc1"] if form == "mp4" and codec == "hevc" else ["copy"]
    return ["libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2"]


def _sound_codec(form: str, codec: str) -> list[str]:
    if form == "mp4" and codec not in _MP4_AUDIO:
        return ["aac", "-b:a", "192k"]
    if form == "webm" and codec not in _WEBM_AUDIO:
        return ["libopus", "-b:a", "160k"]
    return ["copy"]


def _muxer_options(form: str) -> list[str]:
    if form in {"mp4", "m4a"}:
        return ["-movflags", "+faststart"]
    return ["-id3v2_version", "3", "-write_id3v1", "1"] if form == "mp3" else []


# --- tags -----------------------------------------------------------------------------------------------------------


def ffmetadata(tags: Mapping[str, str], chapters: Sequence[tuple[float, float, str]]) -> str:
    """Tags and chapters (seconds) in ffmpeg's own format. A file, since arguments are bounded, can't hold NUL and are seen by others."""
    lines = [";FFMETADATA1", *(f"{name}={_escaped(value)}" for name, value in tags.items() if value)]
    for start, end, title in chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={int(start * 1000)}", f"END={int(end * 1000)}", f"title={_escaped(title)}"]
    return "\n".join(lines) + "\n"


def chapters_as_tags(chapters: Sequence[tuple[float, float, str]]) -> dict[str, str]:
    """For FLAC, whose muxer drops chapters: the tags that players read. Source: the Ogg chapter extension of Xiph."""
    tags = {}
    for number, (start, _, title) in enumerate(chapters):
        minutes, seconds = divmod(start, 60)
        tags[f"CHAPTER{number:03}"] = f"{int(minutes // 60):02}:{int(minutes % 60):02}:{seconds:06.3f}"
        tags[f"CHAPTER{number:03}NAME"] = title
    return tags


def _escaped(value: str) -> str:
    return re.sub(r"([\\=;#\n])", r"\\\1", value.replace("\0", "").encode("utf-8", "replace").decode("utf-8"))


def _has_chapters(tags: Path) -> bool:
    return "\n[CHAPTER]\n" in tags.read_text(encoding="utf-8")
