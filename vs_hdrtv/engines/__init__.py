"""Engines: load a model, run it on a device. They know nothing of video.

An engine is asked for by name; its packages are imported when it is made. What was asked for and is not there is an error:
no engine ever falls back to another device in silence.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..modelcard import ModelCard
from ..networks.parts import STATISTICS, STEADY
from ..networks.parts import WHOLE as WHOLE
from ..networks.windows import Window

type Floats = NDArray[np.float32]

Network = Callable[..., Any]
"""(1, C, H, W) for each signal and frame that the graph reads, in its order -> (1, C', H, W), float32, of the engine's kind."""

SMALLEST = 32
"""Pixels a side that a network gets at least; smaller frames are extended by their edges and cropped again."""

PRECISIONS = ("fp32", "fp16")
MAX_THREADS = 1024
"""More than any machine's cores; with many more a runtime fails in its own ways."""


class Pieces(Protocol):
    """A part of a network, run in pieces of a frame; arrays are of the engine's kind."""

    def statistics(self, arrays: Sequence[Any], windows: Sequence[Window]) -> Any:
        """The whole frame's statistics, (1, S, 1, 1), of whole frames (1, C, H, W), those that the statistics' graph reads."""
        ...

    def run(self, arrays: Sequence[Any], statistics: Any | None, window: Window) -> Any:
        """What the part gives of a piece: of (1, C, h, w) each and the frame's statistics, (1, C', h, w)."""
        ...


class Engine(Protocol):
    """Runs networks on one device.

    Attributes:
        name: key of `ENGINES`.
        device: "cpu", "cuda:0" ...
        threads: of the CPU inside one call; sums change with it, so it is fixed when the engine is made.
        unpacks: integer planes are turned into RGB on its device (`color.planes`), not by zimg on the host.
    """

    name: str
    device: str
    threads: int
    unpacks: bool

    def load(self, card: ModelCard, graph: str = WHOLE) -> Network:
        """A graph of the card's network, to be called from any thread with (1, C, H, W) float32 arrays of this engine's kind.

        Args:
            card: the model.
            graph: a name of `networks.parts.graphs`.

        Raises:
            InputError: the model has no such graph, or its file is missing or damaged.
        """
        ...

    def load_pieces(self, card: ModelCard, part: str) -> Pieces:
        """A part of the card's network for frames in pieces.

        Args:
            card: the model.
            part: a key of `card.parts` whose `tiling` is not None.

        Raises:
            InputError: as `load`, or this engine cannot run it in pieces.
        """
        ...

    def upload(self, array: NDArray[Any]) -> Any:
        """A numpy array of floats, or of integer samples, as float32 of this engine's kind on its device."""
        ...

    def download(self, array: Any) -> NDArray[Any]:
        """The numpy array of one of this engine's kind; its type is kept."""
        ...


ENGINES: dict[str, tuple[str, str]] = {
    "cpu": ("cpu", "CpuEngine"),
    "torch": ("torch", "TorchEngine"),
    "onnx-cpu": ("onnx", "OnnxCpuEngine"),
    "onnx-cuda": ("onnx", "OnnxCudaEngine"),
    "onnx-tensorrt": ("onnx", "OnnxTensorrtEngine"),
}
"""Name -> (module of this package, class), imported when asked for. The class takes (device, precision, threads)."""

logger = logging.getLogger(__name__)

_LOCK = threading.Lock()


def create(name: str = "auto", device: str | None = None, precision: str = "fp32", threads: int | None = None) -> Engine:
    """The engine of these arguments; the same arguments give the same engine.

    Args:
        name: key of `ENGINES`, or "auto": torch on CUDA where both are there, else "cpu" (or "onnx-cpu", said in the log,
            where OpenVINO cannot start beside another build of itself).
        device: None for the engine's own choice (torch: CUDA where there is one), else "cpu", "cuda", "cuda:1" ...
        precision: "fp32", or "fp16" where the device computes it.
        threads: CPU threads of one call; None for one a core.

    Raises:
        InputError: unknown name or precision, or a package or device that is not there.
    """
    if name != "auto" and name not in ENGINES:
        raise InputError(f"engine: unknown engine {name!r}; choose one of: auto, {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise InputError(f"engine: unknown precision {precision!r}; choose one of: {', '.join(PRECISIONS)}")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise InputError(f"engine: threads is {threads}; give 1 to {MAX_THREADS}")
    if name == "auto":
        name = "torch" if (device or "").startswith("cuda") or (device is None and _has_cuda()) else _best_on_cpu()
    with _LOCK:
        return _create(name, device, precision, threads)


@functools.cache
def _best_on_cpu() -> str:
    try:
        import_openvino()
    except ModuleNotFoundError:
        pass  # the engine says what to install
    except ImportError:
        if importlib.util.find_spec("onnxruntime") is not None:
            logger.warning("engine auto: OpenVINO cannot start beside vapoursynth-mlrt-ov; taking onnx-cpu, which is slower")
            return "onnx-cpu"
    return "cpu"


def preload() -> None:
    """Load OpenVINO's library, to be called before `vs.core` is first used.

    The plug-in vapoursynth-mlrt-ov brings another build of the library under the same name. Loaded first, ours serves both;
    in the other order Python's half of OpenVINO refuses to start.
    """
    with contextlib.suppress(ImportError):
        import_openvino()


def import_openvino() -> Any:
    """The package `openvino`, which reports nothing to anybody.

    Left to itself it starts a process at every import that sends an event to its makers; without the package of the next line it
    uses its own stub of it. A conversion on an encoder farm has no business on the network, and a fork beside VapourSynth's
    threads may hang.

    Raises:
        ImportError: it is not there, or cannot start beside another build of itself.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how import is told to fail
    return importlib.import_module("openvino")


@functools.cache
def _create(name: str, device: str | None, precision: str, threads: int | None) -> Engine:
    module, kind = ENGINES[name]
    engine: Engine = getattr(importlib.import_module(f".{module}", __name__), kind)(device, precision, threads)
    return engine


@functools.cache
def _has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def at_least_smallest(run: Network, card: ModelCard, graph: str = WHOLE) -> Network:
    """`run` for frames of any size: small ones are extended by their edge pixels to `SMALLEST` a side and cropped again.

    Serves numpy arrays and torch tensors alike, one or several of one size. Statistics, which are the last, have no pixels. A
    part with inputs of several sizes is left as it is: whoever runs it extends the frames that all begins with.
    """
    part = card.parts.get(graph.partition(".")[0])
    if part is not None and part.multiple > 1:
        return run
    pictures = -1 if graph.endswith(f".{STEADY}") else None

    def padded(*arrays: Any) -> Any:
        height, width = arrays[0].shape[-2:]
        if height >= SMALLEST and width >= SMALLEST:
            return run(*arrays)
        rows = np.minimum(np.arange(max(height, SMALLEST)), height - 1)
        columns = np.minimum(np.arange(max(width, SMALLEST)), width - 1)
        extended = [array[:, :, rows][:, :, :, columns] for array in arrays[:pictures]]
        return run(*extended, *arrays[len(extended) :])[:, :, :height, :width]

    return padded


class OutOfMemoryError(InputError):
    """A frame does not fit in what the device has left."""


_SIGNS = (
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # the same, on Windows
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",  # ONNX Runtime
    "smaller than requested bytes",  # ONNX Runtime, whose arena has a limit
    "CUDA failure 2: out of memory",  # ONNX Runtime
    "Insufficient memory",  # OpenCV
    "CUDA out of memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",  # cuDNN, cuBLAS
)
"""What libraries say that have no class of error for it."""

_OWN_ERRORS = {"onnxruntime", "cv2"}
"""Packages whose errors are no `RuntimeError`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of any library, says that memory did not suffice."""
    if isinstance(error, MemoryError | OutOfMemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, by name
        return True
    of_library = isinstance(error, RuntimeError) or type(error).__module__.partition(".")[0] in _OWN_ERRORS
    return of_library and any(sign in str(error) for sign in _SIGNS)


def does_not_suffice(name: str, device: str, what: str, width: int, height: int) -> OutOfMemoryError:
    """The error of an engine's memory, which is too small for `what` on a frame of this size."""
    other = "" if device == "cpu" else ", precision='fp16' or engine='cpu'"
    return OutOfMemoryError(
        f"engine {name!r}: the memory of {device} does not suffice for {what} on {width}x{height}; "
        f"close what else uses it, or give smaller frames{other}"
    )


def within_memory(run: Network, name: str, device: str, card: ModelCard) -> Network:
    """`run` with one error for memory that does not suffice, whatever the library's.

    It is never answered here: the same plan gives the same bytes, on a machine with less memory too, or none.

    Raises:
        OutOfMemoryError: by what it returns.
    """

    def tried(*arrays: Any) -> Any:
        try:
            return run(*arrays)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Out here: an error that is being handled holds the feature maps of what raised it.
        height, width = arrays[0].shape[-2:]
        raise does_not_suffice(name, device, card.name, width, height)

    return tried


class GraphPieces:
    """`Pieces` of an engine that runs graphs as they are in their files; statistics are those of the whole frame at once.

    Args:
        name: of the engine.
        load: its `Engine.load`.
        card: the model.
        part: see `Engine.load_pieces`.

    Raises:
        InputError: the model lacks a graph, or the part must be told where a piece lies.
    """

    def __init__(self, name: str, load: Callable[[ModelCard, str], Network], card: ModelCard, part: str) -> None:
        what = card.parts[part]
        assert what.tiling is not None, f"{card.network} has no pieces of {part}"
        if what.tiling.placed:
            raise InputError(f"engine {name!r}: {card.name} in tiles needs engine='torch'; use that, or leave tiles out")
        self._run = load(card, f"{part}.{STEADY}" if what.statistics else part)
        self._statistics = load(card, f"{part}.{STATISTICS}") if what.statistics else None

    def statistics(self, arrays: Sequence[Any], windows: Sequence[Window]) -> Any:
        """See `Pieces.statistics`."""
        assert self._statistics is not None
        return self._statistics(*arrays)

    def run(self, arrays: Sequence[Any], statistics: Any | None, window: Window) -> Any:
        """See `Pieces.run`."""
        return self._run(*arrays) if statistics is None else self._run(*arrays, statistics)


def require_cpu(engine: str, device: str | None, precision: str) -> None:
    """Refuse another device than the CPU, and fp16 on it.

    Raises:
        InputError: either was asked for.
    """
    if device not in {None, "cpu"}:
        raise InputError(f"engine {engine!r}: device is {device!r}, but it runs on the CPU; use engine='torch' for a GPU")
    if precision != "fp32":
        raise InputError(f"engine {engine!r}: precision is {precision!r}, but a CPU computes fp32; use precision='fp32'")


def cores() -> int:
    """CPU cores that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
