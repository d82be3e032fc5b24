"""Key frames as VapourSynth nodes: they read frames far away, and which ones depends on the cuts; so they are no stages.

Which frames belong together (`grid`) follows from the cuts in a bounded window around a frame. Those are read first, through a
clip of one pixel that tells the cuts of `RUN` frames in one property, by `FrameEval`; it then gives a node whose `ModifyFrame`
reads exactly the frames that are needed, each as a clip of that frame alone. Nothing calls `get_frame` inside a callback, so that
VapourSynth knows what is under way and two requests for one frame are one. What is computed is kept in VapourSynth's own cache of
the node, of a fixed size: a key frame or a segment is computed once while the frames around it are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import vapoursynth as vs

from ..color.arrays import Array
from ..engines import Engine
from ..errors import InputError
from ..graph import COLOUR_PROPERTIES, LINEAR_PROPERTIES, copy_properties, one_line_frame_errors, write_planes
from ..scenes import CUT, shifted
from ..sources import ClipSource
from . import reading
from .grid import Grid
from .reading import Part, parts_of, scene_around

if TYPE_CHECKING:
    from .propagation import Propagation
    from .recovery import Recovery

KEY_FRAME = "_HdrtvKeyFrame"
"""Frame property of key frames' clips: the number of the frame that was recovered."""

REFERENCES = "_HdrtvReferences"
"""And how many references in its scene show the same thing."""

RUN = 16
"""Frames whose cuts are read at once. A window is rounded up to whole runs: up to 15 frames more to each side are looked at."""

CUT_RUNS = 256
"""Of which so many are kept: the cuts of 4096 frames."""

KEY_FRAMES = 8
"""Recovered frames that are kept: those of the groups that are asked for by several threads at once."""

SEGMENTS = 2
"""Propagated segments that are kept: where one ends, frames of both are under way."""

REFERENCE_BYTES = 1 << 30
"""Source frames that are kept for the key frames to come are at most this, as they come from the decoder."""

_CUTS = "_HdrtvCuts"
_SEGMENT = "_HdrtvSegment"


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """What a clip of key frames was made with, for whoever propagates them."""

    grid: Grid
    cuts: vs.VideoNode
    engine: Engine
    recovery: Recovery


_MADE: WeakKeyDictionary[vs.VideoNode, KeyFrames] = WeakKeyDictionary()


def made_with(clip: vs.VideoNode) -> KeyFrames | None:
    """How `recover` made a clip, None for any other."""
    return _MADE.get(clip)


