"""Nodes of the main job: SDR to HDR by a preset or by a formula, of pictures and of videos."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from . import clips, host, inputs, key_frame_clips, work
from .core import InputError, Letterbox, conversion, detect_in, stages
from .hdr_video import Conversion, HdrVideo
from .video import look, on_disk

_LOOK = ("strength", "reference_white", "highlight_gain", "saturation")


def _look(name: str, arguments: dict[str, Any], size: tuple[int, int], detect: Callable[[], Letterbox] | None) -> conversion.Look:
    """What widgets say.

    Raises:
        InputError: the letterbox cannot be read, or leaves nothing of the picture.
    """
    text = arguments["letterbox"].strip()
    if text == "auto" and detect is None:
        raise InputError(f"{name}: letterbox is auto, which has to see the whole video first; give TOP,BOTTOM in pixels")
    box = Letterbox() if text in ("", "none") else detect() if text == "auto" and detect else Letterbox.parse(text)
    box.check(name, *size)
    ceiling = None if arguments.get("ceiling_mask") is not None else arguments["ceiling"] or None
    return conversion.Look(
        preset=arguments["preset"],
        ceiling=ceiling,
        letterbox=box or None,
        **{each: arguments[each] for each in _LOOK},
    )


def _chain(look: conversion.Look, steady: int, arguments: dict[str, Any]) -> tuple[list[stages.Stage], float]:
    """The stages of `conversion.chain`, and the ceiling where a mask says."""
    found, reaches = conversion.chain(look, steady)
    if arguments.get("ceiling_mask") is not None and arguments["ceiling"]:
        found.append(stages.limit(arguments["ceiling"], (), reaches, masked=True))
    return found, reaches


class SdrToHdr(io.ComfyNode):
    """A batch by a preset."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvSdrToHdr",
            display_name="SDR to HDR",
            category=inputs.CATEGORY,
            description="Converts SDR pictures, or the frames of a video, to HDR (BT.2020 PQ).",
            search_aliases=["HDR", "inverse tone mapping", "HDRTV", "HDCFM", "SDR2HDR", "HDR10", "PQ"],
            inputs=[
                inputs.sdr_images(),
                inputs.preset(),
                inputs.sdr_space(),
                *inputs.look(),
                inputs.steady(),
                inputs.scene_cuts(),
                inputs.precision(),
                *inputs.ceiling(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ", tooltip="BT.2020 PQ signal; 1.0 is 10 000 cd/m2.")],
        )

    @classmethod
    def execute(cls, images: Any, color_space: str, steady: int, scenes: str, precision: str, **arguments: Any) -> Any:
        """Convert."""
        name = "SDR to HDR"
        sdr = work.sdr_clip(name, images, color_space)
        (frames,) = sdr.sources.values()
        look = _look(name, arguments, sdr.size, lambda: detect_in(lambda n: frames.read(n)[0], sdr.expected))
        found, _ = _chain(look, steady, arguments)
        given = key_frame_clips.given(found, sdr, look, scenes, precision)
        given |= clips.masks(name, arguments.get("ceiling_mask"), sdr)
        return io.NodeOutput(work.images(clips.chain(found, given, scenes), precision))


class SdrToHdrVideo(io.ComfyNode):
    """A file by a preset, by stream."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvSdrToHdrVideo",
            display_name="SDR to HDR (Video)",
            category=inputs.CATEGORY,
            description="Converts an SDR video to HDR, frame by frame, so that a film need not fit into memory. The work is "
            "done when "
            "the result is saved.",
            search_aliases=["HDR", "inverse tone mapping", "HDRTV", "SDR2HDR", "HDR10", "film", "movie"],
            inputs=[
                io.Video.Input("video", tooltip="SDR video; read as its colour tags say, its sound goes along."),
                inputs.preset(),
                *inputs.look(),
                inputs.steady(),
                inputs.scene_cuts(),
                inputs.precision(),
                *inputs.ceiling(),
            ],
            outputs=[io.Video.Output(display_name="HDR video", tooltip="Connect it to Save HDR10 Video.")],
        )

    @classmethod
    def execute(cls, video: Any, steady: int, scenes: str, precision: str, **arguments: Any) -> Any:
        """Look at the file; nothing is converted yet."""
        name = "SDR to HDR (Video)"
        path = on_disk(video.get_stream_source(), host.temporary(f"vs_hdrtv_{uuid.uuid4().hex}.mkv"))
        shown = look(path, name)
        chosen = _look(name, arguments, (shown.width, shown.height), None)
        found, reaches = _chain(chosen, steady, arguments)
        mask = arguments.get("ceiling_mask")
        return io.NodeOutput(HdrVideo(Conversion(shown, chosen, tuple(found), reaches, scenes, precision, name, mask)))


class InverseToneMap(io.ComfyNode):
    """A batch by a formula."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvInverseToneMap",
            display_name="Inverse Tone Map",
            category=inputs.CATEGORY,
            description="SDR to HDR by a published formula of the ITU: no network, the same on every machine.",
            search_aliases=["BT.2446", "BT.2408", "ITM", "SDR to HDR"],
            inputs=[inputs.sdr_images(), inputs.method(), inputs.sdr_space()],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(cls, images: Any, method: str, color_space: str) -> Any:
        """Convert."""
        sdr = work.sdr_clip("Inverse Tone Map", images, color_space)
        return io.NodeOutput(work.apply(stages.inverse_tone_map(method), sdr))
