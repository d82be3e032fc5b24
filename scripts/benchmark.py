"""Speed and memory of our filters and engines.

    python scripts/benchmark.py --model hdcfm        # frames/s beside other runners of the same ONNX file
    python scripts/benchmark.py --memory             # peak memory of the whole filter, each shipped model by each engine
    python scripts/benchmark.py --memory --tile 0 256 --models hdcfm --backends torch    # whole frames beside tiles

Speed: all backends of a size run in turns, frame by frame, so that whatever else the machine does falls on all of them alike; the
figure is of the median frame. Network inference only, but for the row `sdr_to_hdr`, which is the whole filter.

Memory: each row is a process of its own that takes frames in order as vspipe does, 8-bit 4:2:0 in and HDR10 out. Host: the
largest resident size of the process, VapourSynth's cache (`--cache`) and the libraries themselves included. GPU: the most that
torch had allocated; what other runtimes take is not seen. Frames/s of these rows include the start of the first frame. Beside it
(`start`) what the process had before its first frame.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vs_hdrtv import engines, weights
from vs_hdrtv.modelcard import ModelCard
from vs_hdrtv.tiling import TiledEngine

Run = Callable[[int], object]


def of_engine(name: str, card: ModelCard, noise: np.ndarray, threads: int) -> Run:
    """One of our engines, upload and download included."""
    engine = engines.create(name, device="cpu", threads=threads)
    network = engine.load(card)
    return lambda n: engine.download(network(engine.upload(noise)))


def clip_of(noise: np.ndarray, frames: int) -> Any:
    """An RGBS clip of which every frame is `noise`."""
    import vapoursynth as vs

    height, width = noise.shape[2:]
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=frames, keep=True)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[...] = noise[0, plane]
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(_Transfer=1, _Primaries=1)


def of_clip(clip: Any) -> Run:
    """Frames of a clip, one after another."""

    def run(n: int) -> None:
        with clip.get_frame(n):
            pass

    return run


def of_plugin(name: str, card: ModelCard, noise: np.ndarray, frames: int, threads: int) -> Run:
    """`core.ort.Model` or `core.ov.Model` of the vs-mlrt plug-ins."""
    import vapoursynth as vs

    if not hasattr(vs.core, name):
        raise LookupError(f"no plug-in core.{name}; pip install vapoursynth-mlrt-{name}")
    model = getattr(vs.core, name).Model
    options: dict[str, object] = {}
    if name == "ort":
        options["num_streams"] = 1
    elif "config" in model.signature:
        # The precision of our own engine; OpenVINO's default may be bf16 where the CPU has it.
        options["config"] = lambda: {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    return of_clip(model(clip_of(noise, frames), network_path=str(card.onnx), **options))


def of_onnxruntime(card: ModelCard, noise: np.ndarray, threads: int) -> Run:
    """ONNX Runtime from Python, CPU provider, without our engine around it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(card.onnx), options, providers=["CPUExecutionProvider"])
    return lambda n: session.run(None, {session.get_inputs()[0].name: noise})


def of_filter(card: ModelCard, noise: np.ndarray, frames: int, threads: int) -> Run:
    """The whole filter: RGBS in, HDR10 out."""
    from vs_hdrtv import sdr_to_hdr

    return of_clip(sdr_to_hdr(clip_of(noise, frames), model=str(card.path), engine="cpu", threads=threads))


def measure(card: ModelCard, size: str, frames: int, threads: int, chosen: list[str]) -> None:
    """Print the rows of one size."""
    width, height = (int(side) for side in size.split("x"))
    noise = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    length = frames + 1
    makers: dict[str, Callable[[], Run]] = {
        "cpu": lambda: of_engine("cpu", card, noise, threads),
        "torch": lambda: of_engine("torch", card, noise, threads),
        "onnx-cpu": lambda: of_engine("onnx-cpu", card, noise, threads),
        "onnxruntime": lambda: of_onnxruntime(card, noise, threads),
        "core.ort.Model": lambda: of_plugin("ort", card, noise, length, threads),
        "core.ov.Model": lambda: of_plugin("ov", card, noise, length, threads),
        "sdr_to_hdr": lambda: of_filter(card, noise, length, threads),
    }
    runs: dict[str, Run] = {}
    for name, make in makers.items():
        if chosen and name not in chosen:
            continue
        try:
            runs[name] = make()
            runs[name](0)  # compiles
        except Exception as error:  # a backend that is not there is a row, not an end
            runs.pop(name, None)
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            print(f"{size:>10}  {name:<16} missing: {reason[:100]}", flush=True)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for n in range(1, length):
        for name, run in runs.items():
            start = time.perf_counter()
            run(n)
            times[name].append(time.perf_counter() - start)
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{size:>10}  {name:<16} {1 / middle:8.3f} {middle:10.3f} {min(found):10.3f}", flush=True)


MEMORY_ENGINES = ("cpu", "torch")


def video(size: str, frames: int) -> Any:
    """8-bit 4:2:0 frames of noise, each made anew, as a decoder gives them."""
    import vapoursynth as vs

    width, height = (int(side) for side in size.split("x"))
    blank = vs.core.std.BlankClip(format=vs.YUV420P8, width=width, height=height, length=frames, fpsnum=24, keep=True)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        rng = np.random.default_rng(n)
        for plane in range(3):
            samples = np.asarray(out[plane])
            samples[...] = rng.integers(16, 236, samples.shape, dtype=np.uint8)
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0)


