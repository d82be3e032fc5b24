"""HDR as VIDEO: frames that are made when somebody writes or looks at them, and a batch of them as a clip for the encoder."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from comfy_api.latest import Input, InputImpl, Types

from . import clips, host, key_frame_clips
from .core import InputError, companions, conversion, engines, light, output, stages, tiling
from .images import to_images
from .video import Shown, VideoFrames


@dataclass(frozen=True)
class Conversion:
    """A video and what is done to it.

    Attributes:
        shown: the file.
        look: the preset and its controls.
        found: the stages from `sdr` to `hdr`.
        reaches: cd/m2 that their result reaches.
        scenes: a key of `clips.SCENES`.
        precision: of the engine.
        name: node that made it; messages start with it.
        mask: MASK of the ceiling, None for none.
    """

    shown: Shown
    look: conversion.Look
    found: tuple[stages.Stage, ...]
    reaches: float
    scenes: str
    precision: str
    name: str
    mask: Any = None

    def clip(self, last: stages.Stage | None = None) -> tuple[clips.Clip, VideoFrames]:
        """The converted video, decoded from its first frame on, and what it is read from.

        Args:
            last: a stage that packs it.
        """
        frames = VideoFrames(self.shown, self.name)
        stages_of_it = [*self.found, *([last] if last is not None else [])]
        sdr = clips.source("sdr", frames)
        given = key_frame_clips.given(self.found, sdr, self.look, self.scenes, self.precision)
        given |= clips.masks(self.name, self.mask, sdr)
        return clips.chain(stages_of_it, given, self.scenes), frames


class HdrVideo(Input.Video):
    """A conversion that has not been made yet.

    ComfyUI's own nodes may take it: it is encoded to a file of its own when they ask for one.
    """

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        self._file: Path | None = None

    def get_components(self) -> Any:
        """All frames at once, PQ, and the sound."""
        clip, frames = self.conversion.clip()
        tick = host.progress(frames.expected)

        def found() -> Iterator[Any]:
            for frame in computed(clip, host.engine(self.conversion.precision)):
                yield frame
                tick()

        sound = InputImpl.VideoFromFile(str(self.conversion.shown.path)).get_components().audio
        rate = self.conversion.shown.rate or Fraction(25)
        return Types.VideoComponents(images=to_images(found(), frames.expected), audio=sound, frame_rate=rate)

    def save_to(self, path: Any, format: Any = None, codec: Any = None, metadata: dict[str, Any] | None = None) -> None:
        """Write the HDR10 file that stands for it.

        Raises:
            InputError: another codec is asked for, which would make SDR of 8 bits of it.
        """
        if codec not in (None, Types.VideoCodec.AUTO, "auto"):
            raise InputError(
                f"save video: codec is {codec}, which has 8 bits here; choose auto, or use the node Save HDR10 Video"
            )
        chosen = Types.VideoContainer.AUTO if format is None else format
        InputImpl.VideoFromFile(self.get_stream_source()).save_to(path, format=chosen, metadata=metadata)

    def get_stream_source(self) -> str:
        """The path of the HDR10 file that stands for it."""
        if self._file is None:
            path = host.temporary(f"vs_hdrtv_{uuid.uuid4().hex}.mp4")
            write_video(self, path, Settings(), self.conversion.name)
            self._file = path
        return str(self._file)

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height."""
        return self.conversion.shown.width, self.conversion.shown.height

    def get_duration(self) -> float:
        """Seconds."""
        shown = self.conversion.shown
        return float(shown.frames / shown.rate) if shown.rate else super().get_duration()

    def get_frame_count(self) -> int:
        """Frames, as far as the file says."""
        return self.conversion.shown.frames

    def get_container_format(self) -> str:
        """FFmpeg's name."""
        return "mov,mp4,m4a,3gp,3g2,mj2"


