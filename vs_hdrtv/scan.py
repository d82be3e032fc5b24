"""Is a clip progressive, interlaced video, or film under 3:2 pulldown? What a file says of it is often wrong.

Motion tells. Let the fields of frame n be T(n) and B(n). How badly T(i) and B(j) fit together as one picture grows with the time
between them, on top of what noise and fine detail add to every pair alike. Of the five pairs around frame n,

    progressive     (n, n) fits best, and the pairs one frame apart fit equally badly before and after
    interlaced      B(n) is half a frame after T(n) (top field first): (n, n - 1) fits as well as (n, n), (n, n + 1) far worse
    3:2 pulldown    in two frames of five (n, n) fits badly while a pair with a neighbour fits perfectly

Stripes, noise, cuts and fades raise pairs alike, so that they do not look like combing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import vapoursynth as vs

Kind = Literal["progressive", "interlaced", "telecined"]

RUN = 12
"""Consecutive frames of a sample: the ten inner ones are judged, two cycles of 3:2 pulldown."""

COLUMNS = 512
"""Columns that are looked at, evenly spread; rows are all needed."""

STILL = 0.1
"""8-bit codes by which the best and the worst pair of a frame must differ to call it moving."""

MISFIT = 0.25
"""Share of that difference by which (n, n) is above the best pair in a frame woven of two pictures. Linear motion gives 0.5 there
and 0 elsewhere."""

LOPSIDED = 0.6
"""Asymmetry of before and after above which a frame looks like video: 1 for steady video, 0 for progressive, 0, 1/2 and 3/4 in
the frames of a pulldown."""

ENOUGH = 4
"""Moving frames without which nothing is concluded."""

DOUBT = 0.15
"""Share of the moving frames that may look woven in a progressive clip: cuts, titles and fine noise do."""

_CYCLE = 5
_TAGS = {"bottom": 1, "top": 2}
_MOST = 0.6
"""Share of the moving frames that makes a clip video. Cuts, titles and stills within it look progressive."""


@dataclass(frozen=True)
class Scan:
    """What `recognise` found.

    Attributes:
        kind: how the pictures are to be taken.
        field_order: "top" or "bottom" field first where the kind has one; as the motion has it, the tag's where nothing moves.
        tagged: `_FieldBased` of the first frame: 0 progressive, 1 bottom, 2 top field first, None where it says nothing.
        mistagged: a frame's tag says the other field order, which deinterlacers would believe.
        frames: frames that were judged.
        moving: those of them with motion, without which nothing can be seen.
        combed: moving frames woven of two pictures of which a neighbour holds the other halves (pulldown).
        video: moving frames whose fields are half a frame apart.
    """

    kind: Kind
    field_order: Literal["top", "bottom"] | None
    tagged: int | None
    mistagged: bool
    frames: int
    moving: int
    combed: int
    video: int

    @property
    def mixed(self) -> bool:
        """Taken for progressive although a good part of what moves is woven of two pictures: a mixed or badly made source."""
        return self.kind == "progressive" and self.video + self.combed > DOUBT * max(self.moving, ENOUGH)

    @property
    def evidence(self) -> str:
        """The numbers in words."""
        return f"{self.moving} of {self.frames} frames move; {self.video} look like video, {self.combed} like pulldown"

    @property
    def advice(self) -> str:
        """What to do before anything else, one line; empty for a progressive clip that says so."""
        top = self.field_order != "bottom"
        clip = f"core.std.SetFieldBased(clip, {_TAGS['top' if top else 'bottom']})" if self.mistagged else "clip"
        if self.kind == "interlaced":
            return f"deinterlace it: core.bwdif.Bwdif({clip}, field={3 if top else 2})"
        if self.kind == "telecined":
            film = f"core.vivtc.VFM({clip}, order={int(top)}).vivtc.VDecimate()"
            return f"undo the pulldown: {film} (pip install vapoursynth-vivtc)"
        if self.mixed:
            return "some of it is woven of two pictures: look at it, and deinterlace it if it is combed"
        if self.tagged:
            return "it is tagged interlaced but its frames are whole: core.std.SetFieldBased(clip, 0)"
        return ""


def recognise(clip: vs.VideoNode, samples: int = 8) -> Scan:
    """Find out how a clip's frames are made.

    A tag that says interlaced is believed where too little moves to judge; one that says progressive is not: encoders set it by
    default.

    Args:
        clip: constant format; luma is read (green of RGB).
        samples: runs of `RUN` consecutive frames to look at, evenly spread: the same for the same clip.

    Returns:
        The finding; a clip of fewer than three frames, of fewer than eight rows or without motion is what its tag says.
    """
    with clip.get_frame(0) as first:
        tagged = _tag(first)
    tags = {tagged}
    runs = [_judge(_read(clip, run, tags)) for run in _runs(clip.num_frames, samples)] if clip.height >= 8 else []
    frames = sum(len(run) for run in runs)
    moving = [frame for run in runs for frame in run if frame is not None]
    lean = sum(frame.lean for frame in moving)
    combed = sum(frame.combed for frame in moving)
    video = sum(frame.video(lean) for frame in moving)
    kind = _decide(runs, tagged, combed, video, len(moving))
    order: Literal["top", "bottom"] | None = None
    if kind != "progressive":
        order = "bottom" if (lean < 0 if len(moving) >= ENOUGH else tagged == _TAGS["bottom"]) else "top"
    mistagged = order is not None and bool(tags & set(_TAGS.values()) - {_TAGS[order]})
    return Scan(kind, order, tagged, mistagged, frames, len(moving), combed, video)


@dataclass(frozen=True)
class _Frame:
    """A moving frame: `misfit` of its own fields, [0, 1], and how much `lean` there is to top (+) or bottom (-) field first."""

    misfit: float
    lean: float

    @property
    def combed(self) -> bool:
        return self.misfit > MISFIT

    def video(self, lean: float) -> bool:
        """Whether the fields are half a frame apart, in the order that all frames together lean to."""
        return not self.combed and self.lean * (1 if lean > 0 else -1) > LOPSIDED


def _decide(runs: Sequence[Sequence[_Frame | None]], tagged: int | None, combed: int, video: int, moving: int) -> Kind:
    untold: Kind = "interlaced" if tagged else "progressive"
    if moving < ENOUGH:
        return untold
    if combed >= max(ENOUGH, 0.2 * moving) and combed <= 0.7 * moving and _in_cycle(runs) >= 0.8 * combed:
        return "telecined"
    if video + combed >= _MOST * moving and video > combed:
        return "interlaced"
    # A tag is outweighed by clear evidence only: whole frames, tagged interlaced, are common on PAL discs of films.
    return "progressive" if video + combed <= 0.1 * moving else untold


def _in_cycle(runs: Sequence[Sequence[_Frame | None]]) -> int:
    """Combed frames that lie, run by run, in two neighbouring places of a cycle of five."""
    found = 0
    for run in runs:
        places = np.zeros(_CYCLE, int)
        for place, frame in enumerate(run):
            places[place % _CYCLE] += frame is not None and frame.combed
        found += int((places + np.roll(places, 1)).max())
    return found


def _runs(frames: int, samples: int) -> list[range]:
    """First to last frame of each sample, at absolute places."""
    if frames < 3:
        return []
    count = max(1, min(samples, frames // RUN))
    length = RUN if frames // RUN >= samples else frames // count
    length = min(length, 2 * RUN)
    starts = np.linspace(0, frames - length, count).round().astype(int) if count > 1 else np.array([(frames - length) // 2])
    return [range(start, start + length) for start in starts.tolist()]


def _tag(frame: vs.VideoFrame) -> int | None:
    return int(frame.props["_FieldBased"]) if "_FieldBased" in frame.props else None


def _read(clip: vs.VideoNode, run: range, tags: set[int | None]) -> NDArray[np.float32]:
    """(frames, rows, columns) of luma in 8-bit codes; the frames' tags are added to `tags`."""
    import vapoursynth as vs

    assert clip.format is not None
    plane = 1 if clip.format.color_family == vs.RGB else 0
    scale = 255.0 if clip.format.sample_type == vs.FLOAT else 2.0 ** (8 - clip.format.bits_per_sample)
    rows, step = clip.height // 2 * 2, -(-clip.width // COLUMNS)
    found = []
    for frame in clip[run.start : run.stop].frames(close=True):
        tags.add(_tag(frame))
        luma = np.asarray(frame[plane])[:rows, ::step].astype(np.float32) * np.float32(scale)
        found.append(luma if clip.format.sample_type == vs.INTEGER else np.nan_to_num(luma, posinf=255.0, neginf=0.0))
    return np.stack(found)


