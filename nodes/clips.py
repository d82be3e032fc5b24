"""Batches and videos as clips: stages over frames, neighbours and scene cuts respected, as `graph` does it for VapourSynth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .core import InputError, arrays, engines, gamut, pipeline, scenes, stages
from .images import Floats, colors


class Frames(Protocol):
    """Frames that a plan reads.

    Attributes:
        size: width and height.
        expected: how many there are, as far as is known before they are read.
    """

    size: tuple[int, int]
    expected: int

    def last(self, wanted: int) -> int:
        """`wanted`, or the last frame where there are fewer."""
        ...

    def read(self, frame: int) -> Floats:
        """The signal of a frame, (1, C, H, W)."""
        ...

    def signature(self, frame: int) -> NDArray[np.uint8]:
        """What `scenes.begins_scene` sees of a frame."""
        ...

    def forget(self, before: int) -> None:
        """No frame before this one is asked for again."""
        ...


class Batch:
    """The frames of an IMAGE.

    Args:
        images: (B, H, W, C).
        convert: from R'G'B' (1, 3, H, W) to the signal.
    """

    def __init__(self, images: torch.Tensor, convert: Callable[[Floats], Floats]) -> None:
        self._images, self._convert = images, convert
        self.size = int(images.shape[2]), int(images.shape[1])
        self.expected = len(images)

    def last(self, wanted: int) -> int:
        """See `Frames.last`."""
        return min(wanted, self.expected - 1)

    def read(self, frame: int) -> Floats:
        """See `Frames.read`."""
        return np.asarray(self._convert(colors(self._images, frame)), np.float32)

    def signature(self, frame: int) -> NDArray[np.uint8]:
        """See `Frames.signature`."""
        return scenes.signature(luma_codes(colors(self._images, frame)[0]))

    def forget(self, before: int) -> None:
        """Nothing: the batch is there anyway."""


class Masks:
    """A MASK beside frames: one for each, or the last for all that follow.

    Args:
        masks: (B, H, W), or one (H, W).
        frames: the frames.

    Raises:
        InputError: it is no MASK of their size.
    """

    def __init__(self, name: str, masks: torch.Tensor, frames: Frames) -> None:
        if not isinstance(masks, torch.Tensor) or masks.ndim not in (2, 3) or not masks.numel():
            raise InputError(f"{name}: mask is a {type(masks).__name__} of no frames, rows, columns; connect a MASK")
        self._masks = masks.reshape(-1, *masks.shape[-2:])  # (B, H, W)
        width, height = frames.size
        if self._masks.shape[1:] != (height, width):
            found = f"{self._masks.shape[2]}x{self._masks.shape[1]}"
            raise InputError(f"{name}: the mask is {found}, the pictures are {width}x{height}; give a mask of their size")
        self.size, self.expected = frames.size, frames.expected
        self.last, self.signature = frames.last, frames.signature

    def read(self, frame: int) -> Floats:
        """See `Frames.read`."""
        mask = self._masks[min(frame, len(self._masks) - 1)].detach().to("cpu", torch.float32).numpy()
        return arrays.tame(mask[None, None])  # (1, 1, H, W)

    def forget(self, before: int) -> None:
        """Nothing: the masks are there anyway."""


def luma_codes(rgb: Floats) -> Floats:
    """Luma (H, W) in 8-bit codes of limited range, as zimg makes it, of R'G'B' (3, H, W)."""
    luma = gamut.ycbcr_matrix("bt709")[:1] @ rgb.reshape(3, -1)
    return np.asarray(16 + 219 * luma.reshape(rgb.shape[1:]), np.float32)


class Cuts:
    """Where scenes begin among frames; each frame is looked at once.

    Args:
        frames: the picture as it was shot.
        kind: `auto`, or `none` for one scene.
    """

    def __init__(self, frames: Frames, kind: str) -> None:
        self._frames, self._kind = frames, kind
        self._signatures: dict[int, NDArray[np.uint8]] = {}
        self._found: dict[int, bool] = {}

    def __call__(self, frame: int) -> bool:
        """Whether a scene begins with a frame."""
        if self._kind == "none" or frame == 0:
            return False
        if frame not in self._found:
            around = [self._frames.last(max(frame + offset, 0)) for offset in range(-scenes.REACH, scenes.REACH)]
            for each in around:
                if each not in self._signatures:
                    self._signatures[each] = self._frames.signature(each)
            self._found[frame] = scenes.begins_scene(np.stack([self._signatures[each] for each in around]))
        return self._found[frame]

    def forget(self, before: int) -> None:
        """No frame before this one is asked for again."""
        for known in (self._signatures, self._found):
            for frame in [frame for frame in known if frame < before]:
                del known[frame]


SCENES = ("auto", "none")


