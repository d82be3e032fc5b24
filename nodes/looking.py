"""Nodes to look at HDR with: preview, light level, scopes, comparison; and from one colour space to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui

from . import host, inputs
from .core import InputError, difference, light, measure, metrics, report, sheet, stages, transfer
from .core import hdr10 as signalling
from .images import FROM_HDR, HDR, check, colors, reader, to_images

CATEGORY = f"{inputs.CATEGORY}/look"


def _pictures(name: str, images: Any, color_space: str, what: str = "images") -> Iterator[Any]:
    """PQ (3, H, W) of each picture; the bar goes on with every one."""
    check(name, images, what)
    convert = reader(name, HDR, color_space)
    tick = host.progress(len(images))
    for index in range(len(images)):
        yield np.asarray(convert(colors(images, index))[0], np.float32)
        tick()


def _checked(name: str, images: Any, frames: Iterator[Any]) -> torch.Tensor:
    """IMAGE of as many frames as `images` has, and its alpha channel."""
    check(name, images)
    return to_images(frames, len(images), images)


def _light(hdr: Any, number: int = 0, fps: float = 24.0) -> measure.FrameLight:
    """The light of a picture as Save HDR10 Video writes it: of 10-bit codes."""
    packed = stages.to_hdr10(transfer.PQ_PEAK, transfer.PQ_PEAK)
    assert packed.function is not None
    most, average = light.packed_level(packed.function(hdr[None]), packed.packing)
    return measure.FrameLight(number, number / fps, most, average)


def _sheet(drawn: Any) -> torch.Tensor:
    """A drawn page as IMAGE."""
    return torch.from_numpy(np.asarray(drawn.convert("RGB"), np.float32)[None] / 255)  # (1, H, W, 3)


class Preview(io.ComfyNode):
    """HDR on an SDR page."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvPreview",
            display_name="Preview HDR",
            category=CATEGORY,
            description="HDR pictures for a browser that shows SDR: BT.2390 from the peak to white, hues kept.",
            search_aliases=["tone map", "HDR to SDR", "preview"],
            inputs=[
                inputs.hdr_images(),
                io.Float.Input(
                    "peak",
                    default=stages.MASTER_PEAK,
                    min=transfer.REFERENCE_WHITE,
                    max=transfer.PQ_PEAK,
                    step=1.0,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="cd/m2 that become white. 203: everything above paper white is cut off, and below it looks as on "
                    "an HDR "
                    "screen. Higher: highlights keep their drawing, the rest gets darker.",
                ),
                inputs.hdr_space(),
            ],
            outputs=[io.Image.Output(display_name="SDR", tooltip="sRGB.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, peak: float, color_space: str) -> Any:
        """Show."""
        pictures = _pictures("Preview HDR", images, color_space)
        shown = (np.asarray(measure.tone_map(hdr, peak)[None], np.float32) for hdr in pictures)
        found = _checked("Preview HDR", images, shown)
        return io.NodeOutput(found, ui=ui.PreviewImage(found, cls=cls))


class Convert(io.ComfyNode):
    """From one colour space to another."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        sources = io.Combo.Input(
            "source",
            options=list(HDR),
            default="HDR PQ",
            tooltip="What the pictures are. SDR (sRGB, BT.1886) is mapped by BT.2408: white at 203 cd/m2, nothing expands.",
        )
        target = io.Combo.Input(
            "target",
            options=list(FROM_HDR),
            default="HDR",
            tooltip="What they become: HDR PQ (BT.2020), HDR (BT.2020 HLG, by way of a 1000 cd/m2 display), linear (BT.709 "
            "light, "
            "1.0 = 203 cd/m2; colours outside BT.709 are negative).",
        )
        return host.schema(
            node_id="VsHdrtvConvert",
            display_name="Convert HDR",
            category=inputs.CATEGORY,
            description="Between PQ, HLG and linear light, as BT.2100 and BT.2408 have it.",
            search_aliases=["PQ to HLG", "HLG to PQ", "linear", "colour space", "color space", "transfer function"],
            inputs=[io.Image.Input("images", tooltip="Pictures; an alpha channel is kept."), sources, target],
            outputs=[io.Image.Output(display_name="images")],
        )

    @classmethod
    def execute(cls, images: Any, source: str, target: str) -> Any:
        """Convert."""
        convert = reader("Convert HDR", FROM_HDR, target)
        found = (np.asarray(convert(hdr[None]), np.float32) for hdr in _pictures("Convert HDR", images, source))
        return io.NodeOutput(_checked("Convert HDR", images, found))


class LightLevel(io.ComfyNode):
    """MaxCLL and MaxFALL."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvLightLevel",
            display_name="Light Level",
            category=CATEGORY,
            description="MaxCLL and MaxFALL of the pictures (CTA-861.3), measured as they would be encoded: 10 bits, 4:2:0.",
            search_aliases=["MaxCLL", "MaxFALL", "nits", "brightness", "content light level"],
            inputs=[inputs.hdr_images(), inputs.hdr_space()],
            outputs=[
                io.Int.Output(display_name="MaxCLL", tooltip="cd/m2 of the brightest pixel, rounded up."),
                io.Int.Output(display_name="MaxFALL", tooltip="cd/m2 of the brightest frame's average, rounded up."),
                io.String.Output(display_name="text", tooltip="A line for each picture."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, color_space: str) -> Any:
        """Measure."""
        found = [_light(hdr, n) for n, hdr in enumerate(_pictures("Light Level", images, color_space))]
        level = signalling.ContentLight.measured(max(each.max_rgb for each in found), max(each.average for each in found))
        lines = [f"{each.number}: max {each.max_rgb:.1f}, average {each.average:.1f} cd/m2" for each in found]
        text = "\n".join([f"MaxCLL {level.max}, MaxFALL {level.average} cd/m2", *lines])
        return io.NodeOutput(level.max, level.average, text, ui=ui.PreviewText(text))


class Scope(io.ComfyNode):
    """Waveform, histogram, false colour."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvScope",
            display_name="HDR Scope",
            category=CATEGORY,
            description="What a colourist looks at, in one picture: waveform, RGB parade, histogram, false colour, "
            "chromaticity, gamut, "
            "light over time.",
            search_aliases=["waveform", "histogram", "false colour", "false color", "vectorscope", "gamut", "parade"],
            inputs=[
                inputs.hdr_images(),
                io.Int.Input(
                    "frame",
                    default=-1,
                    min=-1,
                    max=1_000_000,
                    tooltip="The picture to show, counted from 0; -1 for the brightest. The light of all of them is in the "
                    "curve.",
                ),
                inputs.hdr_space(),
            ],
            outputs=[io.Image.Output(display_name="scope", tooltip="sRGB, 1920 pixels wide.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, frame: int, color_space: str) -> Any:
        """Draw."""
        check("HDR Scope", images)
        if frame >= len(images):
            raise InputError(f"HDR Scope: frame is {frame}; the batch has pictures 0 to {len(images) - 1}, or give -1")
        convert = reader("HDR Scope", HDR, color_space)
        curve = [_light(hdr, n) for n, hdr in enumerate(_pictures("HDR Scope", images, color_space))]
        number = frame if frame >= 0 else max(range(len(curve)), key=lambda n: curve[n].average)
        chosen = np.asarray(convert(colors(images, number))[0], np.float32)
        facts = [("video", f"{images.shape[2]}x{images.shape[1]}, {color_space}")]
        found = report.of_pictures("batch", [(chosen, curve[number])], curve, facts)
        drawn = _sheet(sheet.scope_sheet(found, 0))
        return io.NodeOutput(drawn, ui=ui.PreviewImage(drawn, cls=cls))


MEASURES = ("psnr", "delta_e_itp", "psnr_matched", "delta_e_itp_matched")


class Compare(io.ComfyNode):
    """Metrics and an error map."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvCompare",
            display_name="Compare HDR",
            category=CATEGORY,
            description="How far HDR pictures are from others: PSNR of PQ, dE_ITP (1 is just noticeable), with and without "
            "exposure, a "
            "picture of the difference.",
            search_aliases=["PSNR", "delta E", "dE_ITP", "difference", "metrics", "error map", "A/B"],
            inputs=[
                inputs.hdr_images("a"),
                inputs.hdr_images("b"),
                inputs.hdr_space("color_space_a"),
                inputs.hdr_space("color_space_b"),
            ],
            outputs=[
                io.Image.Output(
                    display_name="sheet", tooltip="The most different pair beside each other, with its numbers; sRGB."
                ),
                io.Image.Output(display_name="error map", tooltip="dE_ITP of every pixel of every pair, in colours; sRGB."),
                io.String.Output(display_name="text", tooltip="Means over all pairs."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, a: Any, b: Any, color_space_a: str, color_space_b: str) -> Any:
        """Measure and draw."""
        name = "Compare HDR"
        for what, images in (("a", a), ("b", b)):
            check(name, images, what)
        if a.shape[:3] != b.shape[:3]:
            shapes = " and ".join(f"{i.shape[2]}x{i.shape[1]}, {len(i)} frames" for i in (a, b))
            raise InputError(f"{name}: a and b differ ({shapes}); give pictures of one size and number")
        pairs, maps, values = [], [], []
        chosen = metrics.choose(MEASURES)
        both = zip(_pictures(name, a, color_space_a, "a"), _pictures(name, b, color_space_b, "b"), strict=True)
        for number, (first, second) in enumerate(both):
            pairs.append(report.pair(first, second, _light(first, number), _light(second, number)))
            values.append(metrics.measure(chosen, second, first))
            delta = measure.delta_color(difference.delta_e_itp_map(second, first))
            maps.append(torch.from_numpy(delta.astype(np.float32) / 255))
        found = report.Comparison(("A", "B"), ("PQ", "PQ"), ([], []), pairs)
        lines = [
            f"{each.title}: {np.mean([value[each.name] for value in values]):.3f}{f' {each.unit}' if each.unit else ''}"
            for each in chosen
        ]
        drawn = _sheet(sheet.compare_sheet(found))
        return io.NodeOutput(drawn, torch.stack(maps), "\n".join(lines), ui=ui.PreviewImage(drawn, cls=cls))


__all__ = ["Compare", "Convert", "LightLevel", "Preview", "Scope"]
