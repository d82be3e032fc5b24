"""The torch engine: CUDA or CPU, arrays are tensors on its device."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import weights
from ..errors import InputError
from ..modelcard import ModelCard
from . import WHOLE, GraphPieces, Network, Pieces, at_least_smallest, cores, within_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class TorchEngine:
    """Eager torch in fp32, or fp16 on CUDA.

    TF32 stays off inside the engine's calls, so that fp32 is fp32 on every GPU.
    """

    name = "torch"

    def __init__(self, device: str | None = None, precision: str = "fp32", threads: int | None = None) -> None:
        try:
            import torch
        except ImportError:
            raise InputError("engine 'torch': torch is not installed; pip install 'vs-hdrtv[torch]'") from None
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            place = torch.device(chosen)
        except RuntimeError:
            raise InputError(f"engine 'torch': unknown device {chosen!r}; use 'cpu', 'cuda' or 'cuda:1'") from None
        if place.type not in {"cpu", "cuda"}:
            raise InputError(f"engine 'torch': device {chosen!r} is not supported; use 'cpu', 'cuda' or 'cuda:1'")
        if place.type == "cuda":
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if (place.index or 0) >= count:
                found = f"{count} CUDA devices are there" if count else "no CUDA device is there"
                raise InputError(f"engine 'torch': device is {chosen!r}, but {found}; use device='cpu' or mend the driver")
            place = torch.device("cuda", place.index or 0)
        elif precision == "fp16":
            raise InputError("engine 'torch': precision is 'fp16' on the CPU, which computes fp32; use precision='fp32' or a GPU")
        self.device = str(place)
        self.unpacks = place.type == "cuda"
        self.threads = threads or cores()
        self._half = precision == "fp16"
        # One call at a time: eager kernels of two threads only wait for each other, and intermediates would be held twice.
        self._lock = threading.Lock()

    def load(self, card: ModelCard, graph: str = WHOLE) -> Network:
        """See `Engine.load`."""
        from ..networks import graphs

        kind = self.kind
        network = graphs.graph(weights.load_network(card), card.network, graph).to(self.device).to(kind)

        def run(*frames: Tensor) -> Tensor:
            with self.computing():
                return network(*(frame.to(kind) for frame in frames)).float()  # type: ignore[no-any-return]

        return within_memory(at_least_smallest(run, card, graph), self.name, self.device, card)

    def load_pieces(self, card: ModelCard, part: str) -> Pieces:
        """See `Engine.load_pieces`."""
        tiling = card.parts[part].tiling
        if tiling is not None and not tiling.placed:
            return GraphPieces(self.name, self.load, card, part)
        from .torch_pieces import TorchPieces

        return TorchPieces(self, card, part)

    @property
    def kind(self) -> torch.dtype:
        """Of its networks' numbers."""
        import torch

        return torch.float16 if self._half else torch.float32

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Around a network's forward pass."""
        import torch

        with self._lock, torch.inference_mode():
            if self.device == "cpu" and torch.get_num_threads() != self.threads:
                torch.set_num_threads(self.threads)  # sums change with it
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                yield

    def upload(self, array: NDArray[Any]) -> Tensor:
        """See `Engine.upload`."""
        import torch

        # Integer samples travel as they are and become floats on the device.
        return torch.from_numpy(np.array(array, order="C")).to(self.device).to(torch.float32)

    def download(self, array: Tensor) -> NDArray[Any]:
        """See `Engine.download`."""
        return array.detach().cpu().numpy()