class CutWindows:
    """The cuts of a clip in windows around its frames.

    Args:
        cuts: clip of `scenes.cut_clip`.
    """

    def __init__(self, cuts: vs.VideoNode) -> None:
        self.frames = cuts.num_frames
        blank = vs.core.std.BlankClip(cuts, length=-(-self.frames // RUN), keep=True)
        each = [cuts.std.SelectEvery(RUN, offset) for offset in range(min(RUN, self.frames))]

        def gather(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
            out = f[0].copy()
            # Beyond the clip's end it is the last frame's again, which nobody asks for.
            out.props[_CUTS] = sum(int(frame.props[CUT]) << bit for bit, frame in enumerate(f[1:]))
            return out

        gathered = blank.std.ModifyFrame([blank, *each], gather)
        gathered.std.SetVideoCache(mode=1, fixedsize=1, maxsize=CUT_RUNS)
        self._runs = vs.core.std.Interleave([gathered] * RUN)[: self.frames]  # frame n has the cuts of the run of n

    def clips(self, low: int, high: int, every: int = 1) -> list[vs.VideoNode]:
        """Clips whose frames n, together, tell the cuts of frames `every * n + low` to `every * n + high`; low <= 0 <= high."""
        found = [shifted(self._runs, step * RUN) for step in _steps(low, high)]
        return found if every == 1 else [each.std.SelectEvery(every, 0) for each in found]

    def read(self, f: vs.VideoFrame | list[vs.VideoFrame], at: int, low: int, high: int) -> Callable[[int], bool]:
        """`is_cut(frame)` for frames `at + low` to `at + high` of the clip.

        Args:
            f: of `clips(low, high, every)`, at frame `at / every`.
            at: frame of the clip.
            low: as given to `clips`.
            high: as given to `clips`.
        """
        frames = f if isinstance(f, list) else [f]  # FrameEval gives a lone one as it is
        known: dict[int, int] = {}
        for step, frame in zip(_steps(low, high), frames, strict=True):
            known[min(max(at + step * RUN, 0), self.frames - 1) // RUN] = int(frame.props[_CUTS])
        return lambda n: bool(known[n // RUN] >> n % RUN & 1)

    def scene(self, is_cut: Callable[[int], bool], n: int, reach: int) -> tuple[int, int]:
        """The scene of frame n as far as `reach` to each side."""
        return scene_around(n, is_cut, reach, self.frames)


def _steps(low: int, high: int) -> range:
    return range(low // RUN, -(-high // RUN) + 1)


def held(clip: vs.VideoNode, grid: Grid) -> vs.VideoNode:
    """`clip` with the frames kept that key frames read again and again while one goes forward: those that references fall on.

    Of a programme without cuts these are all frames of the window that lie on a common divisor of both strides.
    """
    wanted = 2 * grid.reference_reach // math.gcd(grid.stride, grid.reference_stride) + 2
    video_format = clip.format
    assert video_format is not None
    shares = 1 / (1 << video_format.subsampling_w + video_format.subsampling_h)
    planes = 1 if video_format.num_planes == 1 else 1 + 2 * shares
    size = clip.width * clip.height * video_format.bytes_per_sample * planes
    same = clip.std.RemoveFrameProps(props=[_SEGMENT])  # a node of its own, to have a cache of its own
    same.std.SetVideoCache(mode=1, fixedsize=1, maxsize=max(1, min(wanted, int(REFERENCE_BYTES / size))))
    return same


def recover(
    clip: vs.VideoNode,
    source: ClipSource,
    cuts: vs.VideoNode,
    grid: Grid,
    recovery: Recovery,
    engine: Engine,
) -> vs.VideoNode:
    """Clip whose frame n is the key frame of n's group, recovered from its references.

    Args:
        clip: SDR; each frame's properties are read of it.
        source: the same, `held`: key frames and references are read of it.
        cuts: of the source, `scenes.cut_clip`.
        grid: groups and references. Cuts are looked for `reference_reach` frames around key frames and `group_reach` around n.
        recovery: runs the networks.
        engine: whose arrays it takes.

    Returns:
        RGBS, `linear`, with the properties of source frame n.
    """
    windows = CutWindows(cuts)
    every = _recovered(source, windows, grid, recovery, engine)
    _MADE[every] = KeyFrames(grid, cuts, engine, recovery)
    reach = grid.group_reach
    at = {offset: shifted(every, offset) for offset in range(-(reach // 2 + reach % 2), reach // 2 + 1)}

    def choose(n: int, f: vs.VideoFrame | list[vs.VideoFrame]) -> vs.VideoNode:
        is_cut = windows.read(f, n, -reach, reach)
        return at[grid.key(n, windows.scene(is_cut, n, reach)) - n]

    keys = every.std.FrameEval(choose, prop_src=windows.clips(-reach, reach), clip_src=[every])
    whole = keys.std.CopyFrameProps(clip).std.RemoveFrameProps(props=list(COLOUR_PROPERTIES))
    whole = whole.std.SetFrameProps(**LINEAR_PROPERTIES).std.CopyFrameProps(keys, props=[KEY_FRAME, REFERENCES])
    result = whole.std.CopyFrameProps(cuts, props=[CUT])
    _MADE[result] = _MADE[every]
    return result


def _recovered(source: ClipSource, windows: CutWindows, grid: Grid, recovery: Recovery, engine: Engine) -> vs.VideoNode:
    """Clip whose frame n is frame n recovered, were it a key frame."""
    raw, planes = source.raw, source.window_clip(engine)
    template = vs.core.std.BlankClip(raw, format=vs.RGBS, keep=True)
    reach = grid.reference_reach

    def choose(n: int, f: vs.VideoFrame | list[vs.VideoFrame]) -> vs.VideoNode:
        is_cut = windows.read(f, n, -reach, reach)
        references = grid.references_of(n, windows.scene(is_cut, n, reach))

        def run(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
            with one_line_frame_errors(source.name, engine, source.size):
                source.check(f[0].props, n)
                found, used = recovery.recover(source.read(f[1], engine), (source.read(each, engine) for each in f[2:]))
                out = vs.core.create_video_frame(vs.RGBS, template.width, template.height)
                write_planes(out, found, engine)
            out.props.update(LINEAR_PROPERTIES | {KEY_FRAME: n, REFERENCES: used})
            return out

        return _reading(template, [(raw, n), (planes, n), *((planes, at) for at in references)], run)

    node = template.std.FrameEval(choose, prop_src=windows.clips(-reach, reach), clip_src=[raw, planes])
    node.std.SetVideoCache(mode=1, fixedsize=1, maxsize=KEY_FRAMES)
    return node


def propagate(
    name: str,
    source: ClipSource,
    keyframes: ClipSource,
    cuts: vs.VideoNode,
    stride: int,
    segment: int,
    overlap: int,
    propagation: Propagation,
    engine: Engine,
) -> vs.VideoNode:
    """Clip of `linear` that key frames were carried to, not blended; one frame of a clip of segments computes a whole segment.

    Args:
        name: filter that asks; messages start with it.
        source: SDR.
        keyframes: what `recover` made of it.
        cuts: those that `recover` had.
        stride: its grid's.
        segment: frames of a segment, counted from frame 0 and cut at scene changes.
        overlap: frames that it is propagated over beyond each end, inside its scene. Cuts are looked for as far as that and
            `nearest_reach` further.
        propagation: runs the networks.
        engine: whose arrays it takes.

    Returns:
        RGBS, no properties but those of `linear`. The light of the frames themselves where no key frame had a reference.
    """
    grid, windows, frames = Grid(stride, 0, 1), CutWindows(cuts), source.raw.num_frames
    planes, keys = source.window_clip(engine), keyframes.raw
    template = vs.core.std.BlankClip(source.raw, format=vs.RGBS, length=-(-frames // segment), keep=True)
    holder = vs.core.std.BlankClip(width=1, height=1, format=vs.GRAY8, length=template.num_frames, keep=True)
    reach = grid.nearest_reach
    low, high = -overlap - reach, segment - 1 + overlap + reach

    def choose(n: int, f: vs.VideoFrame | list[vs.VideoFrame]) -> vs.VideoNode:
        is_cut = windows.read(f, n * segment, low, high)
        parts = parts_of(n, segment, overlap, frames, grid, is_cut)
        wanted = sorted({key for part in parts for key in part.keys})
        needed = sorted({*wanted, *(at for part in parts for at in part.nearest)})

        def run(_: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
            sdr, light = dict(zip(needed, f, strict=False)), dict(zip(wanted, f[len(needed) :], strict=True))
            with one_line_frame_errors(name, engine, source.size):
                for key, frame in light.items():
                    keyframes.check(frame.props, key)
                    _check_key(name, frame.props, key)
                found = [each for part in parts for each in run_part(part, sdr, light)]
            out = vs.core.create_video_frame(vs.GRAY8, 1, 1)
            out.props[_SEGMENT] = found
            return out

        return _reading(holder, [*((planes, n) for n in needed), *((keys, n) for n in wanted)], run)

    def run_part(part: Part, sdr: Mapping[int, vs.VideoFrame], light: Mapping[int, vs.VideoFrame]) -> Iterator[vs.VideoFrame]:
        found = reading.propagate(
            part,
            propagation,
            lambda n: source.read(sdr[n], engine),
            lambda key: keyframes.read(light[key], engine),
            lambda key: int(light[key].props.get(REFERENCES, 1)),
        )
        for _, picture in found:
            out = vs.core.create_video_frame(vs.RGBS, template.width, template.height)
            write_planes(out, picture, engine)
            out.props.update(LINEAR_PROPERTIES)
            yield out

    held_segments = holder.std.FrameEval(choose, prop_src=windows.clips(low, high, segment), clip_src=[planes, keys])
    held_segments.std.SetVideoCache(mode=1, fixedsize=1, maxsize=SEGMENTS)

    def taking(place: int) -> vs.VideoNode:
        def take(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
            found = f.props[_SEGMENT]
            several = found if isinstance(found, list) else [found]
            return several[min(place, len(several) - 1)]  # of a short last segment the rest is trimmed off

        return template.std.ModifyFrame(held_segments, take)

    return vs.core.std.Interleave([taking(place) for place in range(segment)])[:frames]


def _check_key(name: str, props: Mapping[str, Any], key: int) -> None:
    found = props.get(KEY_FRAME)
    if found != key:
        raise InputError(
            f"{name}: keyframes has key frame {found} at frame {key}, which is one here; give recover_keyframes and {name} the "
            "same stride and scenes, and clips of the same frames"
        )


def of_two(source: ClipSource, reference: ClipSource, template: vs.VideoNode, engine: Engine, run: Run) -> vs.VideoNode:
    """Clip made of the same frames of two SDR clips, with the properties of the first.

    Args:
        source: the first.
        reference: the second.
        template: format and size of the result.
        engine: whose arrays `run` takes.
        run: two arrays to the result and the properties to set on it.
    """
    inputs = [source.raw, source.window_clip(engine), reference.raw, reference.window_clip(engine)]

    def made(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        with one_line_frame_errors(source.name, engine, source.size):
            source.check(f[0].props, n)
            reference.check(f[2].props, n)
            found, properties = run(source.read(f[1], engine), reference.read(f[3], engine))
            out = vs.core.create_video_frame(template.format.id, template.width, template.height)
            write_planes(out, found, engine)
        copy_properties(f[0].props, out.props, properties)
        return out

    return template.std.FrameEval(lambda n: template.std.ModifyFrame(inputs, made), clip_src=inputs)


type Run = Callable[[Array, Array], tuple[Array, Mapping[str, Any]]]


def _reading(
    template: vs.VideoNode,
    wanted: Sequence[tuple[vs.VideoNode, int]],
    run: Callable[[int, list[vs.VideoFrame]], vs.VideoFrame],
) -> vs.VideoNode:
    """Clip whose frames are all made by `run` of given frames of given clips: a clip of one frame gives that for any n."""
    return template.std.ModifyFrame([template, *(clip[at] for clip, at in wanted)], lambda n, f: run(n, f[1:]))
