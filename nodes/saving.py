"""Nodes that write files: HDR10 video and HDR pictures."""

from __future__ import annotations

import uuid
from fractions import Fraction
from typing import Any

import numpy as np
from comfy_api.latest import io, ui

from . import hdr_video, host, inputs, stills, work
from .core import InputError, output
from .images import HDR, check, colors, reader

CATEGORY = f"{inputs.CATEGORY}/save"

_ENDS = ("mp4", "mkv", "mov", "webm")
_RATES = {round(n * 1000 / 1001, 3): Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)}
"""What people write as 23.976 is 24000/1001."""


class SaveHdr10Video(io.ComfyNode):
    """x265 and its like."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvSaveHdr10Video",
            display_name="Save HDR10 Video",
            category=CATEGORY,
            description="Writes an HDR10 (or HLG) video: 10 bits, BT.2020, mastering display, MaxCLL and MaxFALL measured on "
            "what is "
            "written, with sound.",
            search_aliases=["HEVC", "x265", "AV1", "HDR10", "HLG", "export video", "MaxCLL"],
            inputs=[
                io.Video.Input(
                    "video", optional=True, tooltip="Of SDR to HDR (Video): converted while it is written, with its sound."
                ),
                io.Image.Input("images", optional=True, tooltip="Or HDR pictures, the frames in their order."),
                io.Audio.Input("audio", optional=True, tooltip="Sound of the pictures; a video brings its own."),
                inputs.hdr_space(),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=240.0,
                    step=0.001,
                    tooltip="Frames a second of the pictures (23.976 is 24000/1001); a video keeps its own.",
                ),
                inputs.peak(),
                inputs.peak(
                    "source_peak",
                    "cd/m2 that the pictures reach: above the peak they are brought under it by a BT.2390 shoulder. 1000 for "
                    "what this "
                    "package's nodes give. A video knows its own.",
                ),
                io.Combo.Input(
                    "transfer", options=["PQ", "HLG"], default="PQ", tooltip="PQ is HDR10. HLG has no mastering display."
                ),
                io.Combo.Input(
                    "encoder",
                    options=list(output.ENCODERS),
                    default="x265",
                    tooltip="x265: HEVC, what televisions play. svt-av1: AV1. nvenc: the same on an NVIDIA card. prores, "
                    "ffv1: to edit "
                    "and to keep.",
                ),
                io.Combo.Input(
                    "container", options=list(_ENDS), default="mp4", tooltip="Kind of file; not every encoder goes into all."
                ),
                io.Float.Input(
                    "crf",
                    default=-1.0,
                    min=-1.0,
                    max=63.0,
                    step=0.5,
                    tooltip="Quality: lower is better and larger. -1 for the encoder's default (x265 16, svt-av1 14).",
                ),
                io.String.Input(
                    "speed",
                    default="",
                    tooltip="The encoder's preset, x265's ultrafast to placebo; empty for its default (medium).",
                ),
                io.String.Input(
                    "filename_prefix", default="video/HDR", tooltip="Name in ComfyUI's output folder; a number is added."
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The file."),
                io.Int.Output(display_name="MaxCLL", tooltip="As the file states it, cd/m2; 0 for HLG."),
                io.Int.Output(display_name="MaxFALL", tooltip="As the file states it, cd/m2; 0 for HLG."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        color_space: str,
        fps: float,
        peak: float,
        source_peak: float,
        transfer: str,
        encoder: str,
        container: str,
        crf: float,
        speed: str,
        filename_prefix: str,
        video: Any = None,
        images: Any = None,
        audio: Any = None,
    ) -> Any:
        """Encode."""
        name = "Save HDR10 Video"
        settings = hdr_video.Settings(
            encoder=encoder, quality=None if crf < 0 else crf, speed=speed.strip() or None, peak=peak, hlg=transfer == "HLG"
        )
        if (video is None) == (images is None):
            given = "both a video and images are" if video is not None else "neither a video nor images are"
            raise InputError(f"{name}: {given} connected; connect one of them")
        if video is not None and not isinstance(video, hdr_video.HdrVideo):
            raise InputError(f"{name}: the video is not of SDR to HDR (Video); pass it through that node, or connect its images")
        if video is not None:
            width, height = video.get_dimensions()
        else:
            clip = work.hdr_clip(name, images, color_space)
            width, height = clip.size
        path, subfolder = host.output_path(filename_prefix, f".{container}", width, height)
        if video is not None:
            written = hdr_video.write_video(video, path, settings, name)
        else:
            rate = _RATES.get(round(fps, 3), Fraction(round(fps * 1000), 1000))
            written = hdr_video.write_images(clip, path, settings, rate, source_peak, audio, name)
        level = (written.light.max, written.light.average) if written.light is not None else (0, 0)
        shown = ui.PreviewVideo([host.saved(path, subfolder)])
        return io.NodeOutput(hdr_video.file_video(path), *level, ui=shown)


class SaveHdrImage(io.ComfyNode):
    """PNG, EXR, AVIF."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvSaveHdrImage",
            display_name="Save HDR Image",
            category=CATEGORY,
            description="Writes HDR pictures that say what they are: PNG of 16 bits with cICP, OpenEXR light, AVIF of 10 bits.",
            search_aliases=["PNG", "cICP", "EXR", "AVIF", "HDR photo", "export image"],
            inputs=[
                inputs.hdr_images(),
                io.Combo.Input(
                    "format",
                    options=list(stills.FORMATS),
                    default=next(iter(stills.FORMATS)),
                    tooltip="PNG 16-bit: BT.2020 PQ, lossless, with alpha and workflow. EXR: BT.2020 light, 1.0 = 203 cd/m2, "
                    "half floats "
                    "(needs the package OpenEXR). AVIF 10-bit: BT.2020 PQ, small and lossy, without alpha and workflow.",
                ),
                inputs.hdr_space(),
                io.String.Input("filename_prefix", default="HDR", tooltip="Name in ComfyUI's output folder; a number is added."),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, format: str, color_space: str, filename_prefix: str) -> Any:
        """Write."""
        name = "Save HDR Image"
        check(name, images)
        if format not in stills.FORMATS:
            raise InputError(f"{name}: unknown format {format!r}; choose one of {', '.join(stills.FORMATS)}")
        suffix, encode = stills.FORMATS[format]
        convert, tick = reader(name, HDR, color_space), host.progress(len(images))
        notes = host.workflow(cls.hidden)
        results = []
        for index in range(len(images)):
            hdr = np.asarray(convert(colors(images, index)), np.float32)
            alpha = images[index, ..., 3].cpu().float().numpy() if images.shape[-1] == 4 else None
            data = encode(hdr, alpha, notes)
            path, subfolder = host.output_path(filename_prefix, suffix, images.shape[2], images.shape[1])
            partial = path.with_name(f".{uuid.uuid4().hex}.partial")
            try:
                partial.write_bytes(data)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            results.append(host.saved(path, subfolder))
            tick()
        return io.NodeOutput(ui={"images": results})


__all__ = ["SaveHdr10Video", "SaveHdrImage"]