def computed(clip: clips.Clip, engine: engines.Engine) -> Iterator[Any]:
    """`clips.run` with ComfyUI's memory: room is made before, and once more where it was not enough; then tiles."""
    width, height = clip.size
    host.make_room(engine, width * height)
    in_tiles = tiling.TiledEngine(engine)
    return clips.run(clip, in_tiles, host.SmallerTiles(in_tiles, max(clip.size)))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a video is encoded; see the node Save HDR10 Video."""

    encoder: str = "x265"
    quality: float | None = None
    speed: str | None = None
    peak: float = stages.MASTER_PEAK
    hlg: bool = False


def _pack(settings: Settings, reaches: float, samples: str) -> stages.Stage:
    return stages.to_hlg(reaches, samples) if settings.hlg else stages.to_hdr10(settings.peak, reaches, samples)


def write_video(video: HdrVideo, path: Path, settings: Settings, name: str) -> Any:
    """Convert and encode a video in one pass, with the sound and subtitles of its file; see `output.write`."""
    conversion, shown = video.conversion, video.conversion.shown
    chosen = output.choose(path.suffix, settings.encoder, settings.quality, settings.speed, who=name)
    clip, frames = conversion.clip(_pack(settings, conversion.reaches, chosen.format))

    def timed(number: int) -> Mapping[str, Any]:
        length = None if shown.rate else frames.duration(number)
        return {} if length is None else {"_DurationNum": length.numerator, "_DurationDen": length.denominator}

    excerpt = companions.Excerpt(shown.path, shown.start, shown.track)
    try:
        return _encode(clip, path, chosen, shown.rate, excerpt, timed, conversion.precision, name)
    finally:
        frames.close()


def write_images(clip: clips.Clip, path: Path, settings: Settings, rate: Fraction, reaches: float, sound: Any, name: str) -> Any:
    """Encode the frames of an IMAGE, with a sound of its own."""
    chosen = output.choose(path.suffix, settings.encoder, settings.quality, settings.speed, who=name)
    packed = clips.apply(_pack(settings, reaches, chosen.format), {"hdr": clip})
    excerpt = None if sound is None else companions.Excerpt(_write_sound(sound, path.suffix, name), Fraction(0), to_the_end=False)
    try:
        return _encode(packed, path, chosen, rate, excerpt, lambda number: {}, "fp32", name)
    finally:
        if excerpt is not None:
            excerpt.path.unlink(missing_ok=True)


def _encode(
    clip: clips.Clip,
    path: Path,
    settings: Any,
    rate: Fraction,
    excerpt: Any,
    timed: Callable[[int], Mapping[str, Any]],
    precision: str,
    name: str,
) -> Any:
    """Write a packed clip to `path`, whole or not at all; the light of PQ is measured on the way."""
    stage, engine = clip.node.stage, host.engine(precision)
    properties = stage.packed_properties()
    width, height = (side + side % 2 for side in clip.size) if "420" in settings.format else clip.size
    if "422" in settings.format:
        width += width % 2

    def make() -> Iterator[output.Picture]:
        for number, planes in enumerate(computed(clip, engine)):
            measured = {}
            if stage.transfer == "pq":
                most, average = light.packed_level(tuple(plane.astype(np.float32) for plane in planes), stage.packing)
                measured = {light.MAX_RGB: most, light.AVERAGE_MAX_RGB: average}
            words = tuple(plane[0, 0].astype(np.uint16) for plane in planes)  # (1, 1, H, W) -> (H, W)
            yield output.Picture(words, {**properties, **measured, **timed(number)})

    pictures = output.PictureClip(
        width=width, height=height, packing=settings.format, num_frames=clip.expected, fps=rate, make=make
    )
    tick = host.progress(clip.expected)
    # In ComfyUI's own temporary folder: a run that is cancelled leaves nothing among the results.
    scratch = host.temporary(f"vs_hdrtv_{uuid.uuid4().hex}{path.suffix}")
    try:
        written = output.write(
            pictures,
            scratch,
            settings,
            excerpt=excerpt,
            segment_frames=max(clip.expected, 5),  # one piece: there is nothing to go on with
            progress=lambda done, total: tick(),
            who=name,
        )
        shutil.move(scratch, path)
    finally:
        with suppress(OSError):
            scratch.unlink()
        shutil.rmtree(scratch.with_name(f"{scratch.name}.partial"), ignore_errors=True)
    return written


_SOUNDS = {".mkv": ("matroska", "flac", "s32"), ".mov": ("mov", "pcm_s24le", "s32")}
"""End of the file -> container, codec and samples of a sound that was computed; AAC for all others."""


def _write_sound(sound: Mapping[str, Any], suffix: str, name: str) -> Path:
    """An AUDIO in a file of its own, for `companions` to copy."""
    import av

    try:
        waveform, rate = sound["waveform"], int(sound["sample_rate"])
        samples = np.ascontiguousarray(waveform[0].detach().cpu().float().numpy())  # (channels, samples)
    except (KeyError, TypeError, IndexError, AttributeError):
        raise InputError(
            f"{name}: audio is a {type(sound).__name__} without waveform and sample_rate; connect an AUDIO"
        ) from None
    layouts = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
    if samples.shape[0] not in layouts:
        raise InputError(f"{name}: audio has {samples.shape[0]} channels; give 1, 2, 6 or 8")
    container, codec, kind = _SOUNDS.get(suffix, ("mp4", "aac", "fltp"))
    path = host.temporary(f"vs_hdrtv_{uuid.uuid4().hex}.{'mp4' if container != 'matroska' else 'mkv'}")
    with av.open(str(path), "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layouts[samples.shape[0]])
        resampler = av.AudioResampler(format=kind, layout=layouts[samples.shape[0]], rate=rate)
        for first in range(0, samples.shape[1], rate):
            frame = av.AudioFrame.from_ndarray(samples[:, first : first + rate], format="fltp", layout=layouts[samples.shape[0]])
            frame.sample_rate, frame.pts = rate, first
            for part in resampler.resample(frame):
                file.mux(stream.encode(part))
        for part in resampler.resample(None):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def file_video(path: Path) -> Any:
    """A file as VIDEO."""
    return InputImpl.VideoFromFile(str(path))


__all__ = ["Conversion", "HdrVideo", "Settings", "computed", "file_video", "write_images", "write_video"]
