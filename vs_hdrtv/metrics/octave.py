"""HDR-VDP-3 and HDR-VQM: the authors' own code, run by Octave or MATLAB. Neither is in any package, and neither is shipped here.

Folders of the code and the program that runs it come from the caller or from the environment (`CODE`, `PROGRAM`).
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import Array
from ..color.gamut import luminance
from ..color.transfer import pq_eotf
from ..errors import InputError
from .inputs import check_clip, check_pair
from .perceptual import PIXELS_PER_DEGREE

logger = logging.getLogger(__name__)

PROGRAM = "VS_HDRTV_OCTAVE"
"""Environment variable: path of `octave-cli`, `octave` or `matlab`, where it is not on PATH."""

_PROGRAMS = ("octave-cli", "octave", "matlab")
_ANSWER = "vs_hdrtv_answer"
_LAST_LINES = 3


@dataclass(frozen=True)
class Code:
    """Somebody's MATLAB code.

    Attributes:
        title: its name.
        variable: environment variable that names its folder.
        file: a file that lies somewhere in it.
        source: where to get it.
    """

    title: str
    variable: str
    file: str
    source: str


CODE: Mapping[str, Code] = {
    "hdr_vdp_3": Code("HDR-VDP-3", "VS_HDRTV_HDRVDP3", "hdrvdp3.m", "hdrvdp.sourceforge.net (3.0.6 for the published tables)"),
    "hdr_vqm": Code("HDR-VQM", "VS_HDRTV_HDRVQM", "config_hdrvqm.m", "its authors (Narwaria et al. 2015)"),
}

_READ = """
function frames = vs_hdrtv_read(name, width, height, channels)
  file = fopen(name, 'r', 'ieee-le');
  frames = permute(reshape(fread(file, Inf, 'single=>double'), width, height, channels, []), [2 1 3 4]);
  fclose(file);
end
"""

# The options of HDRTV1K's evaluation (calculate_hdrvdp3.m of HDRTVNet), which the published tables repeat.
_VDP = """
answer = hdrvdp3('side-by-side', test, reference, 'rgb-bt.2020', {ppd}, {{'rgb_display', 'led-lcd-wcg', 'quiet', true}});
result = answer.Q;
"""

# Narwaria, Perreira Da Silva, Le Callet, "HDR-VQM", Signal Processing: Image Communication 35 (2015): subband errors of
# PU-encoded luminance (5 scales, 4 orientations), pooled over fixations of 0.6 s, then over space and time.
_VQM = """
settings = config_hdrvqm();
settings.frame_rate = {rate};
settings.fixation_time = 0.6;
settings.n_frames_fixate = {fixation};
pooled = [];
for first = 1:settings.n_frames_fixate:(size(test, 4) - settings.n_frames_fixate + 1)
  errors = [];
  for k = 1:settings.n_frames_fixate
    shown = double(pu_encode_new(test(:, :, 1, first + k - 1)));
    meant = double(pu_encode_new(reference(:, :, 1, first + k - 1)));
    errors(:, :, k) = subband_errors(meant, shown, 5, 4);
  end
  part = hdrvqm_short_term_temporal_pooling(errors, settings);
  pooled = [pooled, part(:)];
