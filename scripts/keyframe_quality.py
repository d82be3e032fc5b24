"""What the stages of VITM-TC recover: held-out clips of changing exposure, the over-exposed region alone, beside simpler ways.

    python scripts/keyframe_quality.py --data DIR                       # DIR/hdr_stills; models icam and fcpm, flow by DIS
    python scripts/keyframe_quality.py --data DIR --flow flow --clips 12 --picture out.png
    python scripts/keyframe_quality.py --hdr CLIP --at 38 --size 192 --picture out.png  # one real HDR clip, its light clipped

A clip is a camera's path over a held-out HDR picture while the exposure changes by some stops, delivered in 8 bits. Of each
the frames in the middle are measured, whose key frames and references lie up to half of the clip away. The truth is the light
that the exposure clipped, up to --peak, in BT.2020 PQ. Rows:

    clipped        the frame's own light
    HDCFM + PDCG   the frame alone by the shipped networks (their chain is --single)
    copied         the nearest recovered key frame, blended in as it is
    warped         the same, warped by plain DIS flow
    ICAM           ICAM on every frame
    ICAM + FCPM    key frames recovered, then propagated: the filters of this package
    merged         their highlights in the first network's picture (--single up to its +): preset recover

PU21-PSNR over the pixels of the mask; ColorVideoVDP of clips that are the truth outside of it; and how far the change of luma
from frame to frame is from the truth's there, in 10-bit codes. With --match one gain a clip brings the median of the row's light
over the mask's rim to the truth's, since networks of the first stage grade the light of a frame in their own way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vs_hdrtv import engines, weights
from vs_hdrtv.color import highlights
from vs_hdrtv.color.gamut import convert, luminance
from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.color.transfer import REFERENCE_WHITE, bt1886_eotf, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes import dis, registration
from vs_hdrtv.keyframes.grid import Grid
from vs_hdrtv.keyframes.propagation import Propagation
from vs_hdrtv.keyframes.recovery import Recovery
from vs_hdrtv.metrics import methods, overexposed
from vs_hdrtv.metrics.results import check_numbers
from vs_hdrtv.metrics.samples import stills_folder
from vs_hdrtv.training import clips, key_frames, pairs, scenes

Frames = NDArray[np.float32]
"""(N, 3, H, W)."""

GRID = Grid()
RATE = 24.0
RIM = 0.85
"""Signal of the largest channel from which a pixel outside the mask belongs to its rim."""


@dataclass(frozen=True)
class Exposed:
    """A clip and its truth.

    Attributes:
        name: of the scene.
        sdr: signal of all frames.
        linear: light of all frames before it clips.
        measured: the frames that are measured.
    """

    name: str
    sdr: Frames
    linear: Frames
    measured: range


def made(data: Path, count: int, frames: int, size: int, seed: int) -> Iterator[Exposed]:
    """Clips of the held-out scenes in turn, of which at least 2 % is over-exposed, and somewhere else less."""
    found = scenes.find(stills_folder(data), "test")
    middle = frames // 2 // GRID.stride * GRID.stride
    measured = range(middle, middle + GRID.stride)
    taken = 0
    for number in range(20 * count):
        scene = found[number % len(found)]
        rng = np.random.default_rng((seed, number))
        motion = clips.Motion(layers=0.4, speed=0.5)
        sdr, linear, _ = key_frames.exposed([scene.read()], frames, size, rng, motion, period=1.0 * frames)
        shares = key_frames.overexposed_shares(sdr)
        inside = float(shares[measured].mean())
        if key_frames.RECOVERABLE <= inside <= key_frames.MOST and inside - shares.min() >= key_frames.RECOVERABLE:
            delivered = np.asarray(pairs.deliver(sdr, rng, pairs.PLAIN), dtype=np.float32)
            yield Exposed(f"{scene.name} {number}", delivered, linear.astype(np.float32), measured)
            taken += 1
        if taken == count:
            return
    raise InputError(f"keyframe_quality: only {taken} clips have something to recover; give fewer --clips, or more pictures")


def filmed(path: Path, at: int, size: int, stops: float) -> Iterator[Exposed]:
    """A real HDR clip, its shorter side `size`, as a camera saw it that clips at white; the group of `at` is measured."""
    import cv2

    found = []
    for light in scenes.read_video(scenes.Scene(path.stem, path.stem, "test", path), 10_000):
        height, width = (round(side * size / min(light.shape[:2]) / 2) * 2 for side in light.shape[:2])
        small = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float64)
        found.append(np.maximum(convert(np.moveaxis(small, -1, 0)[None], "bt2020", "bt709")[0], 0) * 2.0**stops)
    if not 0 <= at < len(found):
        raise InputError(f"keyframe_quality: --at is {at}; {path} has {len(found)} frames that are PQ or HLG")
    linear = np.stack(found)
    sdr = np.asarray(bt1886_inverse_eotf(np.clip(linear, 0, 1)))
    delivered = np.asarray(pairs.deliver(sdr, np.random.default_rng(0), pairs.PLAIN), dtype=np.float32)
    first, last = GRID.group(at, (0, len(found) - 1))
    yield Exposed(path.stem, delivered, linear.astype(np.float32), range(first, last + 1))


def shown(linear: Any, peak: float) -> Frames:
    """Light of BT.709 primaries to PQ of BT.2020, up to `peak` cd/m2."""
    light = REFERENCE_WHITE * np.asarray(convert(np.maximum(linear, 0), "bt709", "bt2020"))
    return np.asarray(pq_inverse_eotf(np.minimum(light, peak)), dtype=np.float32)


def rows(engine: engines.Engine, asked: argparse.Namespace) -> dict[str, Callable[[Exposed], Frames]]:
    """Name -> PQ of the measured frames of a clip."""
    flow = None if asked.flow == "dis" else weights.find(asked.flow)
    recovery = Recovery(engine, flow, weights.find(asked.icam))
    propagation = Propagation(recovery, engine, weights.find(asked.fcpm))
    first = asked.single.partition("+")[0]
    alone = methods.collect([], list(dict.fromkeys([asked.single, first])), None, engine.name)
    single, mapped = alone[asked.single], alone[first]
    kept: dict[tuple[str, int], Frames] = {}

    def recovered(clip: Exposed, n: int) -> Frames:
        """(1, 3, H, W) light of frame n by ICAM."""
        if (clip.name, n) not in kept:
            others = GRID.references_of(n, (0, len(clip.sdr) - 1))
            uploaded = (engine.upload(clip.sdr[at][None]) for at in others)
            kept[clip.name, n] = np.asarray(engine.download(recovery.recover(engine.upload(clip.sdr[n][None]), uploaded)[0]))
        return kept[clip.name, n]

    def blended(clip: Exposed, n: int, light: Frames) -> Frames:
        sdr = clip.sdr[n][None]
        return shown(highlights.blend(sdr, light, overexposure_mask(sdr)), asked.peak)[0]

    def key(clip: Exposed, n: int) -> int:
        return GRID.key(n, (0, len(clip.sdr) - 1))

    def warped(clip: Exposed, n: int) -> Frames:
        flow, _ = dis.estimate(clip.sdr[n], clip.sdr[key(clip, n)])
        with registration.opencv() as cv2:
            return np.stack([registration.moved(cv2, plane, flow) for plane in recovered(clip, key(clip, n))[0]])[None]

    def light_of(clip: Exposed) -> list[Frames]:
        """(1, 3, H, W) of each measured frame, propagated and blended."""
        scene = (0, len(clip.sdr) - 1)
        low, high = max(clip.measured[0] - asked.overlap, 0), min(clip.measured[-1] + asked.overlap, scene[1])
        nearest = [GRID.nearest_keys(n, scene) for n in range(low, high + 1)]
        keys = sorted({at for each in nearest for at in each})
        found = propagation.propagate(
            [engine.upload(clip.sdr[n][None]) for n in range(low, high + 1)],
            [engine.upload(recovered(clip, at)) for at in keys],
            [engine.upload(clip.sdr[at][None]) for at in keys],
            [tuple(keys.index(at) for at in each) for each in nearest],
        )
        light = dict(zip(range(low, high + 1), found, strict=True))
        sources = ((clip.sdr[n][None], np.asarray(engine.download(light[n]))) for n in clip.measured)
        return [highlights.blend(sdr, each, overexposure_mask(sdr)) for sdr, each in sources]

    def merged(clip: Exposed) -> Frames:
        hdr = np.asarray(mapped(clip.sdr[clip.measured.start : clip.measured.stop], ()))
        given = zip(hdr, clip.measured, propagated[clip.name], strict=True)
        sources = ((each[None], clip.sdr[n][None], light) for each, n, light in given)
        found = [highlights.merge_highlights(*each, overexposure_mask(each[1]), asked.peak) for each in sources]
        return np.concatenate(found).astype(np.float32)

    propagated: dict[str, list[Frames]] = {}

    def carried(clip: Exposed) -> Frames:
        propagated[clip.name] = light_of(clip)
        return np.concatenate([shown(light, asked.peak) for light in propagated[clip.name]])

    def each(light: Callable[[Exposed, int], Frames]) -> Callable[[Exposed], Frames]:
        return lambda clip: np.stack([blended(clip, n, light(clip, n)) for n in clip.measured])

    return {
        "clipped": each(lambda clip, n: np.asarray(bt1886_eotf(clip.sdr[n][None]))),
        asked.single: lambda clip: np.asarray(single(clip.sdr[clip.measured.start : clip.measured.stop], ())),
        "copied": each(lambda clip, n: recovered(clip, key(clip, n))),
        "warped": each(warped),
        "ICAM": each(recovered),
        "ICAM + FCPM": carried,
        "merged": merged,  # after the row above, whose light it takes
    }


def matched(hdr: Frames, truth: Frames, sdr: Frames) -> Frames:
    """`hdr` with one gain on light: the median ratio to the truth over the rim of the mask."""
    largest = sdr.max(axis=1, keepdims=True)
    rim = (largest >= RIM) & ~overexposed.mask(sdr)
    light, wanted = (np.asarray(luminance(pq_eotf(each), "bt2020")) for each in (hdr, truth))
    if not rim.any():
        return hdr
    gain = float(np.exp(np.median(np.log((wanted[rim] + 0.1) / (light[rim] + 0.1)))))
    return np.asarray(pq_inverse_eotf(pq_eotf(hdr) * gain), dtype=np.float32)


def change_error(hdr: Frames, truth: Frames, inside: NDArray[np.bool_]) -> float:
    """Mean of |change of luma from frame to frame - the truth's| over the mask, 10-bit codes."""
    lumas = [np.asarray(luminance(each, "bt2020")) for each in (hdr, truth)]
    steps = [1023 * np.diff(each, axis=0) for each in lumas]
    both = inside[1:] & inside[:-1]
    return float(np.abs(steps[0] - steps[1])[both].mean()) if both.any() else float("nan")


