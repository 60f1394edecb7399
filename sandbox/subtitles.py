"""The subtitles of the media site, as WebVTT: written by hand, and in the rolling shape of automatic captions."""

from __future__ import annotations

_BY_HAND = """WEBVTT
Kind: captions
Language: en

NOTE Made for tests.

1
00:00:00.000 --> 00:00:02.500
Hello from the test video.

2
00:00:02.500 --> 00:00:05.000 align:start position:0%
Two lines,
one cue.

3
00:00:05.000 --> 00:00:07.500
<v Speaker>With <b>bold</b>, <i>italic</i> &amp; <c.yellow>colour</c>.

4
00:00:07.500 --> 00:00:10.000
Ünïcödé 🐦
"""

# As YouTube writes them: each line is typed word by word, then stands still, then moves up while the next is typed.
_AUTOMATIC = """WEBVTT
Kind: captions
Language: de

00:00:00.000 --> 00:00:02.990 align:start position:0%
 
guten<00:00:00.500><c> tag</c><00:00:01.000><c> aus</c>

00:00:02.990 --> 00:00:03.000 align:start position:0%
guten tag aus
 

00:00:03.000 --> 00:00:05.990 align:start position:0%
guten tag aus
dem<00:00:03.500><c> test</c><00:00:04.000><c> video</c>

00:00:05.990 --> 00:00:06.000 align:start position:0%
dem test video
 
"""  # noqa: W293 - the blanks are part of the shape

SUBTITLES: dict[str, bytes] = {"media/subs.vtt": _BY_HAND.encode(), "media/auto.vtt": _AUTOMATIC.encode()}
