"""Frames/s of our engines beside other runners of the same ONNX file: `python scripts/benchmark.py --model hdcfm`.

All backends of a size run in turns, frame by frame, so that whatever else the machine does falls on all of them alike; the
figure is of the median frame. Network inference only, but for the row `sdr_to_hdr`, which is the whole filter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from vs_hdrtv import engines, weights

Run = Callable[[int], object]


def of_engine(name: str, card: weights.ModelCard, noise: np.ndarray, threads: int) -> Run:
    """One of our engines, upload and download included."""
    engine = engines.create(name, device="cpu", threads=threads)
    network = engine.load(card)
    return lambda n: engine.download(network(engine.upload(noise)))


def clip_of(noise: np.ndarray, frames: int) -> object:
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


def of_clip(clip: object) -> Run:
    """Frames of a clip, one after another."""

    def run(n: int) -> None:
        with clip.get_frame(n):
            pass

    return run


def of_plugin(name: str, card: weights.ModelCard, noise: np.ndarray, frames: int, threads: int) -> Run:
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


def of_onnxruntime(card: weights.ModelCard, noise: np.ndarray, threads: int) -> Run:
    """ONNX Runtime from Python, CPU provider, without our engine around it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(card.onnx), options, providers=["CPUExecutionProvider"])
    return lambda n: session.run(None, {session.get_inputs()[0].name: noise})


def of_filter(card: weights.ModelCard, noise: np.ndarray, frames: int, threads: int) -> Run:
    """The whole filter: RGBS in, HDR10 out."""
    from vs_hdrtv import sdr_to_hdr

    return of_clip(sdr_to_hdr(clip_of(noise, frames), model=str(card.path), engine="cpu", threads=threads))


def measure(card: weights.ModelCard, size: str, frames: int, threads: int, chosen: list[str]) -> None:
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="hdcfm", help="shipped name or path of a card (default: %(default)s)")
    parser.add_argument("--sizes", nargs="+", default=["960x540", "1920x1080"], metavar="WxH")
    parser.add_argument("--frames", type=int, default=5, help="frames a backend (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=engines.cores(), help="CPU threads of our engines (default: %(default)s)")
    parser.add_argument("--backends", nargs="*", default=[], metavar="NAME", help="only these rows")
    arguments = parser.parse_args()
    card = weights.find(arguments.model)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{card.onnx.name}, {arguments.threads} threads, {arguments.frames} frames each in turns, load before the run {load}")
    print(f"{'size':>10}  {'backend':<16} {'frames/s':>8} {'median s':>10} {'best s':>10}")
    for size in arguments.sizes:
        measure(card, size, arguments.frames, arguments.threads, arguments.backends)


if __name__ == "__main__":
    main()