def measure(hdr: Frames, truth: Frames, sdr: Frames) -> list[float]:
    """PU21-PSNR, ColorVideoVDP and error of the change."""
    inside = overexposed.mask(sdr)
    psnr = [overexposed.pu21_psnr(*each) for each in zip(hdr, truth, inside, strict=True)]
    return [float(np.nanmean(psnr)), overexposed.vdp(hdr, truth, inside, RATE), change_error(hdr, truth, inside)]


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line.

    Raises:
        InputError: a number is too small.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    what.add_argument("--hdr", type=Path, metavar="CLIP", help="instead: one HDR10 or HLG clip of a scene whose exposure changes")
    parser.add_argument("--at", type=int, default=0, help="of --hdr: frame whose group is measured (default: %(default)s)")
    parser.add_argument("--stops", type=float, default=0.0, help="of --hdr: exposure of its SDR (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=67, help="of each clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="side in pixels, even (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=1000.0, help="cd/m2 of the truth's brightest light (default: %(default)s)")
    parser.add_argument("--overlap", type=int, default=4, help="frames propagated beyond both ends (default: %(default)s)")
    parser.add_argument("--icam", default="icam", help="model (default: %(default)s)")
    parser.add_argument("--fcpm", default="fcpm", help="model (default: %(default)s)")
    parser.add_argument("--flow", default="dis", help="model of the initial flow, or dis (default: %(default)s)")
    parser.add_argument("--single", default="hdcfm+pdcg", help="chain for the frame alone (default: %(default)s)")
    parser.add_argument("--match", action="store_true", help="match the light at the mask's rim, one gain a clip")
    parser.add_argument("--engine", default="auto", help="(default: %(default)s)")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="the first clip's middle frame by every row, and the truth")
    arguments = parser.parse_args(argv)
    least = {"clips": 1, "frames": 12, "size": 64, "overlap": 0}
    check_numbers([(f"--{name}", getattr(arguments, name), low) for name, low in least.items()])
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Measure and print the table."""
    asked = parse(argv)
    engine = engines.create(asked.engine)
    compared = rows(engine, asked)
    found: dict[str, list[list[float]]] = {name: [] for name in compared}
    pictures: list[Frames] = []
    if asked.hdr:
        clips_of = filmed(asked.hdr, asked.at, asked.size, asked.stops)
    else:
        clips_of = made(asked.data, asked.clips, asked.frames, asked.size, asked.seed)
    for clip in clips_of:
        chosen = slice(clip.measured.start, clip.measured.stop)
        truth, sdr = shown(clip.linear[chosen], asked.peak), clip.sdr[chosen]
        first = not any(found.values())
        for name, convert_clip in compared.items():
            hdr = convert_clip(clip)
            hdr = matched(hdr, truth, sdr) if asked.match else hdr
            found[name].append(measure(hdr, truth, sdr))
            if first:
                pictures.append(hdr[len(hdr) // 2])
        if first:
            pictures = [sdr[len(sdr) // 2], *pictures, truth[len(truth) // 2]]
    if asked.picture:
        write(asked.picture, pictures, asked.peak)
    of = asked.hdr.name if asked.hdr else f"{asked.clips} clips of {asked.frames} frames"
    print(f"{of}, {asked.size} px, flow by {asked.flow}; over-exposed pixels alone\n")
    print("| | PU21-PSNR, dB | ColorVideoVDP, JOD | error of the change, 10-bit codes |\n|---|---|---|---|")
    for name, values in found.items():
        psnr, jod, change = np.nanmean(np.array(values), axis=0)
        print(f"| {name} | {psnr:.2f} | {jod:.3f} | {change:.2f} |")


def write(path: Path, pictures: list[Frames], peak: float) -> None:
    """A row of pictures: SDR first, then HDR toned down to the light of an SDR display, bright parts told apart."""
    from PIL import Image

    panels = [pictures[0]]
    for hdr in pictures[1:]:
        light = np.asarray(pq_eotf(hdr)) / peak
        panels.append((light / (light + 0.25) * 1.25) ** (1 / 2.4))
    row = np.concatenate([np.moveaxis(np.clip(panel, 0, 1), 0, -1) for panel in panels], axis=1)
    Image.fromarray(np.rint(255 * row).astype(np.uint8)).save(path)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
