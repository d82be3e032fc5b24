"""Nodes of VITM-TC: what a frame has lost to over-exposure, from other frames of its scene."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from . import clips, host, inputs, key_frame_clips, work
from .core import InputError, grid, keyframe_stages, reading, stages
from .core import scenes as scene_rule
from .images import FROM_SDR, SDR, Floats, check, reader, to_images
from .key_frame_clips import KeyFrames

CATEGORY = f"{inputs.CATEGORY}/key frames"

_LIGHT = "Light: BT.709, linear, 1.0 = 203 cd/m2; to look at it, Preview HDR with color_space linear."


def _reference() -> Any:
    return io.Image.Input(
        "reference",
        tooltip="SDR pictures of the same size and color_space: as many as images, or one that all of them are compared with.",
    )


def _of_pairs(name: str, method: str, images: Any, reference: Any, color_space: str, flow: str, model: str) -> Iterator[Any]:
    """What a method of `Recovery` makes of each frame and its reference, on the host; the bar goes on with every one.

    Raises:
        InputError: the pictures differ in size, or there are neither one nor as many references as images.
    """
    check(name, images)
    check(name, reference, "reference")
    if images.shape[1:3] != reference.shape[1:3] or len(reference) not in (1, len(images)):
        found = " and ".join(f"{each.shape[2]}x{each.shape[1]}, {len(each)} frames" for each in (images, reference))
        raise InputError(
            f"{name}: images and reference differ ({found}); give pictures of one size, and one reference or as many"
        )
    both = [clips.Batch(each, reader(name, SDR, color_space)) for each in (images, reference)]
    engine = host.engine()
    runner = key_frame_clips.recovery(engine, flow, model)
    host.make_room(engine, images.shape[1] * images.shape[2])
    tick = host.progress(len(images))

    def compute(n: int) -> Any:
        return getattr(runner, method)(*(engine.upload(frames.read(frames.last(n))) for frames in both))

    for n in range(len(images)):
        found = host.retry_out_of_memory(partial(compute, n))
        yield tuple(map(engine.download, found)) if isinstance(found, tuple) else engine.download(found)
        tick()


class EstimateFlow(io.ComfyNode):
    """Corrected flow of ICAM."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvEstimateFlow",
            display_name="Estimate Flow",
            category=CATEGORY,
            description="Optical flow between frames of different exposure: where in reference each pixel of images lies.",
            search_aliases=["optical flow", "motion", "DIS", "ICAM", "VITM-TC"],
            inputs=[
                inputs.sdr_images(alpha=False),
                _reference(),
                inputs.model("icam", network="icam"),
                inputs.flow(),
                io.Float.Input(
                    "full_at",
                    default=0.0,
                    min=0.0,
                    max=4096.0,
                    step=1.0,
                    tooltip="Pixels of movement that the picture shows in full colour; 0 for the longest movement of the batch "
                    "that ends inside of reference.",
                ),
                inputs.sdr_space(),
            ],
            outputs=[
                inputs.Flow.Output(
                    display_name="flow", tooltip="Pixels to the right and down; a tensor (frames, 2, rows, columns)."
                ),
                io.Image.Output(
                    display_name="picture",
                    tooltip="The colour says the direction (red: to the right), its strength how far; sRGB.",
                ),
            ],
        )

    @classmethod
    def execute(cls, images: Any, reference: Any, model: str, flow: str, full_at: float, color_space: str) -> Any:
        """Estimate."""
        found = np.concatenate([*_of_pairs("Estimate Flow", "flow", images, reference, color_space, flow, model)])
        full = full_at or max(map(_longest, found)) or 1.0
        drawn = to_images((_wheel(each, full) for each in found), len(found))
        return io.NodeOutput(torch.from_numpy(found), host.to_its_place(drawn))