def whole_filter(clip: Any, asked: Mapping[str, Any]) -> Any:
    """HDR10 of a clip by a model; a second stage runs after the shipped `hdcfm`."""
    import vs_hdrtv

    options = {name: asked[name] for name in ("engine", "device", "precision", "threads")}
    model, steady = asked["model"], asked["steady"]
    if weights.find(model).reads == ("sdr",):
        return vs_hdrtv.sdr_to_hdr(clip, model=model, steady=steady, **options)
    first = vs_hdrtv.feature_map(clip, model="hdcfm", steady=steady, **options)
    return vs_hdrtv.to_hdr10(vs_hdrtv.generate_overexposed(first, clip, model=model, steady=steady, **options))


def peak_resident() -> int:
    """Largest resident size of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a process starts with that of the one that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)


def run_alone(asked: Mapping[str, Any]) -> dict[str, float]:
    """One row of the table of memory, in a process that does nothing else.

    Args:
        asked: model, engine, device, precision, threads, steady, tile, size, frames and cache (MB, None for VapourSynth's own).

    Returns:
        Seconds, MB of the host, MB of the GPU (0 without CUDA in torch), and MB of VapourSynth's cache limit.
    """
    engines.preload()  # before VapourSynth's plug-ins, of which one may bring another OpenVINO
    import vapoursynth as vs

    if asked["cache"] is not None:
        vs.core.max_cache_size = asked["cache"]
    if asked["tile"]:
        # Filters have no such argument: here all engines that they ask for run networks in tiles.
        create = engines.create
        engines.create = functools.cache(lambda *arguments, **options: TiledEngine(create(*arguments, **options), asked["tile"]))
    clip = whole_filter(video(asked["size"], asked["frames"]), asked)
    before = peak_resident()
    start = time.perf_counter()
    for _ in clip.frames(prefetch=vs.core.num_threads, close=True):
        pass
    seconds = time.perf_counter() - start
    torch = sys.modules.get("torch")
    gpu = torch.cuda.max_memory_allocated() if torch is not None and torch.cuda.is_available() else 0
    return {
        "seconds": seconds,
        "before": before / 2**20,
        "host": peak_resident() / 2**20,
        "gpu": gpu / 2**20,
        "cache": vs.core.max_cache_size,
        "prefetch": vs.core.num_threads,
    }


def measure_memory(asked: Mapping[str, Any]) -> dict[str, float]:
    """`run_alone` in a process of its own.

    Raises:
        LookupError: the row could not be run; its message is the last line of what the process said.
    """
    command = [sys.executable, __file__, "--alone", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        raise LookupError(said[-1] if said else f"exit code {done.returncode}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def print_memory(arguments: argparse.Namespace) -> None:
    """Print the table of memory."""
    models = arguments.models or [*weights.names()]
    print(
        f"{'size':>10}  {'model':<20} {'engine':<10} {'steady':>6} {'tile':>6} {'frames/s':>8} {'start MB':>8} {'host MB':>8} "
        f"{'GPU MB':>8} {'cache MB':>8}"
    )
    names = ("device", "precision", "threads", "steady", "frames", "cache")
    options = {name: getattr(arguments, name) for name in names}
    for size, model, engine, tile in itertools.product(
        arguments.sizes, models, arguments.backends or MEMORY_ENGINES, arguments.tile
    ):
        asked = {"model": model, "engine": engine, "size": size, "tile": tile, **options}
        head = f"{size:>10}  {model:<20} {engine:<10} {arguments.steady:6d} {tile:6d}"
        try:
            found = measure_memory(asked)
        except LookupError as error:  # what is not there is a row, not an end
            print(f"{head} missing: {str(error)[:160]}", flush=True)
            continue
        speed = arguments.frames / found["seconds"]
        gpu = f"{found['gpu']:8.0f}" if found["gpu"] else f"{'-':>8}"
        print(f"{head} {speed:8.4f} {found['before']:8.0f} {found['host']:8.0f} {gpu} {found['cache']:8.0f}", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="hdcfm", help="speed: shipped name or path of a card (default: %(default)s)")
    parser.add_argument("--sizes", nargs="+", metavar="WxH", help="(default: 960x540 and 1920x1080; of memory the latter)")
    parser.add_argument("--frames", type=int, default=5, help="frames a row (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=engines.cores(), help="CPU threads of our engines (default: %(default)s)")
    parser.add_argument("--backends", nargs="*", default=[], metavar="NAME", help="only these rows, or these engines")
    memory = parser.add_argument_group("memory")
    memory.add_argument("--memory", action="store_true", help="print peak memory instead")
    memory.add_argument("--models", nargs="*", default=[], metavar="MODEL", help="(default: every shipped one)")
    memory.add_argument("--cache", type=int, metavar="MB", help="core.max_cache_size (default: VapourSynth's own)")
    memory.add_argument("--steady", type=int, default=0, metavar="K", help="of the networks (default: %(default)s)")
    memory.add_argument(
        "--tile", nargs="+", type=int, default=[0], metavar="N", help="pixels of a side; 0 for whole frames (default)"
    )
    memory.add_argument("--device", help="of torch (default: the engine's own choice)")
    memory.add_argument("--precision", default="fp32", help="(default: %(default)s)")
    memory.add_argument("--alone", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone is not None:
        print(json.dumps(run_alone(json.loads(arguments.alone))))
        return
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    if arguments.memory:
        arguments.sizes = arguments.sizes or ["1920x1080"]
        print(f"{arguments.threads} threads, {arguments.precision}, {arguments.frames} frames a row, load before the run {load}")
        print_memory(arguments)
        return
    card = weights.find(arguments.model)
    print(f"{card.onnx.name}, {arguments.threads} threads, {arguments.frames} frames each in turns, load before the run {load}")
    print(f"{'size':>10}  {'backend':<16} {'frames/s':>8} {'median s':>10} {'best s':>10}")
    for size in arguments.sizes or ["960x540", "1920x1080"]:
        measure(card, size, arguments.frames, arguments.threads, arguments.backends)


if __name__ == "__main__":
    main()