end
result = st_pool(st_pool(pooled, settings.perc), settings.perc);
"""


def hdr_vdp_3(hdr: Array, reference: Array, folder: Path | None = None) -> float:
    """Q of HDR-VDP-3's side-by-side comparison, 10 for equal pictures. Mantiuk, Hammou and Hanji 2023.

    Run as HDRTV1K's authors do. They do not say at which resolution; here it is `PIXELS_PER_DEGREE`.

    Args:
        hdr: (3, H, W), or (N, 3, H, W), whose mean over the frames it is.
        reference: the same.
        folder: the authors' code; None for that of the environment.

    Raises:
        InputError: the shapes do not fit, the code or the program is not there, or it failed.
    """
    check_pair("hdr_vdp_3", hdr, reference)
    pairs = zip(*(_light(signal).reshape(-1, *signal.shape[-3:]) for signal in (hdr, reference)), strict=True)
    script = _VDP.format(ppd=PIXELS_PER_DEGREE)
    return float(np.mean([_run("hdr_vdp_3", script, shown[None], meant[None], folder) for shown, meant in pairs]))


def hdr_vqm(hdr: Array, reference: Array, rate: float = 24.0, folder: Path | None = None) -> float:
    """HDR-VQM of a clip, 0 for equal clips.

    Args:
        hdr: (N, 3, H, W), consecutive frames, 0.6 seconds or more.
        reference: the same.
        rate: frames a second.
        folder: the authors' code; None for that of the environment.

    Raises:
        InputError: the shapes do not fit, the clip is too short, the code or the program is not there, or it failed.
    """
    check_clip("hdr_vqm", hdr, reference)
    fixation = math.ceil(0.6 * rate)
    if hdr.shape[0] < fixation:
        raise InputError(f"hdr_vqm: the clip has {hdr.shape[0]} frames; it needs 0.6 s, {fixation} frames at {rate:g} a second")
    shown, meant = (np.asarray(luminance(_light(signal), "bt2020")) for signal in (hdr, reference))
    return _run("hdr_vqm", _VQM.format(rate=f"{rate:.6g}", fixation=fixation), shown, meant, folder)


def find_code(name: str, folder: Path | None = None) -> Path:
    """Folder of the code of a measure.

    Args:
        name: key of `CODE`.
        folder: where it is; None for what the environment says.

    Raises:
        InputError: it is not there.
    """
    code = CODE[name]
    where = folder if folder is not None else Path(os.environ.get(code.variable, ""))
    if not where.parts:
        option = f"--{name.replace('_', '-')}"
        raise InputError(
            f"{name}: no package has {code.title}; get it from {code.source}, and give its folder by {option} or {code.variable}"
        )
    if next(where.rglob(code.file), None) is None:
        raise InputError(f"{name}: there is no {code.file} in {where}; give the folder of {code.title} from {code.source}")
    return where.resolve()


def find_program(name: str) -> str:
    """Octave or MATLAB.

    Raises:
        InputError: there is none.
    """
    asked = os.environ.get(PROGRAM)
    for candidate in (asked,) if asked else _PROGRAMS:
        found = shutil.which(candidate)
        if found:
            return found
    if asked:
        raise InputError(f"{name}: {PROGRAM} is {asked}, which cannot be run; give the path of octave-cli or matlab")
    raise InputError(f"{name}: neither Octave nor MATLAB is on PATH; install Octave, or set {PROGRAM} to its path")


def _light(signal: Array) -> NDArray[np.float64]:
    array = signal.cpu().numpy() if hasattr(signal, "cpu") else signal
    return np.asarray(pq_eotf(np.asarray(array, dtype=np.float64)))


def _run(name: str, script: str, shown: NDArray[np.float64], meant: NDArray[np.float64], folder: Path | None) -> float:
    """What `script` leaves in `result`.

    Args:
        name: of the measure.
        script: MATLAB statements that find (H, W, C, N) doubles in `test` and `reference`.
        shown: (N, C, H, W), cd/m2.
        meant: the same, of the reference.
        folder: see `find_code`.
    """
    code, program = find_code(name, folder), find_program(name)
    channels, height, width = shown.shape[1:]
    with tempfile.TemporaryDirectory(prefix="vs_hdrtv_") as temporary:
        place = Path(temporary)
        for kind, light in (("test", shown), ("reference", meant)):
            (place / f"{kind}.f32").write_bytes(np.ascontiguousarray(light, dtype="<f4").tobytes())
        (place / "vs_hdrtv_read.m").write_text(_READ, encoding="utf-8")
        lines = [f"addpath({_quoted(place)});", f"addpath(genpath({_quoted(code)}));"]
        for kind in ("test", "reference"):
            lines.append(f"{kind} = vs_hdrtv_read({_quoted(place / f'{kind}.f32')}, {width}, {height}, {channels});")
        lines += [script.strip(), f"fprintf('\\n{_ANSWER} %.10g\\n', result);", ""]
        main = place / "vs_hdrtv_main.m"
        main.write_text("\n".join(lines), encoding="utf-8")
        command = f"run({_quoted(main)})"
        matlab = "matlab" in Path(program).name.lower()
        arguments = ["-batch", command] if matlab else ["--no-gui", "--quiet", "--no-init-file", "--eval", command]
        done = subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace", check=False, cwd=place)
    logger.debug("%s: %s", name, done.stdout)
    answer = re.search(rf"^{_ANSWER} (\S+)$", done.stdout, re.MULTILINE)
    if done.returncode or answer is None:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()][-_LAST_LINES:]
        reason = " / ".join(said) or "it said nothing"
        failed = f"{Path(program).name} failed (exit code {done.returncode})"
        raise InputError(f"{name}: {failed}: {reason}; run {CODE[name].title} by hand")
    return float(answer[1])


def _quoted(path: Path) -> str:
    """A path as a MATLAB string."""
    return "'" + str(path).replace("'", "''") + "'"
