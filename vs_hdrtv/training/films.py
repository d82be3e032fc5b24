"""Two versions of a film, or two folders of pictures, into a data set: scenes found, alignment checked, frames written."""

from __future__ import annotations

import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import alignment, dataset
from .alignment import Alignment, Signatures
from .dataset import Entry

if TYPE_CHECKING:
    import vapoursynth as vs

Progress = Callable[[int, int], None]
"""Takes how many are done, and of how many."""

WHO = "dataset"
EDGE = 1
"""Frames at each end of a scene that are left out: cuts of old films are blended."""

NEAR_CHANGE = 5
"""Frames next to a change of offset that are left out: where a frame is missing is not known to the frame."""

PART_SECONDS = 120
"""Scenes within so much time share a place: a conversation cuts to and fro between the same pictures."""

PICTURES_A_PLACE = 10
"""Neighbouring pictures of a folder that share a place: they are often of one scene."""

SPLIT_BY = ("part", "film")
ASPECT = 0.01
"""Relative difference of the two aspect ratios above which films are not the same picture."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a data set is built.

    Attributes:
        frames: consecutive ones of a scene.
        crop: side of the square cut out of them in pixels; 0 keeps full frames.
        crops: squares a scene.
        split_by: `part`: parts of `PART_SECONDS` of a film are split; `film`: whole films are, as DSLNet's were.
        search: largest offset between the films that is looked for, in frames.
        seed: of the places of crops.
    """

    frames: int = 10
    crop: int = 480
    crops: int = 1
    split_by: str = "part"
    search: int = 3000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of range.
        """
        for name, least in (("frames", 1), ("crop", 0), ("crops", 1), ("search", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{WHO}: --{name} is {getattr(self, name)}; give {least} or more")
        if 0 < self.crop < 32 or self.crop % 2:
            raise InputError(f"{WHO}: --crop is {self.crop}; give an even number of 32 or more, or 0 for full frames")
        if self.split_by not in SPLIT_BY:
            raise InputError(f"{WHO}: --split-by is {self.split_by!r}; choose one of {', '.join(SPLIT_BY)}")


@dataclass(frozen=True)
class Built:
    """What came of a film.

    Attributes:
        written: scenes that were written now.
        there: scenes that were there already.
        left_out: scenes that were left out, by reason.
        lines: about the alignment.
    """

    written: int
    there: int
    left_out: Counter[str]
    lines: tuple[str, ...]


class Films:
    """The HDR and the SDR version of one film."""

    def __init__(self, hdr: Path, sdr: Path) -> None:
        """Open both.

        Raises:
            InputError: a file cannot be read, is not what it is given as, or the shapes of the pictures differ.
        """
        from .. import media
        from ..scope import read
        from ..sources import open_source

        self.paths = (hdr, sdr)
        video = read.open_video(hdr, WHO)
        if video.kind == "SDR":
            raise InputError(f"{WHO}: --hdr {hdr} is not tagged PQ or HLG; give the HDR version (are the two swapped?)")
        source = media.open_source(sdr, WHO)
        self.clips = {"hdr": video.clip, "sdr": source.clip}
        planes = {"hdr": video.hdr, "sdr": open_source(f"{WHO}: {sdr}", source.clip, "sdr").planes}
        sizes = {side: (clip.width, clip.height) for side, clip in self.clips.items()}
        (wide, tall), (width, height) = sizes["hdr"], sizes["sdr"]
        if abs(wide * height / (tall * width) - 1) > ASPECT:
            raise InputError(f"{WHO}: {hdr} is {wide}x{tall}, {sdr} is {width}x{height}; crop one so that both show the same")
        self.size = min(sizes.values())
        self.planes = {side: _scaled(clip, self.size) for side, clip in planes.items()}

    @property
    def rate(self) -> float:
        """Frames a second of the HDR film; 24 where they vary."""
        return float(self.clips["hdr"].fps) or 24.0

    def signatures(self, folder: Path | None, name: str, progress: Progress | None) -> tuple[Signatures, Signatures]:
        """Of every frame of both; kept in `folder`, where an interrupted run goes on."""
        total = sum(clip.num_frames for clip in self.clips.values())
        hdr = _signatures(self.clips["hdr"], folder and folder / f"{name}.hdr.luma", 0, total, progress)
        sdr = _signatures(self.clips["sdr"], folder and folder / f"{name}.sdr.luma", len(hdr), total, progress)
        return hdr, sdr

    def frame(self, side: str, number: int) -> NDArray[np.float32]:
        """(3, H, W) signal of a frame."""
        from ..sources import read_planes

        with self.planes[side].get_frame(number) as frame:
            signal: NDArray[np.float32] = read_planes(frame)[0]
            return signal


def check(hdr: Path, sdr: Path, search: int, progress: Progress | None = None) -> Alignment:
    """How two films fit; nothing is written.

    Raises:
        InputError: see `Films` and `alignment.align`.
    """
    return alignment.align(*Films(hdr, sdr).signatures(None, "", progress), search)


def build(
    hdr: Path,
    sdr: Path,
    output: Path,
    settings: Settings,
    name: str | None = None,
    progress: Progress | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> Built:
    """Add a film, or two folders of pictures, to the data set `output`, going on where an interrupted run stopped.

    Args:
        hdr: HDR10 or HLG film; or a folder of pictures, PQ, BT.2020.
        sdr: SDR film; or a folder of pictures of the same names, BT.1886, BT.709.
        output: folder of the data set.
        settings: what is taken of a scene.
        name: of the film in the data set; that of the SDR file by default.
        progress: is told of frames looked at, then of frames written.
        report: takes the lines about the alignment as soon as they are known.

    Raises:
        InputError: see `Films`, `alignment.align`, `dataset.Writer`; or only one of the two is a folder.
    """
    for side, path in (("hdr", hdr), ("sdr", sdr)):
        if not path.exists():
            raise InputError(f"{WHO}: --{side} {path} does not exist; check the name")
    if hdr.is_dir() != sdr.is_dir():
        raise InputError(f"{WHO}: one of {hdr} and {sdr} is a folder, the other is not; give two films or two folders")
    if hdr.samefile(sdr):
        raise InputError(f"{WHO}: --hdr and --sdr are both {hdr}; give two versions")
    name = name or (sdr.name if sdr.is_dir() else sdr.stem).replace(" ", "_")
    if hdr.is_dir():
        return _build_pictures(hdr, sdr, output, settings, name, progress)
    return _build_film(Films(hdr, sdr), output, settings, name, progress, report)


def _build_film(
    films: Films, output: Path, settings: Settings, name: str, progress: Progress | None, report: Callable[[str], object]
) -> Built:
    # By size, not by time or folder: a file that was moved is the same film.
    files = {side: [path.name, path.stat().st_size] for side, path in zip(("hdr", "sdr"), films.paths, strict=True)}
    writer = dataset.Writer(output, name, files | asdict(settings))
    hdr, sdr = films.signatures(output / "films", name, progress)
    try:
        found = alignment.align(hdr, sdr, settings.search)
    except InputError:
        writer.forget()
        raise
    lines = tuple(found.report())
    for line in lines:
        report(line)
    left_out: Counter[str] = Counter()
    wanted = []
    for scene in alignment.find_scenes(hdr):
        chosen = _choose(scene, found, hdr, settings.frames)
        if isinstance(chosen, str):
            left_out[chosen] += 1
        else:
            wanted.append(chosen)
    written, there, done, total = 0, 0, 0, len(wanted) * settings.frames
    for first, offset in wanted:
        entries = list(_entries(first, offset, films, found, settings, name))
        missing = [entry for entry in entries if entry.key not in writer.done]
        if missing:
            numbers = range(first, first + settings.frames)
            frames = [(films.frame("sdr", number + offset), films.frame("hdr", number)) for number in numbers]
            for entry in missing:
                writer.add(entry, [(_cut(low, entry), _cut(high, entry)) for low, high in frames])
        written, there = written + len(missing), there + len(entries) - len(missing)
        done += settings.frames
        if progress is not None:
            progress(done, total)
    return Built(written, there, left_out, lines)


def _choose(scene: range, found: Alignment, hdr: Signatures, frames: int) -> tuple[int, int] | str:
    """First frame and offset of what is taken of a scene, from its middle; or why nothing is."""
    if len(scene) < frames + 2 * EDGE:
        return f"shorter than {frames + 2 * EDGE} frames"
    first = scene.start + (len(scene) - frames) // 2
    last = first + frames - 1
    if not alignment.ranks(hdr[first : last + 1]).any(axis=1).all():
        return "black or flat"
    offset = found.offset(first, last, NEAR_CHANGE)
    if offset is None:
        return "at a missing frame, or in one film only"
    if found.per_frame[first : last + 1].min() < alignment.ALIKE:
        return "the two do not show the same"
    return first, offset


def _entries(first: int, offset: int, films: Films, found: Alignment, settings: Settings, name: str) -> Iterator[Entry]:
    place = name if settings.split_by == "film" else f"{name}/{int(first / films.rate // PART_SECONDS)}"
    fit = round(float(found.per_frame[first : first + settings.frames].min()), 4)
    for number, box in enumerate(_boxes(films.size, settings, (zlib.crc32(name.encode()), first))):
        key = f"{name}-{first:07d}-{number}"
        yield Entry(key, name, place, settings.frames, first, first + offset, *box, fit)


def _boxes(size: tuple[int, int], settings: Settings, key: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of each crop, at even places."""
    width, height = size
    if not settings.crop:
        yield 0, 0, width, height
        return
    rng = np.random.default_rng((settings.seed, *key))
    wide, tall = min(settings.crop, width), min(settings.crop, height)
    for _ in range(settings.crops):
        yield int(rng.integers((width - wide) // 2 + 1)) * 2, int(rng.integers((height - tall) // 2 + 1)) * 2, wide, tall


def _cut(picture: NDArray[np.float32], entry: Entry) -> NDArray[np.float32]:
    return picture[:, entry.top : entry.top + entry.height, entry.left : entry.left + entry.width]


def _signatures(clip: vs.VideoNode, kept: Path | None, before: int, total: int, progress: Progress | None) -> Signatures:
    """Of every frame of a clip; in a file of plain bytes, so that what is cut off by a power cut is one frame at most."""
    import vapoursynth as vs

    luma = clip if clip.format.color_family == vs.GRAY else clip.resize.Bilinear(format=vs.GRAY16, matrix=vs.MATRIX_BT709)
    if clip.format.color_family == vs.YUV:
        luma = clip.std.ShufflePlanes(0, vs.GRAY)
    small = luma.resize.Bilinear(alignment.WIDTH, alignment.HEIGHT, format=vs.GRAY8)
    length = alignment.WIDTH * alignment.HEIGHT
    held = kept.read_bytes() if kept is not None and kept.is_file() else b""
    done = min(len(held) // length, clip.num_frames)
    found = [held[: done * length]]
    # Unbuffered and one write a frame: what is on disk is whole frames.
    with io.BytesIO() if kept is None else kept.open("r+b" if held else "w+b", buffering=0) as file:
        file.seek(done * length)
        file.truncate()
        for number, frame in enumerate(small[done:].frames(close=True) if done < clip.num_frames else (), done + 1):
            found.append(np.ascontiguousarray(frame[0]).tobytes())
            file.write(found[-1])
            if progress is not None:
                progress(before + number, total)
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, alignment.HEIGHT, alignment.WIDTH)


def _scaled(clip: vs.VideoNode, size: tuple[int, int]) -> vs.VideoNode:
    """A clip brought down to `size` in light, as a camera of fewer pixels had seen it; as it is where it has that size."""
    import vapoursynth as vs

    if (clip.width, clip.height) == size:
        return clip
    transfer = int(clip.get_frame(0).props["_Transfer"])
    light = clip.resize.Bilinear(transfer=vs.TRANSFER_LINEAR)
    return light.resize.Bilinear(*size).resize.Bilinear(transfer=transfer)


def _build_pictures(hdr: Path, sdr: Path, output: Path, settings: Settings, name: str, progress: Progress | None) -> Built:
    """Folders of pictures, as HDRTV1K comes: a pair is a scene of one frame."""
    both = [{path.name: path for path in sorted(folder.glob("*.png"))} for folder in (hdr, sdr)]
    names = sorted(both[0].keys() & both[1].keys())
    if not names:
        raise InputError(
            f"{WHO}: no .png of the same name among {len(both[0])} in {hdr} and {len(both[1])} in {sdr}; give folders of pairs"
        )
    left_out: Counter[str] = Counter()
    left_out["without a partner"] += len(both[0].keys() ^ both[1].keys())
    writer = dataset.Writer(output, name, {"hdr": hdr.name, "sdr": sdr.name} | asdict(settings))
    written = there = 0
    for number, file in enumerate(names):
        place = name if settings.split_by == "film" else f"{name}/{number // PICTURES_A_PLACE}"
        stem = Path(file).stem
        keys = [f"{name}-{stem}-{crop}" for crop in range(settings.crops if settings.crop else 1)]
        if all(key in writer.done for key in keys):
            there += len(keys)
        else:
            high, low = (dataset.read_picture(side[file]) for side in both)
            fit = _likeness(high, low) if high.shape == low.shape else 0.0
            if high.shape != low.shape or fit < alignment.ALIKE:
                left_out["the two do not show the same" if high.shape == low.shape else "of two sizes"] += 1
                continue
            boxes = _boxes((high.shape[2], high.shape[1]), settings, (zlib.crc32(f"{name}/{stem}".encode()), 0))
            for key, box in zip(keys, boxes, strict=True):
                entry = Entry(key, name, place, 1, number, number, *box, round(fit, 4))
                writer.add(entry, [(_cut(low, entry), _cut(high, entry))])
            written += len(keys)
        if progress is not None:
            progress(number + 1, len(names))
    if not written + there:
        writer.forget()
        raise InputError(f"{WHO}: no pair of {hdr} and {sdr} shows the same picture at the same size; check the folders")
    return Built(written, there, +left_out, ())


def _likeness(hdr: NDArray[np.float32], sdr: NDArray[np.float32]) -> float:
    """Rank correlation of two pictures (3, H, W) of coded values."""
    import cv2

    codes = []
    for picture in (hdr, sdr):
        luma = np.asarray(np.tensordot(np.array([0.25, 0.65, 0.1], np.float32), picture, axes=1))
        small = cv2.resize(luma, (alignment.WIDTH, alignment.HEIGHT), interpolation=cv2.INTER_AREA)
        codes.append(np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8))
    first, second = alignment.ranks(np.stack(codes))
    return float(first @ second)


def as_json(found: Alignment) -> dict[str, Any]:
    """An alignment as JSON has it."""
    return {
        "aligned": found.aligned,
        "correlation": round(found.correlation, 4),
        "spans": [asdict(span) for span in found.spans],
    }
