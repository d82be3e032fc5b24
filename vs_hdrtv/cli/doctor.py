"""`vs-hdrtv doctor`: what is installed, what works, what to do about the rest.

Every check is guarded: whatever is missing or broken is a line of the table. Engines are tried in processes of their own, since a
broken driver ends a process.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from .console import say
from .script import stdout_to_stderr

State = Literal["ok", "absent", "warn", "fail"]
"""`absent`: not there and not needed. `fail`: files cannot be converted without it."""

PATIENCE = 120
"""Seconds that one trial may take."""

OLDEST_PYTHON, OLDEST_VAPOURSYNTH = (3, 12), 81
LEAST_MEMORY, LEAST_DISK = 4.0, 2.0
"""GiB below which it is said: a 2160p frame is 100 MB as float RGB, and several are under way."""


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, what was found, and what to do unless it is ok."""

    name: str
    found: str
    state: State = "ok"
    advice: str = ""


PLUG_INS: dict[str, tuple[str, str, State]] = {
    "bs": ("vapoursynth-bestsource", "reads files", "fail"),
    "bwdif": ("vapoursynth-bwdif", "deinterlaces video", "warn"),
    "vivtc": ("vapoursynth-vivtc", "undoes 3:2 pulldown", "absent"),
    "vszip": ("vapoursynth-vszip", "debands drawings", "absent"),
    "placebo": ("vs-placebo", "debands drawings, tone-maps, on a GPU", "absent"),
    "mv": ("vapoursynth-mvtools", "denoises along motion", "absent"),
    "scxvid": ("vapoursynth-scxvid", "finds scene cuts", "absent"),
    "ort": ("vapoursynth-mlrt-ort", "vs-mlrt: ONNX Runtime", "absent"),
    "trt": ("vapoursynth-mlrt-trt", "vs-mlrt: TensorRT", "absent"),
}
"""Namespace -> package, what it is for, what its absence is."""

PROGRAMS = {
    "ffmpeg": "other formats and players",
    "ffprobe": "looking at files",
    "x265": "encoding what vspipe gives",
    "SvtAv1EncApp": "encoding what vspipe gives, AV1",
    "NVEncC": "encoding what vspipe gives, on a GPU",
    "mediainfo": "looking at files",
    "mkvmerge": "muxing, timecodes of variable frame rates",
}
"""Program -> what it is for. All are optional."""

REQUIRED_ENCODER = "x265"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("--json", action="store_true", help="the same for programs")


