"""A sunrise over the sea, drawn and sounded by ffmpeg: the sample of the local chat and the video of the demonstration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scraper.forks import killed
from scraper.tools import FfmpegMissing, find_ffmpeg
from service.errors import Unavailable

_WITHIN: Final = 120
"""Seconds that one run may take; usually it is one to five."""
RATE: Final = 15
"""Pictures a second."""
_ONE_FRAME: Final = "trim=end_frame=1,loop=-1:1:0"


def graph(width: int, height: int, seconds: int) -> str:
    """A filter graph for so many pixels (even numbers) and seconds, with the outputs `[picture]` and `[sound]`."""
    horizon, unit = height * 7 // 10, height / 720
    sea = f"{width}x{height - horizon}"
    rise = f"y='{height * 0.5:.0f}-h/2+{height * 0.18:.0f}*(1-t/{seconds})'"
    return ";".join(
        (
            f"gradients=s={width}x{height}:r={RATE}:n=4:c0=0x1b2350:c1=0x6b3f7c:c2=0xee7f5b:c3=0xffd59a:x0=0:y0=0:x1=0:y1={horizon},{_ONE_FRAME}[sky]",
            f"{_disc(900 * unit, 900 * unit, '0xffd08a', 1, 190)}[glow]",
            f"{_disc(230 * unit, 230 * unit, '0xfff6d8', 0.05, 255)}[sun]",
            f"gradients=s={sea}:n=2:c0=0xc96a5e:c1=0x161d3f:x0=0:y0=0:x1=0:y1={height - horizon},{_ONE_FRAME}[sea]",
            f"{_disc(420 * unit, 220 * unit, '0xffe0a8', 0.9, 200)}[shine]",
            f"[sky][glow]overlay=x=(W-w)/2:{rise}[1]",
            f"[1][sun]overlay=x=(W-w)/2:{rise}[2]",
            f"[2][sea]overlay=x=0:y={horizon}[3]",
            f"[3][shine]overlay=x='(W-w)/2+{12 * unit:.0f}*sin(2*t)':y='{horizon}+{4 * unit:.0f}*sin(3*t)'[4]",
            f"[4]trim=duration={seconds}[picture]",
            f"aevalsrc='0.12*sin(2*PI*220*t)+0.08*sin(2*PI*329.6*t)+0.05*sin(2*PI*440*t)*sin(PI*t/{seconds})':s=48000:d={seconds}[sound]",
        )
    )


def _disc(width: float, height: float, colour: str, softness: float, opacity: int) -> str:
    """A round thing that fades towards its edge."""
    w, h = (round(side) // 2 * 2 for side in (width, height))
    distance = f"hypot((X-{w / 2})/{w / 2},(Y-{h / 2})/{h / 2})"
    alpha = f"{opacity}*pow(clip((1-{distance})/{softness},0,1),1.6)"
    return f"color=c={colour}:s={w}x{h},format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='{alpha}',{_ONE_FRAME}"


async def run_ffmpeg(directory: Path, *arguments: str | Sequence[str]) -> None:
    """Run it in this directory. Raises `Unavailable` when there is none, or when it fails."""
    flat = [one for given in arguments for one in ([given] if isinstance(given, str) else given)]
    try:
        program = await asyncio.to_thread(find_ffmpeg)
    except FfmpegMissing:
        raise Unavailable("The sample media cannot be made: there is no ffmpeg.") from None
    quiet = asyncio.subprocess.DEVNULL
    running = await asyncio.create_subprocess_exec(
        *(str(program), "-nostdin", "-v", "error", "-y", *flat),
        cwd=directory,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            status = await running.wait()
    except TimeoutError:
        status = -1
    finally:
        await killed(running)
    if status != 0:
        raise Unavailable("The sample media cannot be made: ffmpeg failed.")
