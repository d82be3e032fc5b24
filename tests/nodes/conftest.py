"""The nodes as ComfyUI loads them: from a clone, under a name that no import statement has; against a stand-in of its API."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import vs_hdrtv

ROOT = Path(vs_hdrtv.__file__).parents[1]
STAND_IN = Path(__file__).parent / "stand_in"
MANGLED = "/home/somebody/ComfyUI/custom_nodes/vs_hdrtv_x_clone"

pytest.importorskip("torch", reason="ComfyUI has torch")


@pytest.fixture(scope="session")
def loaded():
    """The root module, loaded as ComfyUI's `load_custom_node` does it."""
    sys.path.insert(0, str(STAND_IN))
    spec = importlib.util.spec_from_file_location(MANGLED, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MANGLED] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(STAND_IN))


@pytest.fixture(scope="session")
def classes(loaded):
    """Node id -> class, by way of the entry point."""

    async def ask():
        return await (await loaded.comfy_entrypoint()).get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(ask())}


@pytest.fixture
def comfy(loaded, classes, tmp_path, monkeypatch):
    """A function that runs a node with its widgets at their defaults; what it writes goes to `tmp_path`."""
    folders = importlib.import_module("folder_paths")
    monkeypatch.setattr(folders, "base", tmp_path)

    def run(node_id, **given):
        node = classes[node_id]
        defaults = {each.id: each.declared["default"] for each in node.GET_SCHEMA().inputs if "default" in each.declared}
        return node.execute(**{**defaults, **given})

    return run


@pytest.fixture(scope="session")
def module(loaded):
    """A function that gives a module of the nodes."""
    return lambda name: importlib.import_module(f"{MANGLED}.nodes.{name}")


@pytest.fixture
def batch():
    """A function that makes an IMAGE: scenes of moving patches with noise, the same at every call."""
    import torch

    def make(count=5, height=48, width=64, channels=3, cuts=()):
        frames = []
        for n in range(count):
            scene = sum(n >= cut for cut in cuts)
            noise = np.random.default_rng(n).random((height, width, channels), dtype=np.float32)
            y, x = np.mgrid[:height, :width].astype(np.float32)
            own = np.random.default_rng(100 + scene).uniform(3, 9, 2 * channels)
            wave = np.stack([np.sin((x + n) / own[2 * c]) * np.cos(y / own[2 * c + 1]) for c in range(channels)], axis=-1)
            frames.append(np.clip(0.52 + 0.47 * wave + 0.05 * noise, 0, 1).astype(np.float32))
        return torch.from_numpy(np.stack(frames))

    return make
