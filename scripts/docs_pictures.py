"""The documentation's pictures, from a scene made by arithmetic (no film may be committed): picture.png, scope.png, compare.png.

`python scripts/docs_pictures.py docs`

`picture.png` and `compare.png` show the scene as a camera exposes it for SDR, and what the network makes of that; `scope.png`
shows the scene itself with paints of a wider gamut, mastered at 1000 cd/m2.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

from vs_hdrtv import engines, weights
from vs_hdrtv.color.gamut import convert
from vs_hdrtv.color.transfer import REFERENCE_WHITE, bt1886_inverse_eotf, pq_inverse_eotf
from vs_hdrtv.scope import sheet

HEIGHT, WIDTH = 540, 960
HORIZON = 0.58
FRAMES, RATE = 24, 24
LIMIT = 400_000
"""Bytes of a picture in the repository."""
EXPOSURE = 0.5
"""Of SDR: what is brighter than 2 clips."""


def clouds(rng: np.random.Generator) -> np.ndarray:
    """(H, W) fractal noise in [0, 1], stretched sideways."""
    total = np.zeros((HEIGHT, WIDTH))
    for octave in range(6):
        cells = (3 * 2**octave, 2 * 2**octave)
        grid = rng.random((cells[0] + 2, cells[1] + 2))
        y, x = np.linspace(0, cells[0], HEIGHT), np.linspace(0, cells[1], WIDTH)
        i, j = y.astype(int), x.astype(int)
        u, v = ((t - t.astype(int)) for t in (y, x))
        u, v = (3 * u**2 - 2 * u**3)[:, None], (3 * v**2 - 2 * v**3)[None]
        top = grid[i][:, j] * (1 - v) + grid[i][:, j + 1] * v
        low = grid[i + 1][:, j] * (1 - v) + grid[i + 1][:, j + 1] * v
        total += (top * (1 - u) + low * u) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


BALLS = ([0.75, 0.06, 0.05], [0.1, 0.45, 0.1], [0.06, 0.12, 0.6], [0.75, 0.6, 0.08], [0.7, 0.7, 0.7])
"""Linear BT.709."""
WIDE_BALLS = ([0.8, -0.05, -0.02], [-0.12, 0.5, -0.03], [0.02, 0.02, 0.75], [0.78, 0.6, -0.06], [0.7, 0.7, 0.7])
"""The same balls of paints that BT.709 does not have."""


def scene(time: float = 0.5, balls: tuple[list[float], ...] = BALLS) -> np.ndarray:
    """(3, H, W) linear BT.709 light, 1.0 = diffuse white: a low sun over water, and five glossy balls.

    Args:
        time: from 0 to 1 the sun comes out of the clouds and the water runs; 0.5 is the picture of the README.
        balls: their colours.
    """
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    u, v = x / HEIGHT, y / HEIGHT
    sun_u, sun_v = 1.28, 0.42
    height = np.clip((HORIZON - v) / HORIZON, 0, 1)
    blue, orange = np.array([0.10, 0.22, 0.55]), np.array([1.1, 0.55, 0.22])
    sky = orange[:, None, None] * np.exp(-4 * height) + blue[:, None, None] * (1 - np.exp(-3 * height))
    distance = np.hypot(u - sun_u, v - sun_v)
    shining = 1 / (1 + np.exp(-10 * (time - 0.2)))
    shining /= 1 / (1 + np.exp(-10 * 0.3))
    glow = (6 * np.exp(-distance * 9) + 90 * (distance < 0.035)) * shining
    sky = sky + np.array([1.0, 0.75, 0.45])[:, None, None] * glow
    cover = np.clip(clouds(rng) * 2.2 - 1.0, 0, 1) * np.clip(height * 5, 0, 1)
    lit = 0.5 + 2.5 * np.exp(-distance * 4)
    sky = sky * (1 - 0.75 * cover) + cover * lit * np.array([0.9, 0.62, 0.5])[:, None, None] * 0.6
    running = 6 * (time - 0.5)
    ripple = 0.5 + 0.5 * np.sin(260 * (v - HORIZON) / (0.12 + v - HORIZON + 1e-6) + 9 * clouds(rng) - running)
    path = np.exp(-(((u - sun_u) / (0.05 + 0.5 * (v - HORIZON).clip(0))) ** 2)) * shining
    water = np.array([0.03, 0.07, 0.12])[:, None, None] + np.array([1.0, 0.6, 0.3])[:, None, None] * 7 * path * ripple**6
    picture = np.where(v < HORIZON, sky, water)
    towards = np.array([0.55, -0.5, 0.67])
    for index, colour in enumerate(balls):
        cx, cy, radius = 0.2 + 0.27 * index, 0.82, 0.11
        dx, dy = (u - cx) / radius, (v - cy) / radius
        inside = dx**2 + dy**2 < 1
        dz = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
        facing = np.clip(dx * towards[0] + dy * towards[1] + dz * towards[2], 0, 1)
        mirror = np.clip(2 * facing * dz - towards[2], 0, 1) ** 60
        ball = np.array(colour)[:, None, None] * (0.12 + 0.9 * facing) + 12 * mirror * np.array([1.0, 0.85, 0.65])[:, None, None]
        picture = np.where(inside, ball, picture)
    return picture


def sdr_of(time: float) -> np.ndarray:
    """(3, H, W) 8-bit BT.709: exposed as a camera does, clipped."""
    return np.rint(bt1886_inverse_eotf(np.clip(scene(time) * EXPOSURE, 0, 1)) * 255).astype(np.uint8)


def write_sdr(path: Path) -> None:
    """The scene as a nearly lossless H.264 file."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(sdr_of(number / FRAMES).transpose(1, 2, 0).copy(), format="rgb24")
            planes = frame.reformat(format="yuv444p", src_colorspace=1, dst_colorspace=1, src_color_range=2, dst_color_range=1)
            file.mux(stream.encode(planes))
        file.mux(stream.encode())