def run(arguments: argparse.Namespace) -> int:
    """Check everything and say so on standard output.

    Returns:
        Exit code 0 where files can be converted; 2 where a check says FAIL.
    """
    with stdout_to_stderr():
        checks = [check for name, function in CHECKS.items() for check in _guarded(name, function)]
    failed = [check for check in checks if check.state == "fail"]
    if arguments.json:
        say(json.dumps({"ok": not failed, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _table(checks)
        if not failed:
            say("Files can be converted. What a - stands before is optional.")
    for check in failed:
        say(f"doctor: {check.name}: {check.found}; {check.advice}", sys.stderr)
    return 2 if failed else 0


def _table(checks: list[Check]) -> None:
    words = {"ok": "ok", "absent": "-", "warn": "warn", "fail": "FAIL"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        say(f"{words[check.state]:<5} {check.name:<{width}}  {check.found}")
        if check.advice:
            say(f"{'':<5} {'':<{width}}  -> {check.advice}")


def _guarded(name: str, function: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The lines of a check; what it raises becomes one."""
    try:
        yield from function()
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name is not None
        advice = f"pip install {error.name}" if missing else "install it again"  # type: ignore[attr-defined]
        yield Check(name, _reason(error), "fail" if name in _NEEDED else "warn", advice)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _python() -> Iterator[Check]:
    found = f"{platform.python_version()}, {sys.executable}, {platform.system()} {platform.machine()}"
    good = sys.version_info[:2] >= OLDEST_PYTHON
    yield Check("Python", found, "ok" if good else "fail", "" if good else "install Python 3.12 or later")


def _vapoursynth() -> Iterator[Check]:
    from .. import engines

    engines.preload()
    import vapoursynth as vs

    number = vs.core.core_version.release_major
    good = number >= OLDEST_VAPOURSYNTH
    yield Check("VapourSynth", f"R{number}", "ok" if good else "fail", "" if good else "pip install -U vapoursynth")


def _vspipe() -> Iterator[Check]:
    """Whether a script runs: finding the program is not enough, it must have been told which Python to use."""
    beside = shutil.which("vspipe", path=str(Path(sys.executable).parent))
    program = beside or shutil.which("vspipe")
    if program is None:
        yield Check("vspipe", "not found", "warn", "pip install -U vapoursynth; only scripts (.vpy) need it")
        return
    other = "" if beside else ", not of this Python"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "doctor.vpy"
        script.write_text("import vapoursynth as vs\nimport vs_hdrtv\nvs.core.std.BlankClip(length=1).set_output()\n", "utf-8")
        done = _call(program, "--info", str(script), "-")
    if done.returncode == 0:
        yield Check("vspipe", program + other, "warn" if other else "ok", "use the one of this environment" if other else "")
    else:
        said = _reason(RuntimeError(done.stderr or done.stdout))
        yield Check("vspipe", f"{program}{other} runs no script ({said})", "warn", "run `vapoursynth config` once")


def _plug_ins() -> Iterator[Check]:
    import vapoursynth as vs

    there = {plugin.namespace: plugin for plugin in vs.core.plugins()}
    for namespace, (package, purpose, absence) in PLUG_INS.items():
        name = f"plug-in {namespace}"
        if namespace in there:
            yield Check(name, f"{_version(package) or 'not from its package'}; {purpose}")
        else:
            yield Check(name, f"not installed; {purpose}", absence, f"pip install {package}")


def _clashes() -> Iterator[Check]:
    if _version("vapoursynth-mlrt-ov") and _version("openvino"):
        what = "vapoursynth-mlrt-ov has its own OpenVINO; under vspipe engine cpu cannot start, auto takes onnx-cpu"
        yield Check("clash", what, "warn", "pip uninstall vapoursynth-mlrt-ov, unless you need it")
    if _version("onnxruntime") and _version("onnxruntime-gpu"):
        what = "onnxruntime and onnxruntime-gpu write over each other"
        yield Check("clash", what, "warn", "pip uninstall onnxruntime onnxruntime-gpu, then install the one you want")


def _weights() -> Iterator[Check]:
    from .. import weights

    if not weights.names():
        yield Check("weights", f"none in {weights.folder()}", "fail", "install vs-hdrtv again")
    for name in weights.names():
        try:
            card = weights.find(name)
            weights.verify(card)
            preview = " (preview)" if card.preview else ""
            yield Check(f"weights {name}", f"checksums match{preview}")
        except InputError as error:
            yield Check(f"weights {name}", _reason(error), "fail", "install vs-hdrtv again")


def _engines() -> Iterator[Check]:
    from .. import engines

    with ThreadPoolExecutor(2) as pool:
        tried = dict(zip(engines.ENGINES, pool.map(_in_a_process, engines.ENGINES), strict=True))
    for name, result in tried.items():
        if "error" in result:
            # The engines' own messages end in what to do.
            what, _, remedy = str(result["error"]).removeprefix(f"engine {name!r}: ").rpartition("; ")
            yield Check(f"engine {name}", what or remedy, "absent", remedy if what else "")
        else:
            found = "{device}, {threads} threads, {weights} on {size}x{size}: {seconds:.3f} s".format(**result)
            yield Check(f"engine {name}", found)
    if all("error" in result for result in tried.values()):
        yield Check("engines", "none works", "fail", "pip install openvino")


def _in_a_process(name: str) -> dict[str, Any]:
    code = f"from {__name__} import try_engine; try_engine({name!r})"
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    try:
        done = _call(sys.executable, "-c", code, env={**os.environ, "PYTHONPATH": path})
    except subprocess.TimeoutExpired:
        return {"error": f"it did not answer in {PATIENCE} s"}
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    except (IndexError, ValueError):
        return {"error": f"its process ended with {done.returncode} ({_reason(RuntimeError(done.stderr))})"}


def try_engine(name: str) -> None:
    """Make an engine, run a shipped network on a grey picture, and write what came out as a line of JSON."""
    try:
        with stdout_to_stderr():
            result = _run_engine(name)
    except Exception as error:
        result = {"error": _reason(error)}
    say(json.dumps(result))


def _run_engine(name: str) -> dict[str, Any]:
    import time

    import numpy as np

    from .. import engines, weights

    size = 64
    engine = engines.create(name)
    card = weights.find("hdcfm" if "hdcfm" in weights.names() else weights.names()[0])
    network = engine.load(card)
    picture = engine.upload(np.full((1, 3, size, size), 0.5, np.float32))
    network(picture)
    start = time.perf_counter()
    out = engine.download(network(picture))
    seconds = time.perf_counter() - start
    if out.shape != (1, 3, size, size) or not np.isfinite(out).all():
        raise InputError(f"engine {name!r}: gives {out.shape} with NaN for {card.name}; update its package")
    return {"device": engine.device, "threads": engine.threads, "weights": card.name, "size": size, "seconds": seconds}


def _driver() -> Iterator[Check]:
    if shutil.which("nvidia-smi") is None:
        yield Check("NVIDIA driver", "not found", "absent")
        return
    done = _call("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    if done.returncode:
        yield Check("NVIDIA driver", _reason(RuntimeError(done.stderr or done.stdout)), "warn", "install the driver again")
    for line in done.stdout.splitlines() if not done.returncode else []:
        yield Check("NVIDIA driver", line.strip())


def _torch() -> Iterator[Check]:
    if not _version("torch"):
        yield Check("torch", "not installed", "absent", "pip install 'vs-hdrtv[torch]', for a GPU")
        return
    import torch

    if not torch.cuda.is_available():
        yield Check("torch", f"{torch.__version__}, no CUDA device", "absent")
    for index in range(torch.cuda.device_count()):
        yield Check("torch", f"{torch.__version__}, cuda:{index} is {torch.cuda.get_device_name(index)}")


def _onnxruntime() -> Iterator[Check]:
    package = next((name for name in ("onnxruntime-gpu", "onnxruntime") if _version(name)), None)
    if package is None:
        yield Check("ONNX Runtime", "not installed", "absent", "pip install onnxruntime, or onnxruntime-gpu")
        return
    import onnxruntime

    yield Check("ONNX Runtime", f"{package} {onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}")


def _encoders() -> Iterator[Check]:
    """Each encodes a frame: FFmpeg lists encoders for which there is no hardware."""
    import av

    from ..output import scheduling
    from ..output.encoders import ENCODERS

    av.logging.set_level(av.logging.PANIC)
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells its life on stderr otherwise
    for name, encoder in ENCODERS.items():
        try:
            with scheduling.kept():
                _encode(encoder)
            yield Check(f"encoder {name}", f"{encoder.codec} of PyAV {av.__version__} encodes 10 bits")
        except Exception as error:
            state: State = "fail" if name == REQUIRED_ENCODER else "absent"
            remedy = f"it needs {encoder.device}" if encoder.device else "pip install -U av"
            reason = _reason(error).rpartition("last error log: ")[2]  # PyAV puts all options before it
            yield Check(f"encoder {name}", f"{encoder.codec} cannot encode ({reason})", state, remedy)


def _encode(encoder: Any) -> None:
    from fractions import Fraction

    import av

    from ..hdr10 import SIGNALLING
    from ..output.encoders import Look

    packing, pixel_format = next(iter(encoder.formats.items()))
    context: Any = av.CodecContext.create(encoder.codec, "w")
    context.width, context.height, context.pix_fmt = 256, 144, pixel_format
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    look = Look(SIGNALLING["pq"], None, None, packing, frames=1)
    context.options = {**encoder.options, **encoder.parameters(look)}
    frame = av.VideoFrame(256, 144, pixel_format)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    if not sum(packet.size for packet in packets):
        raise InputError("it gave nothing")


def _programs() -> Iterator[Check]:
    for program, purpose in PROGRAMS.items():
        path = shutil.which(program) or shutil.which(program.lower())
        yield Check(program, f"{path or 'not found'}; {purpose}", "ok" if path else "absent")


def _machine() -> Iterator[Check]:
    from .. import engines

    yield Check("threads", f"{engines.cores()} of {os.cpu_count()} cores")
    free = _free_memory()
    if free is None:
        yield Check("memory", "unknown on this system", "absent")
    else:
        little = free < LEAST_MEMORY
        yield Check("memory", f"{free:.1f} GiB free", "warn" if little else "ok", "close other programs" if little else "")
    for what, folder in (("disk here", Path.cwd()), ("disk temporary", Path(tempfile.gettempdir()))):
        space = shutil.disk_usage(folder).free / 2**30
        little = space < LEAST_DISK
        yield Check(what, f"{space:.1f} GiB free in {folder}", "warn" if little else "ok", "make room" if little else "")


def _free_memory() -> float | None:
    """GiB that programs can have, where the system says so."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    values = dict(line.split(":", 1) for line in table.read_text("utf-8").splitlines())
    return int(values["MemAvailable"].split()[0]) / 2**20


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _call(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, stdin=subprocess.DEVNULL, env=env
    )


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "Python": _python,
    "VapourSynth": _vapoursynth,
    "vspipe": _vspipe,
    "plug-ins": _plug_ins,
    "clash": _clashes,
    "weights": _weights,
    "engines": _engines,
    "NVIDIA driver": _driver,
    "torch": _torch,
    "ONNX Runtime": _onnxruntime,
    "encoders": _encoders,
    "programs": _programs,
    "machine": _machine,
}
"""What is looked at, in the order of the table."""

_NEEDED = {"Python", "VapourSynth", "plug-ins", "weights", "engines", "encoders"}
"""Checks without which files cannot be converted."""