def _judge(luma: NDArray[np.float32]) -> list[_Frame | None]:
    """Each inner frame of a run; None where nothing moves."""
    top, bottom = luma[:, 0::2], luma[:, 1::2]
    kept: dict[tuple[int, int], NDArray[np.float32]] = {}

    def misfit(i: int, j: int) -> NDArray[np.float32]:
        if (i, j) not in kept:
            kept[i, j] = _misfit(top[i], bottom[j])
        return kept[i, j]

    frames = []
    for n in range(1, len(luma) - 1):
        around = ((n, n), (n, n + 1), (n - 1, n), (n, n - 1), (n + 1, n))
        frames.append(_frame([misfit(i, j) for i, j in around]))
        for pair in [pair for pair in kept if min(pair) < n]:
            del kept[pair]
    return frames


def _frame(maps: list[NDArray[np.float32]]) -> _Frame | None:
    """A frame from how its own fields fit, then the two pairs with a later bottom field, then the two with an earlier one."""
    means = [float(each.mean()) for each in maps]
    best, worst = min(means), max(means)
    difference = worst - best
    if difference < STILL:
        return None
    # Seven standard errors: the means of five pairs that differ by noise alone spread by about 2.3.
    apart = maps[means.index(worst)] - maps[means.index(best)]
    if difference < 7 * float(apart.std()) / np.sqrt(apart.size):
        return None
    own, *others = means
    return _Frame((own - best) / difference, (sum(others[:2]) - sum(others[2:])) / (2 * difference))


def _misfit(top: NDArray[np.float32], bottom: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each row from the middle of the rows of the other field beside it."""
    return np.concatenate([np.abs(top[1:] - (bottom[:-1] + bottom[1:]) / 2), np.abs(bottom[:-1] - (top[:-1] + top[1:]) / 2)])
