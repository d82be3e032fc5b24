"""A device that is too small for a frame: other models leave it, then the frame is computed in tiles that fit."""

from __future__ import annotations

import importlib
import logging

import numpy as np
import pytest
import torch

from vs_hdrtv import engines, weights
from vs_hdrtv.networks.parts import Tiling

REACH = 3
"""Of the network in the place of the model's."""

LOCAL = Tiling(REACH, 1)


def local(x):
    """What it gives: means of 7x7 pixels, the frame's edges repeated, and something of its own for each pixel."""
    padded = np.pad(x, ((0, 0), (0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1,) * 2, axis=(2, 3))
    return (0.5 * windows.mean((4, 5)) + 0.3 * x).astype(np.float32)


class SmallDevice:
    """An engine whose memory holds so many pixels; its network is local and has no statistics."""

    name, device, threads, unpacks = "small", "cpu", 1, False

    def __init__(self, pixels, error):
        self.pixels, self.error, self.sizes = pixels, error, []

    def load(self, card, graph="network"):
        def run(x):
            self.sizes.append(x.shape[-2:])
            if x.shape[-2] * x.shape[-1] > self.pixels:
                raise self.error
            return local(x)

        return run

    def load_pieces(self, card, part):
        return engines.GraphPieces(self.name, self.load, card, part)

    def upload(self, array):
        return array

    def download(self, array):
        return array


@pytest.fixture
def device(module, monkeypatch):
    """A function that puts a small device in ComfyUI's place, with a model that it can run."""

    def make(pixels, error, tiling=LOCAL):
        found = SmallDevice(pixels, error)
        parts = importlib.import_module("vs_hdrtv.networks.parts")
        own = {"network": parts.Part({"sdr": (0,)}, "hdr", tiling=tiling)}
        monkeypatch.setattr(type(weights.find("hdcfm")), "parts", property(lambda card: own))
        monkeypatch.setattr(type(module("core").weights.find("hdcfm")), "parts", property(lambda card: own))
        monkeypatch.setattr(module("host"), "engine", lambda precision="fp32": found)
        return found

    return make


ERRORS = {
    "a GPU": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "a CPU": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    "ComfyUI's": lambda: importlib.import_module("comfy.model_management").OOM_EXCEPTION("full"),
}


def run(comfy, images):
    return comfy("VsHdrtvFeatureMap", images=images, color_space="BT.1886")[0]


@pytest.mark.parametrize("name", ERRORS)
def test_a_full_device_computes_the_same_pixels_in_tiles(comfy, batch, device, caplog, name):
    images = batch(3, 300, 290)
    frames = images.permute(0, 3, 1, 2).numpy()
    expected = torch.from_numpy(np.concatenate([local(frames[n : n + 1]) for n in range(3)])).permute(0, 2, 3, 1)
    memory = importlib.import_module("comfy.model_management")
    memory.unloaded.clear()
    small = device(140 * 140, ERRORS[name]())
    with caplog.at_level(logging.WARNING):
        found = run(comfy, images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    # Whole, whole without other models, one of the four tiles of up to 256 pixels a side; then nothing that does not fit.
    assert small.sizes[:3] == [(300, 290), (300, 290), (153, 148)]
    assert len(small.sizes) == 3 + 3 * 9 and max(small.sizes[3:]) == (106, 103)
    assert len(memory.unloaded) == 1
    assert [record.message.count("tiles of 128 pixels") for record in caplog.records if "tiles" in record.message] == [1]


def test_a_device_that_is_large_enough_is_given_whole_frames(comfy, batch, device):
    small = device(300 * 300, AssertionError())
    run(comfy, batch(2, 300, 290))
    assert small.sizes == [(300, 290)] * 2


def test_the_size_that_fits_is_kept_for_the_run_alone(comfy, batch, device):
    small = device(260 * 260, ERRORS["a GPU"]())
    for _ in range(2):
        small.sizes.clear()
        run(comfy, batch(3, 300, 290))
        assert small.sizes[:2] == [(300, 290)] * 2 and (300, 290) not in small.sizes[2:]


def test_no_tile_that_fits_is_one_line(comfy, batch, module, device):
    small = device(100, ERRORS["a GPU"]())
    with pytest.raises(module("core").InputError, match=r"^CUDA out of memory. .*; tiles of 128 pixels do not fit either$"):
        run(comfy, batch(1, 600, 300))
    assert len(small.sizes) == 2 + 3  # 512, 256, 128


def test_a_small_frame_has_no_tiles(comfy, batch, module, device):
    device(100, ERRORS["a GPU"]())
    with pytest.raises(module("core").InputError, match=r"a frame of this size has no tiles$"):
        run(comfy, batch(1, 100, 128))


def test_a_network_without_tiles_is_one_line(comfy, batch, module, device):
    small = device(100, ERRORS["a GPU"](), tiling=None)
    with pytest.raises(module("core").InputError, match=r"^CUDA out of memory.*; tile: hdcfm cannot be computed in tiles"):
        run(comfy, batch(1, 300, 290))
    assert len(small.sizes) == 2


def test_other_errors_go_on(comfy, batch, device):
    small = device(100, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        run(comfy, batch(1, 300, 290))
    assert len(small.sizes) == 1


def test_a_shipped_network_in_tiles(comfy, batch, module, monkeypatch):
    """HDCFM by torch, whose statistics are of the whole frame, on a device that does not hold 300 columns."""
    core = module("core")
    blocks = importlib.import_module(f"{core.NAME}.networks.blocks")
    monkeypatch.setattr(module("host"), "engine", lambda precision="fp32": core.engines.create("torch", device="cpu", threads=1))
    images = batch(1, 40, 300)
    expected = run(comfy, images)
    seen = []

    def small(x, channel, spatial):
        seen.append(x.shape[-1])
        if x.shape[-1] > 260:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return plain(x, channel, spatial)

    plain = blocks.dynamic_filter
    monkeypatch.setattr(blocks, "dynamic_filter", small)
    found = run(comfy, images)
    # Sums over pieces are rounded otherwise, and what is rounded is a gain in stops: a hundredth of a 10-bit code.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (
        seen.count(300) == 2 and max(set(seen) - {300}) == 224
    )  # whole, and whole without other models; then 160 and their halo