def write_hdr(path: Path) -> None:
    """The scene with paints of a wider gamut as HDR10, by the package's own filters and encoder."""
    import vapoursynth as vs

    from vs_hdrtv import output, to_hdr10
    from vs_hdrtv.light import light_level

    blank = vs.core.std.BlankClip(format=vs.RGBS, width=WIDTH, height=HEIGHT, length=FRAMES, fpsnum=RATE, fpsden=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        light = convert(scene(n / FRAMES, WIDE_BALLS), "bt709", "bt2020") * EXPOSURE * REFERENCE_WHITE
        for plane, values in enumerate(pq_inverse_eotf(np.clip(light, 0, None))):
            np.asarray(out[plane])[...] = values
        out.props.update({"_Transfer": 16, "_Primaries": 9, "_Matrix": 0, "_Range": 1})
        return out

    packed = light_level(to_hdr10(blank.std.ModifyFrame(blank, fill)))
    output.write(packed, path, output.choose(path.suffix, quality=8))


def main() -> None:
    """Write the three pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="hdcfm")
    arguments = parser.parse_args()
    engine = engines.create("cpu")
    network = engine.load(weights.find(arguments.model))
    sdr = sdr_of(0.5).astype(np.float32) / 255
    hdr = engine.download(network(engine.upload(sdr[None])))[0]
    title = f"A rendered scene by {arguments.model}"
    sheet.figure(sdr, hdr, title=title).save(arguments.folder / "picture.png")
    with tempfile.TemporaryDirectory() as folder:
        source, master, result = (Path(folder) / name for name in ("scene-sdr.mp4", "scene-hdr10.mp4", f"{arguments.model}.mp4"))
        write_sdr(source)
        write_hdr(master)
        cut = ("--start", "11", "--end", "14")
        _run("convert", source, result, *cut, "--model", arguments.model, "--crf", "8")
        _run("scope", master, "--all", "--output", arguments.folder / "scope.png", "--overwrite")
        _run("compare", source, result, "--offset", "11", "--output", arguments.folder / "compare.png", "--overwrite")
    for name in ("picture.png", "scope.png", "compare.png"):
        _make_small(arguments.folder / name)


def _make_small(path: Path) -> None:
    """Steps of the 8-bit values just coarse enough for `LIMIT`: a palette of 256 colours would be seen, these are not."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    for step in range(1, 9):
        coarse = np.clip((pixels + step // 2) // step * step, 0, 255).astype(np.uint8)
        Image.fromarray(coarse).save(path, optimize=True)
        if path.stat().st_size < LIMIT:
            print(f"{path}: {path.stat().st_size} bytes, steps of {step}")
            return
    raise SystemExit(f"docs_pictures: {path} has {path.stat().st_size} bytes, more than {LIMIT}")


def _run(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "vs_hdrtv.cli", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
