"""ONNX Runtime engines: one class a provider. Arrays are numpy's."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import weights
from ..errors import InputError
from ..modelcard import ModelCard
from . import WHOLE, Floats, GraphPieces, Network, at_least_smallest, cores, operators, require_cpu, within_memory


class _OnnxEngine:
    """What the providers share."""

    name: ClassVar[str]
    provider: ClassVar[str]
    package: ClassVar[str] = "onnxruntime-gpu"
    unpacks: ClassVar[bool] = False

    def __init__(self, device: str | None = None, precision: str = "fp32", threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise InputError(f"engine {self.name!r}: onnxruntime is not installed; pip install {self.package}") from None
        self._index = self._choose(device, precision)
        self.device = "cpu" if self._index is None else f"cuda:{self._index}"
        self.threads = threads or cores()
        self._half = precision == "fp16"
        self._lock = threading.Lock()  # of all its networks, as in the engine `cpu`
        available = onnxruntime.get_available_providers()
        if self.provider not in available:
            raise InputError(
                f"engine {self.name!r}: this onnxruntime has no {self.provider} (it has {', '.join(available)}); "
                f"pip uninstall onnxruntime, then pip install {self.package}"
            )

    def _choose(self, device: str | None, precision: str) -> int | None:
        """The CUDA device's number, None for the CPU."""
        kind, _, number = (device or "cuda").partition(":")
        if kind != "cuda" or not (number or "0").isdecimal():
            raise InputError(f"engine {self.name!r}: device is {device!r}; use 'cuda' or 'cuda:1', or engine='cpu'")
        if precision != "fp32" and self.provider != "TensorrtExecutionProvider":
            raise InputError(f"engine {self.name!r}: precision is {precision!r}; use 'fp32', or engine='torch'")
        return int(number or 0)

    def _options(self) -> dict[str, Any]:
        """The provider's options."""
        # TF32 is off: fp32 means fp32 on every GPU.
        return {"device_id": self._index, "use_tf32": 0}

    def load(self, card: ModelCard, graph: str = WHOLE) -> Network:
        """See `Engine.load`."""
        import onnxruntime

        weights.verify(card, graph)
        path = card.graph(graph).path
        operators.check(self.name, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = [(self.provider, self._options())]
        try:
            with stdout_to_stderr():
                session = onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
        except Exception as error:  # onnxruntime's classes of error share no base of their own
            reason = str(error).split("\n")[0][:300]
            raise InputError(f"engine {self.name!r}: cannot load {path.name} on {self.device}: {reason}") from None
        session.disable_fallback()
        if session.get_providers()[0] != self.provider:
            raise InputError(
                f"engine {self.name!r}: ONNX Runtime would run on {session.get_providers()[0]} instead of {self.provider}; "
                "install the CUDA libraries of this onnxruntime, or use engine='cpu'"
            )
        names, lock = [each.name for each in session.get_inputs()], self._lock

        def run(*arrays: Floats) -> Floats:
            inputs = {name: np.ascontiguousarray(array, np.float32) for name, array in zip(names, arrays, strict=True)}
            with lock:
                result: Floats = session.run(None, inputs)[0]
            return result

        return within_memory(at_least_smallest(run, card, graph), self.name, self.device, card)

    def load_pieces(self, card: ModelCard, part: str) -> GraphPieces:
        """See `Engine.load_pieces`."""
        return GraphPieces(self.name, self.load, card, part)

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array

    def download(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array


class OnnxCpuEngine(_OnnxEngine):
    """ONNX Runtime's CPU provider."""

    name = "onnx-cpu"
    provider = "CPUExecutionProvider"
    package = "onnxruntime"

    def _choose(self, device: str | None, precision: str) -> None:
        require_cpu(self.name, device, precision)

    def _options(self) -> dict[str, Any]:
        return {}


class OnnxCudaEngine(_OnnxEngine):
    """ONNX Runtime's CUDA provider."""

    name = "onnx-cuda"
    provider = "CUDAExecutionProvider"


class OnnxTensorrtEngine(_OnnxEngine):
    """ONNX Runtime's TensorRT provider: built at the first frame of a size, which takes minutes."""

    name = "onnx-tensorrt"
    provider = "TensorrtExecutionProvider"

    def _options(self) -> dict[str, Any]:
        return {"device_id": self._index, "trt_fp16_enable": self._half}


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what native code prints to descriptor 1, which belongs to the video, to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