@dataclass(frozen=True, eq=False)
class Clip:
    """A plan over frames: what a stage makes is a clip too, whose frames are computed when they are asked for.

    Attributes:
        node: end of the plan.
        sources: frames of each of its sources.
        cuts: of each of its sources of cuts.
        alpha: IMAGE whose alpha channel goes along, None for none.
    """

    node: Any
    sources: Mapping[Any, Frames]
    cuts: Mapping[Any, Cuts]
    alpha: torch.Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return next(iter(self.sources.values())).size

    @property
    def expected(self) -> int:
        """Frames, as far as is known."""
        return next(iter(self.sources.values())).expected


def source(signal: str, frames: Frames, alpha: torch.Tensor | None = None) -> Clip:
    """The clip of a signal that is given."""
    node = pipeline.Source(signal)
    return Clip(node, {node: frames}, {}, alpha)


def masks(name: str, given: torch.Tensor | None, clip: Clip) -> dict[str, Clip]:
    """A MASK beside a clip that is given, as `apply` takes it; nothing for none."""
    frames = next(iter(clip.sources.values()))
    return {} if given is None else {"mask": source("mask", Masks(name, given, frames))}


def apply(stage: stages.Stage, clips: Mapping[str, Clip], kind: str = "auto", cuts_from: str = "sdr") -> Clip:
    """The clip of a stage.

    Args:
        stage: what to do.
        clips: the clip of each signal that it has to be given. Clips that share a source object read it once.
        kind: a key of `SCENES`.
        cuts_from: signal of the picture in which scene cuts are looked for, where the clips bring none.

    Raises:
        InputError: the clips differ in size or length.
    """
    inputs = {signal: clips[signal] for signal in stage.given}
    sources: dict[Any, Frames] = {}
    cuts: dict[Any, Cuts] = {}
    for clip in inputs.values():
        sources |= clip.sources
        cuts |= clip.cuts
    facts = {signal: (*clip.size, clip.expected) for signal, clip in inputs.items()}
    if len(set(facts.values())) > 1:
        found = " and ".join(f"{signal} {w}x{h}, {n} frames" for signal, (w, h, n) in sorted(facts.items()))
        raise InputError(f"{stage.name}: images differ ({found}); give images of one size and number")
    own = None
    if stage.is_temporal:
        own = next((pipeline.cuts_of(clip.node) for clip in inputs.values() if pipeline.cuts_of(clip.node)), None)
        if own is None:
            picture = next((frames for node, frames in sources.items() if node.signal == cuts_from), None)
            own = pipeline.Source(pipeline.CUTS)
            cuts[own] = Cuts(picture or next(iter(sources.values())), kind)
    alpha = next((clip.alpha for clip in inputs.values() if clip.alpha is not None), None)
    return Clip(pipeline.build(stage, {signal: clip.node for signal, clip in inputs.items()}, own), sources, cuts, alpha)


def chain(found: list[stages.Stage], given: Mapping[str, Clip], kind: str = "auto") -> Clip:
    """The stages of `conversion.chain` one after another.

    Args:
        found: the stages.
        given: `sdr`, and `linear` where one of them reads it.
        kind: see `apply`.
    """
    clips = dict(given)
    for stage in found:
        clips["hdr"] = apply(stage, clips, kind)
    return clips["hdr"]


def run(clip: Clip, engine: engines.Engine, around: Callable[[Callable[[], Any]], Any] | None = None) -> Iterator[Any]:
    """The frames of a clip one after another, as host arrays (a tuple of planes where they are packed).

    Args:
        clip: any but a source.
        engine: runs networks.
        around: is given what computes a frame, to call it; None to have it called.
    """
    step = clip.node
    windows = pipeline.windows(step)
    low = min(span[0] for span in windows.values()) - scenes.REACH
    high = max(span[1] for span in windows.values())
    calls = calls_of(step, engine)
    memo = pipeline.Memo(step)
    first = next(iter(clip.sources.values()))

    def fetch(source: Any, frame: int) -> Any:
        return engine.upload(clip.sources[source].read(frame))

    def is_cut(source: Any, frame: int) -> bool:
        return clip.cuts[source](frame)

    def compute(frame: int) -> Any:
        return pipeline.compute(step, frame, (0, first.last(frame + high)), calls, fetch, is_cut, memo)

    held: tuple[Frames | Cuts, ...] = (*clip.sources.values(), *clip.cuts.values())
    for n in count():
        if first.last(n) < n:
            return
        result = compute(n) if around is None else around(partial(compute, n))
        for each in held:
            each.forget(n + 1 + low)
        yield tuple(map(engine.download, result)) if isinstance(result, tuple) else engine.download(result)


def calls_of(step: Any, engine: engines.Engine) -> dict[Any, Callable[..., Any]]:
    """What runs each stage of a plan."""
    found: dict[Any, Callable[..., Any]] = {}
    for node in pipeline.spans(step):
        if isinstance(node, pipeline.Step) and node.stage not in found:
            found |= pipeline.load(node.stage, engine)
    return found
