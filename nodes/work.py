"""From IMAGE to IMAGE: what the nodes of single stages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import clips, host
from .core import stages
from .hdr_video import computed
from .images import HDR, SDR, check, reader, to_images


def sdr_clip(name: str, images: Any, color_space: str) -> clips.Clip:
    """An IMAGE as `sdr`.

    Raises:
        InputError: it is no IMAGE, or no SDR.
    """
    check(name, images)
    return clips.source("sdr", clips.Batch(images, reader(name, SDR, color_space)), images)


def hdr_clip(name: str, images: Any, color_space: str, what: str = "images") -> clips.Clip:
    """An IMAGE as `hdr`.

    Raises:
        InputError: it is no IMAGE, or its colour space is unknown.
    """
    check(name, images, what)
    return clips.source("hdr", clips.Batch(images, reader(name, HDR, color_space)), images)


def frames(clip: clips.Clip, precision: str = "fp32") -> Iterator[Any]:
    """The frames of a clip, (1, C, H, W) each; the bar goes on with every one, and there a cancelled run ends."""
    tick = host.progress(clip.expected)
    for frame in computed(clip, host.engine(precision)):
        yield frame
        tick()


def images(clip: clips.Clip, precision: str = "fp32") -> Any:
    """A clip as IMAGE."""
    return host.to_its_place(to_images(frames(clip, precision), clip.expected, clip.alpha))


def apply(stage: stages.Stage, clip: clips.Clip, scenes: str = "none", precision: str = "fp32") -> Any:
    """IMAGE of a stage that reads one signal."""
    (signal,) = stage.given
    return images(clips.apply(stage, {signal: clip}, scenes), precision)
