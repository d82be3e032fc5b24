"""The example scripts, run by the real vspipe as a user runs it, and its pipe into x265 read back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import vs_hdrtv
from vs_hdrtv import media, weights
from vs_hdrtv.hdr10 import MasteringDisplay

ROOT = Path(vs_hdrtv.__file__).parents[1]
SCRIPTS = ROOT / "scripts"
PROGRAMS = Path(sys.executable).parent
SIZE, FRAMES = (96, 64), 12
PEAK = 600

pytestmark = pytest.mark.skipif(
    not (SCRIPTS / "sdr_to_hdr.vpy").exists() or not (PROGRAMS / "vspipe").exists(), reason="no scripts or no vspipe"
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A home of its own in which `vapoursynth config` was run, and the package of this checkout without torch: the small install,
    which also starts faster."""
    home = tmp_path_factory.mktemp("home")
    (home / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n", encoding="utf-8")
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    env |= {"PYTHONPATH": os.pathsep.join([str(home), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    subprocess.run([PROGRAMS / "vapoursynth", "config"], env=env, check=True, capture_output=True)
    return env


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A lossless film of moving waves in a folder of its own."""
    path = tmp_path_factory.mktemp("film") / "my film.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        for n in range(FRAMES):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for index, plane in enumerate(frame.planes):
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                y, x = np.mgrid[: plane.height, : plane.width]
                wave = np.sin((x + 3 * n) / 9 + index) * np.cos(y / 11)
                samples[:, : plane.width] = np.round((126 + 80 * wave) if index == 0 else (128 + 20 * wave)).astype(np.uint8)
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture
def vspipe(environment, film):
    """A function that runs vspipe in the film's folder: exit code, standard output (bytes), standard error."""

    def run(script, *words, source=film.name, preset="bt2408", **arguments):
        given = {"preset": preset, **({"source": source} if source else {}), **arguments}
        command = [PROGRAMS / "vspipe", *(word for item in given.items() for word in ("-a", "{}={}".format(*item)))]
        # A shell sets PWD; it is how a script knows the user's folder.
        env = {**environment, "PWD": str(film.parent)}
        done = subprocess.run([*command, *words, SCRIPTS / script, "-"], cwd=film.parent, env=env, capture_output=True)
        return done.returncode, done.stdout, done.stderr.decode()

    return run


def y4m(data, size=SIZE):
    """Header and planes, (frames, samples) in uint16, of 10-bit 4:2:0 y4m."""
    header, _, rest = data.partition(b"\n")
    samples = size[0] * size[1] * 3 // 2
    frame = len(b"FRAME\n") + 2 * samples
    assert header.startswith(b"YUV4MPEG2 C420p10 ") and len(rest) % frame == 0
    frames = [rest[at : at + frame] for at in range(0, len(rest), frame)]
    assert all(each.startswith(b"FRAME\n") for each in frames)
    return header.decode(), np.stack([np.frombuffer(each[6:], "<u2") for each in frames])


PLUG_INS = {"telecined.vpy": "vivtc", "interlaced.vpy": "bwdif"}
MODELS = {"recover.vpy": ("icam", "fcpm")}
SETS = {"interlaced.vpy": (2 * FRAMES, "F48:1"), "telecined.vpy": (FRAMES * 4 // 5, "")}


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.vpy") if path.name != "preview.vpy"))
def test_a_script_gives_video_and_nothing_else(vspipe, script):
    import vapoursynth as vs

    if not set(MODELS.get(script, ())) <= set(weights.names()):
        pytest.skip("its weights are not shipped yet")
    if script in PLUG_INS and not hasattr(vs.core, PLUG_INS[script]):
        code, out, err = vspipe(script, "-c", "y4m")
        assert code and not out and "pip install vapoursynth-" in err
        return
    code, out, err = vspipe(script, "-c", "y4m")
    assert code == 0, err
    header, frames = y4m(out)
    count, rate = SETS.get(script, (FRAMES, "F24:1"))
    # VDecimate takes one frame of each five, and the rest of a last cycle that is cut off.
    assert abs(len(frames) - count) <= (script == "telecined.vpy") and rate in header
    assert frames.min() >= 64 and frames.max() <= 960  # limited range: BT.2100-2, table 9
    assert np.ptp(frames[:, : SIZE[0] * SIZE[1]]) > 100


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.vpy")))
def test_without_a_film_it_says_what_to_add(vspipe, script):
    code, out, err = vspipe(script, source=None)
    assert code and not out and f"{script}: no source; add -a source=" in err
    code, out, err = vspipe(script, source="no such film.mkv")
    assert code and not out and "no such film.mkv" in err


def test_the_network_through_vspipe(vspipe):
    code, out, err = vspipe("sdr_to_hdr.vpy", "-c", "y4m", "-e", "0", preset="fast")
    assert code == 0, err
    _, network = y4m(out)
    _, formula = y4m(vspipe("sdr_to_hdr.vpy", "-c", "y4m", "-e", "0")[1])
    assert network.shape == formula.shape and np.abs(network.astype(int) - formula).max() > 8


def test_stages_by_hand_are_the_filter_in_one(vspipe):
    assert y4m(vspipe("hdr10.vpy", "-c", "y4m")[1])[1].tobytes() == y4m(vspipe("sdr_to_hdr.vpy", "-c", "y4m")[1])[1].tobytes()


def test_pieces_are_the_whole(vspipe):
    """Without headers and frame marks, so that pieces can simply be put together."""
    whole = vspipe("sdr_to_hdr.vpy")[1]
    pieces = [vspipe("sdr_to_hdr.vpy", "-s", str(first), "-e", str(last))[1] for first, last in ((0, 2), (3, 9), (10, 11))]
    assert len(whole) == FRAMES * SIZE[0] * SIZE[1] * 3 and b"".join(pieces) == whole


def test_preview_draws_both_pictures(vspipe):
    code, out, err = vspipe("preview.vpy", "-e", "0", height=64)
    assert code == 0, err
    green, blue, red = np.frombuffer(out, np.uint8).reshape(3, SIZE[1], 2 * SIZE[0]).astype(int)  # vspipe's order of RGB
    left, right = (np.stack([green, blue, red])[:, :, half] for half in (slice(0, SIZE[0]), slice(SIZE[0], None)))
    # bt2408 keeps the light; tone-mapped from 1000 cd/m2 it is darker, and of the same shape.
    assert right.mean() <= left.mean() and np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.98
    code, out, err = vspipe("preview.vpy", "-e", "0", "-o", "1", height=64)
    assert code == 0 and len(out) > 3 * 1000 * 800, err


# Program, its words, the file, and how coarsely it codes chromaticity and luminance: H.265, D.3.28 (0.00002, 0.0001 cd/m2); AV1
# specification, 6.7.4 (1/65536; 1/256 cd/m2 the peak, 1/16384 cd/m2 the black).
ENCODERS = {
    "x265": ("x265 --y4m -", "--preset ultrafast --crf 4 --pools none --output", "film.hevc", 2e-5, (1e-4, 1e-4)),
    "svt-av1": ("SvtAv1EncApp -i stdin", "--preset 8 --crf 5 -b", "film.ivf", 2**-16, (2**-8, 2**-14)),
}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_pipe_into_an_encoder(vspipe, environment, film, tmp_path, encoder):
    """The line of the script's own comment, by a shell; the stream says and shows what the filter gave."""
    program, words, name, step, (peak_step, black_step) = ENCODERS[encoder]
    if shutil.which(program.split()[0]) is None or os.name != "posix":
        pytest.skip(f"no {program.split()[0]}, or no shell")
    # The film's name has a blank on purpose.
    given = f"-a 'source={film.name}' -a preset=bt2408 -a peak={PEAK} '{SCRIPTS / 'sdr_to_hdr.vpy'}'"
    flags = f"flags=$(vs-hdrtv x265-args --encoder {encoder} {given})"
    line = f"{flags} && vspipe -c y4m {given} - | {program} $flags {words} '{tmp_path / name}'"
    env = {**environment, "PWD": str(film.parent), "PATH": f"{bin_folder(tmp_path)}:{environment['PATH']}"}
    done = subprocess.run(["/bin/sh", "-c", line], cwd=film.parent, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / name).exists(), done.stderr
    assert "measuring MaxCLL" in done.stderr

    with av.open(str(tmp_path / name)) as file:
        stream = file.streams.video[0]
        decoded = list(file.decode(stream))
    first = decoded[0]
    assert len(decoded) == FRAMES and first.format.name == "yuv420p10le"
    # H.273: BT.2020, PQ, BT.2020 non-constant; FFmpeg: 1 is limited, 3 is top left.
    assert (first.color_primaries, first.color_trc, first.colorspace, first.color_range) == (9, 16, 9, 1)
    assert first.chroma_location == 3
    display, light = media.hdr10_metadata(first)
    stated = MasteringDisplay(max_luminance=PEAK)
    assert display is not None and light is not None
    assert abs(display.max_luminance - PEAK) <= peak_step / 2 and abs(display.min_luminance - 0.0001) <= black_step / 2
    assert np.allclose([*display.primaries, display.white], [*stated.primaries, stated.white], rtol=0, atol=step)
    # BT.2408: SDR white is 203 cd/m2; a saturated 4:2:0 edge may overshoot it a little.
    assert 150 <= light.max <= 260 and 0 < light.average < light.max

    _, expected = y4m(vspipe("sdr_to_hdr.vpy", "-c", "y4m", peak=PEAK)[1])
    found = np.stack([np.concatenate([plane_of(frame, index).ravel() for index in range(3)]) for frame in decoded])
    error = np.mean((found.astype(float) - expected) ** 2)
    # CRF 4 quantises with steps of about one 8-bit code, four of 10 bits: an error of 4 / sqrt(12) is 59 dB. A shift by a line, a
    # swapped plane or a wrong range gives below 35.
    assert 10 * np.log10(1023**2 / error) > 45


def plane_of(frame, index):
    plane = frame.planes[index]
    return np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)[:, : plane.width]


def bin_folder(folder):
    """A folder with `vspipe` and with `vs-hdrtv` of this checkout."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "vspipe").symlink_to(PROGRAMS / "vspipe")
    command = programs / "vs-hdrtv"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vs_hdrtv.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return programs
