"""What the nodes use of ComfyUI besides its schema: progress and cancelling, devices, memory, folders."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management as memory
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from .core import InputError, engines, tiling, weights

logger = logging.getLogger(__name__)

MODELS = "vs_hdrtv"
"""The folder in `models/` where own model cards lie."""

VHS_FORMATS = "VHS_video_formats"
"""The folder key by which ComfyUI-VideoHelperSuite finds formats of others."""

_FIELDS = {field.name for field in dataclasses.fields(io.Schema)}


def schema(**arguments: Any) -> Any:
    """`io.Schema` of what this ComfyUI's schema knows: search aliases came after the first V3 nodes."""
    return io.Schema(**{name: value for name, value in arguments.items() if name in _FIELDS})


def to_its_place(images: Any) -> Any:
    """A tensor where ComfyUI keeps what goes from node to node."""
    return images.to(memory.intermediate_device())


def progress(total: int) -> Callable[[], None]:
    """A bar; calling it is one frame done, and where a run that the user cancelled ends."""
    bar = comfy.utils.ProgressBar(total)
    return lambda: bar.update(1)


def stop_if_cancelled() -> None:
    """Where a run that the user cancelled ends between two ticks of the bar."""
    memory.throw_exception_if_processing_interrupted()


def engine(precision: str = "fp32") -> engines.Engine:
    """Torch on ComfyUI's own CUDA device; on all others the CPU.

    Raises:
        InputError: the engine's packages are not there.
    """
    device = memory.get_torch_device()
    if device.type == "cuda":
        return engines.create("torch", device=str(device), precision=precision)
    if precision != "fp32":
        logger.warning("vs_hdrtv: precision is %s, but a CPU computes fp32", precision)
    if importlib.util.find_spec("openvino") is None:
        logger.warning("vs_hdrtv: openvino is not installed, torch computes on the CPU, more slowly (pip install openvino)")
        return engines.create("torch", device="cpu")
    return engines.create("cpu")


def make_room(engine: engines.Engine, pixels: int) -> None:
    """Have other models leave the device for a network's feature maps of so many pixels."""
    if engine.device.startswith("cuda"):
        memory.free_memory(pixels * 64 * 4 * 8, memory.get_torch_device())  # 64 channels of 4 bytes, eight at once


def retry_out_of_memory[T](compute: Callable[[], T]) -> T:
    """What `compute` gives; where the device is full, once more with all other models off it."""
    try:
        return compute()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Out here: an error that is being handled holds the feature maps of what raised it.
    memory.unload_all_models()
    memory.soft_empty_cache()
    logger.warning("vs_hdrtv: the device's memory was full; other models are unloaded, the frame is computed again")
    return compute()


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory did not suffice, of any device."""
    # With a torch that has no class for it, ComfyUI's is `Exception`.
    known = memory.OOM_EXCEPTION is not Exception and isinstance(error, memory.OOM_EXCEPTION)
    return known or engines.is_out_of_memory(error)


class SmallerTiles:
    """Computes frames; where the device is full and nothing else can leave it, in tiles, from then on.

    Args:
        engine: of the networks; its `side` is what changes.
        longest: pixels of a frame's longer side.
    """

    def __init__(self, engine: tiling.TiledEngine, longest: int) -> None:
        self._engine, self._longest = engine, longest
        self._full: str | None = None

    def __call__[T](self, compute: Callable[[], T]) -> T:
        """What `compute` gives.

        Raises:
            InputError: the smallest tiles do not fit either, or the network cannot be computed in tiles.
        """
        while True:
            try:
                result = retry_out_of_memory(compute) if self._engine.side is None else compute()
            except Exception as error:
                self._go_on_after(error)
            else:
                if self._full is not None:
                    text = "vs_hdrtv: %s; frames are computed in tiles of %d pixels, which takes several times as long"
                    logger.warning(text, self._full, self._engine.side)
                    self._full = None
                return result
            memory.soft_empty_cache()

    def _go_on_after(self, error: Exception) -> None:
        """Take smaller tiles, or raise."""
        if not is_out_of_memory(error):
            if self._full is not None and isinstance(error, InputError):
                raise InputError(f"{self._full}; {error}") from None
            raise error
        self._full = (str(error) or type(error).__name__).splitlines()[0]
        side = self._engine.side
        smaller = side // 2 if side is not None else _first_side(self._longest)
        if smaller < tiling.SMALLEST:
            tried = "a frame of this size has no tiles" if side is None else f"tiles of {side} pixels do not fit either"
            raise InputError(f"{self._full}; {tried}") from None
        self._engine.side = smaller


def _first_side(longest: int) -> int:
    """Pixels of a tile's side to begin with: `tiling.SMALLEST` doubled as often as it stays below the frame's longer side."""
    side = tiling.SMALLEST
    while 2 * side < longest:
        side *= 2
    return side if side < longest else 0


def model_names(network: str | None = None, reads: tuple[str, ...] | None = None) -> list[str]:
    """Models to choose from: the shipped ones, and cards in `models/vs_hdrtv`.

    Args:
        network: of this network alone.
        reads: that read these signals.
    """
    if MODELS not in folder_paths.folder_names_and_paths:
        folder = str(Path(folder_paths.models_dir) / MODELS)
        folder_paths.folder_names_and_paths[MODELS] = ([folder], {".toml"})
    names = []
    for name in (*weights.names(), *folder_paths.get_filename_list(MODELS)):
        try:
            card = weights.find(model_path(name))
        except InputError as error:
            logger.warning("%s", error)
            continue
        if (network is None or card.network == network) and (reads is None or set(card.reads) == set(reads)):
            names.append(name)
    return names


def model_path(name: str) -> str:
    """What `weights.find` takes for a name of `model_names`."""
    return folder_paths.get_full_path(MODELS, name) or name if name.endswith(".toml") else name


def offer_vhs_formats() -> None:
    """Have Video Combine of ComfyUI-VideoHelperSuite, where it is installed, offer `vhs_formats/*.json`."""
    folders, ends = folder_paths.folder_names_and_paths.get(VHS_FORMATS, ((), set()))
    ours = str(Path(__file__).resolve().parent / "vhs_formats")
    folder_paths.folder_names_and_paths[VHS_FORMATS] = ([*folders, ours], {*ends, ".json"})


def output_path(prefix: str, suffix: str, width: int, height: int) -> tuple[Path, str]:
    """A new file in ComfyUI's output folder, and its folder below that one."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    return Path(folder) / f"{name}_{counter:05}_{suffix}", subfolder


def temporary(name: str) -> Path:
    """A path in ComfyUI's folder for files that it throws away."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def workflow(hidden: Any) -> dict[str, str]:
    """What ComfyUI writes into files so that dropping one on the page brings its workflow back."""
    from comfy.cli_args import args

    if args.disable_metadata or hidden is None:
        return {}
    found = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {name: json.dumps(value) for name, value in found.items() if value is not None}


def saved(path: Path, subfolder: str) -> Any:
    """A file in the output folder, as a node's `ui` names it."""
    return ui.SavedResult(path.name, subfolder, io.FolderType.output)
