"""Mutation fuzz of `vs-hdrtv info` and `vs-hdrtv convert`: damaged files in, no crash, no hang, no partial file out.

    python scripts/fuzz.py --seconds 600 --seed 1

Each file is one of a few small valid ones, damaged by a seeded generator: bytes changed, pieces cut, doubled, swapped, zeroed,
the end missing. Every run must end by itself with exit code 0 (a result) or 2 (one line on stderr), leave nothing but a finished
file, and never show a traceback. What fails is kept in --keep with its command.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np

HANG = 120.0
"""Seconds after which a run counts as one that hangs: a whole one takes two, on an idle machine."""

SEEDS = {
    "h264.mp4": ("libx264", "aac"),
    "h264.mkv": ("libx264", "aac"),
    "mpeg2.mpg": ("mpeg2video", "mp2"),
    "vp9.webm": ("libvpx-vp9", "libopus"),
    "mpeg4.avi": ("mpeg4", "mp2"),
    "ffv1.mkv": ("ffv1", "flac"),
}
"""Name of a valid file: its video and its audio encoder."""


def write_seed(path: Path, video: str, audio: str, frames: int = 10) -> None:
    """A small film with a moving ramp and a tone."""
    import av

    with av.open(str(path), "w") as file:
        picture = file.add_stream(video, rate=Fraction(25))
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound = file.add_stream(audio, rate=48000, layout="stereo")
        for n in range(frames):
            frame = av.VideoFrame(96, 64, "yuv420p")
            for plane in frame.planes:
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                samples[:] = (np.arange(plane.line_size) * 2 + 5 * n) % 200 + 20
            frame.pts, frame.time_base = n, Fraction(1, 25)
            file.mux(picture.encode(frame))
        file.mux(picture.encode())
        layout = "s16" if audio == "flac" else "fltp"
        wave = np.sin(np.arange(19200) / 17)
        size = sound.codec_context.frame_size or 1024
        for start in range(0, 19200 - size, size):
            block = wave[start : start + size]
            if layout == "s16":
                array = np.repeat((block * 9000).astype(np.int16), 2)[None]
            else:
                array = np.stack([block, block]).astype(np.float32)
            if audio in {"mp2", "libopus"}:
                array, layout = np.repeat((block * 9000).astype(np.int16), 2)[None], "s16"
            samples = av.AudioFrame.from_ndarray(array, layout, "stereo")
            samples.sample_rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
            file.mux(sound.encode(samples))
        file.mux(sound.encode())


def damage(data: bytes, rng: random.Random) -> bytes:
    """`data` with one to eight faults, most of them where headers are: at the start and at the end."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        where = rng.random()
        size = len(found)
        if size < 16:
            break
        if where < 0.5:
            at = rng.randrange(min(size, 1024))
        elif where < 0.75:
            at = max(0, size - 1 - rng.randrange(min(size, 1024)))
        else:
            at = rng.randrange(size)
        length = rng.choice((1, 1, 2, 4, 16, 256))
        fault = rng.choice(("change", "change", "flip", "cut", "double", "zero", "ones", "end", "swap"))
        piece = found[at : at + length]
        if fault == "change":
            found[at : at + length] = rng.randbytes(len(piece))
        elif fault == "flip":
            found[at] ^= 1 << rng.randrange(8)
        elif fault == "cut":
            del found[at : at + length]
        elif fault == "double":
            found[at:at] = piece
        elif fault in {"zero", "ones"}:
            found[at : at + length] = (b"\0" if fault == "zero" else b"\xff") * len(piece)
        elif fault == "end":
            del found[rng.randrange(size) :]
        else:
            other = rng.randrange(size)
            found[at : at + length], found[other : other + length] = found[other : other + length], piece
    return bytes(found)


def run(command: str, path: Path, folder: Path) -> tuple[str, str]:
    """Run one command on one file: what is wrong ("" for nothing), and its outcome."""
    out = folder / "out.mkv"
    words = [sys.executable, "-m", "vs_hdrtv.cli", command, str(path)]
    if command == "convert":
        words += [str(out), "--preset", "bt2408", "--speed", "ultrafast"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=HANG, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"still running after {HANG:.0f} s", "hang"
    error = done.stderr.decode(errors="replace")
    left = sorted(item.name for item in folder.iterdir() if item != path)
    if done.returncode not in {0, 2}:
        return f"exit code {done.returncode}: {error[-300:]}", "crash"
    if "Traceback" in error:
        return f"traceback: {error[-300:]}", "traceback"
    if done.returncode == 2 and (left or not error.strip()):
        return f"exit code 2, left {left}, said {error.strip()[-200:]!r}", "leftover"
    if command == "convert" and done.returncode == 0 and left != ["out.mkv"]:
        return f"exit code 0, but there is {left}", "leftover"
    return "", "result" if done.returncode == 0 else "refused"


def main() -> int:
    """Fuzz for a while; exit code 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="how long (default: 300)")
    parser.add_argument("--files", type=int, help="how many damaged files, instead of a time")
    parser.add_argument("--seed", type=int, default=0, help="of the generator; the same seed gives the same files")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="folder for what fails (default: fuzz-found)")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for seed, (video, audio) in SEEDS.items():
            write_seed(root / seed, video, audio)
        whole = {seed: (root / seed).read_bytes() for seed in SEEDS}
        start, number = time.monotonic(), 0
        while number < arguments.files if arguments.files else time.monotonic() - start < arguments.seconds:
            rng = random.Random(f"{arguments.seed}/{number}")
            seed = rng.choice(sorted(SEEDS))
            # The first file of each kind is whole: it must give a result.
            data = whole[sorted(SEEDS)[number]] if number < len(SEEDS) else damage(whole[seed], rng)
            seed = sorted(SEEDS)[number] if number < len(SEEDS) else seed
            for command in ("info", "convert"):
                folder = root / "work"
                folder.mkdir()
                path = folder / f"in{Path(seed).suffix}"
                path.write_bytes(data)
                wrong, outcome = run(command, path, folder)
                if not wrong and number < len(SEEDS) and outcome != "result":
                    wrong = f"the whole {seed} was refused"
                outcomes[f"{command} {outcome}"] += 1
                if wrong:
                    failures += 1
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, arguments.keep / f"{arguments.seed}-{number}-{command}{path.suffix}")
                    print(f"{command} file {number} ({seed}): {wrong}", flush=True)
                shutil.rmtree(folder)
            number += 1
        elapsed = time.monotonic() - start
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{number} files in {elapsed:.0f} s: {counts}; {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
