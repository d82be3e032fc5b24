"""The CPU engine of the small install: OpenVINO, which `scripts/benchmark.py` measures ahead of ONNX Runtime."""

from __future__ import annotations

import collections
import threading
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import weights
from ..errors import InputError
from ..modelcard import ModelCard
from . import (
    WHOLE,
    Floats,
    GraphPieces,
    Network,
    at_least_smallest,
    cores,
    import_openvino,
    operators,
    require_cpu,
    within_memory,
)

SIZES = 4
"""Frame sizes whose compiled networks are kept."""


class CpuEngine:
    """OpenVINO on the CPU; arrays are numpy's.

    The network is compiled once a frame size (static shapes fuse better), in fp32 whatever the CPU offers below it, with a fixed
    number of threads and one inference at a time: the same input gives the same bytes.
    """

    name = "cpu"
    unpacks = False

    def __init__(self, device: str | None = None, precision: str = "fp32", threads: int | None = None) -> None:
        require_cpu(self.name, device, precision)
        try:
            openvino = import_openvino()
        except ModuleNotFoundError:
            raise InputError("engine 'cpu': openvino is not installed; pip install openvino") from None
        except ImportError:
            raise InputError(
                "engine 'cpu': OpenVINO cannot start because the plug-in vapoursynth-mlrt-ov has loaded another build of it; "
                "take that plug-in out, or use engine='onnx-cpu' (pip install onnxruntime)"
            ) from None
        self.device = "cpu"
        self.threads = threads or cores()
        self._core: Any = openvino.Core()
        self._lock = threading.Lock()  # of all its networks: two at once would want each core twice, and the memory of both
        operators.extend_openvino(self._core)

    def load(self, card: ModelCard, graph: str = WHOLE) -> Network:
        """See `Engine.load`."""
        return self._load(card, graph, one_of_several=not graph.startswith(WHOLE))

    def _load(self, card: ModelCard, graph: str, one_of_several: bool) -> Network:
        weights.verify(card, graph)
        path = card.graph(graph).path
        try:
            model = self._core.read_model(str(path))
        except RuntimeError as error:
            raise InputError(f"engine 'cpu': OpenVINO cannot read {path}: {str(error).splitlines()[-1]}") from None
        compiled = _Compiled(self._core, model, self.threads, self._lock, one_of_several)
        return within_memory(at_least_smallest(compiled, card, graph), self.name, self.device, card)

    def load_pieces(self, card: ModelCard, part: str) -> GraphPieces:
        """See `Engine.load_pieces`."""
        # Pieces have up to four sizes, and each would hold its memory beside the statistics'.
        return GraphPieces(self.name, partial(self._load, one_of_several=True), card, part)

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array

    def download(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array


class _Compiled:
    """One network, compiled for the last few frame sizes."""

    def __init__(self, core: Any, model: Any, threads: int, lock: threading.Lock, one_of_several: bool) -> None:
        self._core, self._model, self._one_of_several = core, model, one_of_several
        self._options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several vspipe on one machine would share the same cores
        }
        self._requests: collections.OrderedDict[tuple[tuple[int, ...], ...], Any] = collections.OrderedDict()
        self._lock = lock

    def __call__(self, *arrays: Floats) -> Floats:
        """(1, C, H, W) each -> (1, C', H, W)."""
        inputs = dict(enumerate(np.ascontiguousarray(array, np.float32) for array in arrays))
        with self._lock:
            request = self._request(tuple(array.shape for array in inputs.values()))
            request.infer(inputs, share_inputs=True)
            result: Floats = request.get_output_tensor(0).data.copy()  # the next call writes into the tensor
            if self._one_of_several:
                # DSLNet's parts at 1080p would else hold gigabytes each while another one runs.
                request.get_compiled_model().release_memory()
            return result

    def _request(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        if shapes in self._requests:
            self._requests.move_to_end(shapes)
        else:
            if len(self._requests) >= SIZES:
                self._requests.popitem(last=False)
            model = self._model.clone()
            model.reshape({index: list(shape) for index, shape in enumerate(shapes)})
            self._requests[shapes] = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        return self._requests[shapes]
