"""HDR files out, for the command line: encode a clip in segments, then put them and the source's other streams into a file.

Nothing is ever half-written under the name that was asked for: all of it happens in a folder NAME.partial, and what came of it is
renamed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..media import reason
from .clip import Picture, PictureClip
from .encoders import CONTAINERS, ENCODERS, Settings, choose
from .job import Unfinished, check_output

if TYPE_CHECKING:
    import vapoursynth as vs

    from .companions import Excerpt
    from .mux import Written


def write(
    clip: vs.VideoNode | PictureClip,
    output: Path,
    settings: Settings,
    *,
    excerpt: Excerpt | None = None,
    job: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    segment_frames: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    resumed: Callable[[int], None] | None = None,
    who: str = "encode",
) -> Written:
    """Encode a clip and write it to a file, with what goes beside it.

    Colour signalling, mastering display, aspect ratio and durations are read from the frames' properties: the stream says what
    the clip says. MaxCLL and MaxFALL are those of `light.light_level`, where the clip went through it. Several frames are
    computed at a time and encoded in order.

    Args:
        clip: PQ or HLG, packed as `settings.format`.
        output: file to write; the container goes by its suffix.
        settings: the encoder, from `choose`.
        excerpt: what to copy beside the video.
        job: what decides the pixels, beside the encoder: a conversion that goes on must have the same.
        resume: go on with what an interrupted conversion left in NAME.partial; without any, start.
        overwrite: throw away what it left, where `resume` is not said.
        segment_frames: frames of a segment; `segments.SEGMENT_FRAMES` by default.
        progress: called after each frame with frames done and frames in all.
        resumed: called first with the frames that were done before.
        who: the command on whose behalf, which a message starts with.

    Returns:
        What was written.

    Raises:
        InputError: the encoder does not take the clip, the file cannot be written, or NAME.partial is another job's.
        vs.Error: a frame could not be computed.
        KeyboardInterrupt: with a line that says how to go on, where there is something to go on with.
    """
    import av

    from . import mux, segments

    _check_clip(clip, settings)
    grid = segments.Grid(clip.num_frames, segment_frames or segments.SEGMENT_FRAMES)
    record = {
        "job": dict(job or {}),
        "encoder": {**asdict(settings), "library": av.__version__},
        "clip": {"width": clip.width, "height": clip.height, "frames": clip.num_frames, "segment": grid.length},
    }
    unfinished = Unfinished(output, record, who)
    try:
        with unfinished.open(resume, overwrite) as folder:
            store = segments.Store(folder)
            try:
                parts = segments.encode_missing(clip, store, settings, grid, progress, resumed)
                whole = folder / f"whole{output.suffix}"
                written = mux.mux(parts, store, settings, whole, Fraction(clip.fps), excerpt)
                whole.replace(output)
            except (OSError, av.FFmpegError) as error:
                raise InputError(f"{who}: {output} cannot be written ({reason(error)})") from None
            unfinished.done()
    except (Exception, KeyboardInterrupt) as error:
        if unfinished.begun and unfinished.finished():
            raise _with_hint(error, unfinished) from None
        raise
    return written


def _with_hint(error: BaseException, unfinished: Unfinished) -> BaseException:
    """The same error, saying how to go on."""
    hint = f"what is done is kept in {unfinished.folder}; the same command with --resume goes on"
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt(hint)
    if isinstance(error, InputError) or type(error).__module__.startswith("vapoursynth"):
        return type(error)(f"{str(error).rstrip()}; {hint}")
    return error


def _check_clip(clip: vs.VideoNode | PictureClip, settings: Settings) -> None:
    encoder = settings.encoder
    if clip.format is None or clip.format.name in (None, "None") or not (clip.width and clip.height):
        raise InputError("encode: the clip's format or size changes; cut it into parts that are alike")
    if clip.format.name != settings.format.upper():
        raise InputError(f"encode: clip is {clip.format.name}; pack it first with to_hdr10 or to_hlg, format={settings.format!r}")
    if clip.width < encoder.smallest[0] or clip.height < encoder.smallest[1]:
        size, least = f"{clip.width}x{clip.height}", "x".join(map(str, encoder.smallest))
        raise InputError(f"encode: clip is {size}; {settings.name} wants at least {least}, enlarge it first")


__all__ = ["CONTAINERS", "ENCODERS", "Picture", "PictureClip", "Settings", "check_output", "choose", "write"]