def _longest(flow: Floats) -> float:
    """Pixels of the longest movement of a flow (2, H, W) that ends inside of the frame; 0 where none does."""
    rows, columns = np.indices(flow.shape[1:], np.float32)
    height, width = flow.shape[1:]
    x, y = columns + flow[0], rows + flow[1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return float(np.hypot(*flow).max(where=inside, initial=0))


def _wheel(flow: Floats, full: float) -> Floats:
    """Flow (2, H, W) as colours (1, 3, H, W): hue is the direction, saturation the length over `full`, white no movement."""
    turn = np.arctan2(flow[1], flow[0]) / np.float32(2 * np.pi)  # of a circle, clockwise from the right
    strength = np.minimum(np.hypot(*flow) / np.float32(full), 1)
    ramps = np.abs((6 * turn + np.array([0, 4, 2], np.float32)[:, None, None]) % 6 - 3) - 1  # HSV's R, G and B of a hue
    return np.asarray(1 - strength * (1 - np.clip(ramps, 0, 1)), np.float32)[None]


class AlignReference(io.ComfyNode):
    """Warp by the corrected flow."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvAlignReference",
            display_name="Align Reference",
            category=CATEGORY,
            description="reference, moved pixel by pixel so that it lies on images, and where that can be believed.",
            search_aliases=["warp", "registration", "optical flow", "ICAM", "VITM-TC"],
            inputs=[
                inputs.sdr_images(alpha=False),
                _reference(),
                inputs.model("icam", network="icam"),
                inputs.flow(),
                inputs.sdr_space(),
            ],
            outputs=[
                io.Image.Output(display_name="aligned", tooltip="SDR, in color_space."),
                io.Mask.Output(display_name="valid", tooltip="How much each pixel can be used: 0 not at all, 1 fully."),
            ],
        )

    @classmethod
    def execute(cls, images: Any, reference: Any, model: str, flow: str, color_space: str) -> Any:
        """Warp."""
        valid: list[Any] = []

        def warped() -> Iterator[Floats]:
            for picture, mask in _of_pairs("Align Reference", "align", images, reference, color_space, flow, model):
                valid.append(torch.from_numpy(np.ascontiguousarray(mask[:, 0])))  # (1, H, W)
                yield FROM_SDR[color_space](picture)

        aligned = to_images(warped(), len(images) if isinstance(images, torch.Tensor) else 0)
        return io.NodeOutput(host.to_its_place(aligned), torch.cat(valid))


class RecoverKeyFrames(io.ComfyNode):
    """ICAM with its references."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvRecoverKeyFrames",
            display_name="Recover Key Frames",
            category=CATEGORY,
            description="Every few frames one gets back what over-exposure took, from frames of its scene up to seconds away "
            "(ICAM). Connect Propagate Key Frames.",
            search_aliases=["ICAM", "VITM-TC", "highlight recovery", "clipped highlights", "key frames", "inverse tone mapping"],
            inputs=[
                inputs.sdr_images(),
                inputs.model("icam", network="icam"),
                inputs.flow(),
                io.Int.Input(
                    "stride",
                    default=grid.Grid.stride,
                    min=1,
                    max=grid.MAX_STRIDE,
                    tooltip="Frames of a group, the middle one of which is its key frame. 1: each frame is one. More is faster.",
                ),
                io.Int.Input(
                    "references",
                    default=grid.Grid.references,
                    min=0,
                    max=grid.MAX_REFERENCES,
                    tooltip="Frames that a key frame is compared with, on each side of it, inside its scene. The time grows with "
                    "them; the memory does not.",
                ),
                io.Int.Input(
                    "reference_stride",
                    default=grid.Grid.reference_stride,
                    min=1,
                    max=grid.MAX_REACH,
                    tooltip="Frames from one reference to the next. The farthest is references times this away, at most "
                    f"{grid.MAX_REACH}. A key frame recovers nothing where its scene is shorter than this to both sides.",
                ),
                inputs.sdr_space(),
                inputs.scene_cuts(),
                inputs.precision(),
            ],
            outputs=[
                inputs.KeyFrames.Output(
                    display_name="key frames", tooltip="With their numbers, scenes and models: for Propagate Key Frames."
                ),
                io.Image.Output(display_name="light", tooltip=f"The key frames alone. {_LIGHT}"),
                io.String.Output(display_name="text", tooltip="A line for each key frame: its number and its references."),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: Any,
        model: str,
        flow: str,
        stride: int,
        references: int,
        reference_stride: int,
        color_space: str,
        scenes: str,
        precision: str,
    ) -> Any:
        """Recover."""
        name = "Recover Key Frames"
        where = grid.Grid(stride, references, reference_stride)
        where.check(name)
        sdr, engine = work.sdr_clip(name, images, color_space), host.engine(precision)
        runner, (frames,) = key_frame_clips.recovery(engine, flow, model), sdr.sources.values()
        count = sdr.expected
        cuts = _cuts(frames, count, scenes)
        keys = sorted({where.key(n, reading.scene_around(n, cuts.__contains__, stride - 1, count)) for n in range(count)})
        seen = {
            key: where.references_of(key, reading.scene_around(key, cuts.__contains__, where.reference_reach, count))
            for key in keys
        }
        host.make_room(engine, images.shape[1] * images.shape[2])
        tick = host.progress(len(keys))

        used = {}

        def compute(key: int) -> tuple[Floats, int]:
            return key_frame_clips.recover(frames, key, seen[key], runner, engine)

        def found() -> Iterator[Floats]:
            for key in keys:
                light, used[key] = host.retry_out_of_memory(partial(compute, key))
                yield light
                tick()

        alpha = images[keys] if images.shape[-1] == 4 else None
        light = host.to_its_place(to_images(found(), len(keys), alpha))
        made = KeyFrames(light, used, count, cuts, where, flow, model)
        lines = [
            f"{key}: {used[key]} of {len(at)} references{' (' + ', '.join(map(str, sorted(at))) + ')' if at else ''}"
            for key, at in seen.items()
        ]
        return io.NodeOutput(made, light, "\n".join(lines))


def _cuts(frames: clips.Frames, count: int, kind: str) -> frozenset[int]:
    """Where scenes begin; the bar goes on with every frame."""
    begins, tick = clips.Cuts(frames, kind), host.progress(count)
    found = []
    for n in range(count):
        if begins(n):
            found.append(n)
        begins.forget(n - scene_rule.REACH)
        tick()
    return frozenset(found)


class PropagateKeyFrames(io.ComfyNode):
    """FCPM."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvPropagateKeyFrames",
            display_name="Propagate Key Frames",
            category=CATEGORY,
            description="Carries recovered key frames to every frame (FCPM). "
            "Elsewhere than in over-exposed places a frame keeps its own light.",
            search_aliases=["FCPM", "VITM-TC", "highlight recovery", "temporal consistency"],
            inputs=[
                inputs.sdr_images(),
                inputs.KeyFrames.Input("key_frames", tooltip="Of Recover Key Frames, made of the same images; scenes are those."),
                inputs.model("fcpm", network="fcpm"),
                io.Int.Input(
                    "segment",
                    default=grid.SEGMENT,
                    min=1,
                    max=grid.MAX_SEGMENT,
                    tooltip="Frames that are propagated at a time, counted from the first and cut where scenes begin. "
                    "Memory grows with them.",
                ),
                io.Int.Input(
                    "overlap",
                    default=grid.OVERLAP,
                    min=0,
                    max=grid.MAX_SEGMENT // 2,
                    tooltip="Frames beyond each end of a segment that are computed along, so that nothing shows where two meet.",
                ),
                inputs.sdr_space(),
                inputs.precision(),
            ],
            outputs=[io.Image.Output(display_name="light", tooltip=f"For Merge Highlights. {_LIGHT}")],
        )

    @classmethod
    def execute(
        cls, images: Any, key_frames: Any, model: str, segment: int, overlap: int, color_space: str, precision: str
    ) -> Any:
        """Propagate."""
        name = "Propagate Key Frames"
        if not isinstance(key_frames, KeyFrames):
            raise InputError(f"{name}: key_frames is a {type(key_frames).__name__}; connect Recover Key Frames")
        stages.check_number(name, "segment", segment, 1, grid.MAX_SEGMENT)
        stages.check_number(name, "overlap", overlap, 0, grid.MAX_SEGMENT // 2)
        sdr = work.sdr_clip(name, images, color_space)
        engine = host.engine(precision)
        light = key_frame_clips.propagated(name, sdr, key_frames, engine, model, segment, overlap)
        return io.NodeOutput(work.images(light, precision))


class MergeHighlights(io.ComfyNode):
    """Recovered light into HDR."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvMergeHighlights",
            display_name="Merge Highlights",
            category=CATEGORY,
            description="Adds recovered highlights to HDR of any node: as bright as what stands around them, without a step at "
            "their edge.",
            search_aliases=["VITM-TC", "highlight recovery", "blend", "composite"],
            inputs=[
                inputs.hdr_images("hdr"),
                inputs.sdr_images(),
                io.Image.Input("light", tooltip="Of Propagate Key Frames, as it is: linear."),
                inputs.peak(
                    tooltip="cd/m2 that highlights approach and never pass; what comes no further than half of the way there is "
                    "not changed."
                ),
                inputs.hdr_space("hdr_color_space"),
                inputs.sdr_space(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(cls, hdr: Any, images: Any, light: Any, peak: float, hdr_color_space: str, color_space: str) -> Any:
        """Merge."""
        name = "Merge Highlights"
        check(name, light, "light")
        given = {
            "hdr": work.hdr_clip(name, hdr, hdr_color_space, "hdr"),
            "sdr": work.sdr_clip(name, images, color_space),
            "linear": clips.source("linear", clips.Batch(light, lambda rgb: rgb)),
        }
        return io.NodeOutput(work.images(clips.apply(keyframe_stages.merge_highlights(peak), given)))


__all__ = ["AlignReference", "EstimateFlow", "MergeHighlights", "PropagateKeyFrames", "RecoverKeyFrames"]
