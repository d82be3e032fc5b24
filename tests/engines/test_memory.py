"""Memory that does not suffice: one error, whatever the library's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vs_hdrtv import engines
from vs_hdrtv.errors import InputError

OrtError = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
"""ONNX Runtime's, which is no `RuntimeError`."""

OpenCvError = type("error", (Exception,), {"__module__": "cv2"})

FULL = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("f4")),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    RuntimeError("Exception from src/inference: std::bad_alloc"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    OrtError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'/conv/Conv' "
        "Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::"
        "AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate "
        "memory for requested buffer of size 4585490524"
    ),
    OpenCvError(
        "OpenCV(5.0.0) /io/opencv/modules/core/src/alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 14400000000 "
        "bytes in function 'OutOfMemoryError'"
    ),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_it_is_one_line_that_says_what_to_do(card, error):
    def run(frame):
        raise error

    tried = engines.within_memory(run, "torch", "cuda:0", card)
    with pytest.raises(
        InputError, match=r"^engine 'torch': the memory of cuda:0 does not suffice for random on 40x32; "
    ) as found:
        tried(np.zeros((1, 3, 32, 40), np.float32))
    assert "close what else uses it, or give smaller frames, precision='fp16' or engine='cpu'" in str(found.value)
    assert engines.is_out_of_memory(found.value) and isinstance(found.value, engines.OutOfMemoryError)
    assert found.value.__context__ is None  # which would hold the feature maps


def test_other_errors_are_left_as_they_are(card):
    others = RuntimeError("sizes differ"), InputError("memory"), ValueError("bad_alloc"), OrtError("INVALID_ARGUMENT : sizes")
    for error in others:
        assert not engines.is_out_of_memory(error)

        def run(frame, error=error):
            raise error

        with pytest.raises(type(error)) as found:
            engines.within_memory(run, "cpu", "cpu", card)(np.zeros((1, 3, 32, 40), np.float32))
        assert found.value is error


def test_torch_says_it_of_a_frame_that_is_too_large(card):
    """A real allocation that fails: the frame is one pixel, seen a hundred million times."""
    engine = engines.create("torch", device="cpu")
    frame = torch.zeros(1, 3, 1, 1).expand(1, 3, 1 << 22, 1 << 22)
    with pytest.raises(engines.OutOfMemoryError, match="the memory of cpu does not suffice for random on 4194304x4194304"):
        engine.load(card)(frame)


def test_a_script_gets_the_line_and_no_tiles(moving_clip, monkeypatch):
    """A farm's machine with less memory must not give other bytes than the others."""
    import vapoursynth as vs

    import vs_hdrtv
    from vs_hdrtv.engines import cpu

    tries = []

    def full(self, *arrays):
        tries.append(arrays[0].shape)
        raise RuntimeError("Exception from src/inference: std::bad_alloc")

    monkeypatch.setattr(cpu._Compiled, "__call__", full)
    clip = vs_hdrtv.feature_map(moving_clip(width=160, height=144, length=1), engine="cpu")
    with pytest.raises(vs.Error, match=r"engine 'cpu': the memory of cpu does not suffice for hdcfm on 160x144; close what"):
        clip.get_frame(0)
    assert tries == [(1, 3, 144, 160)]


@pytest.mark.parametrize("where", ["upload", "download", "computing"])
def test_a_script_gets_the_line_wherever_memory_ends(moving_clip, monkeypatch, where):
    """Outside of networks too: bringing frames to the device and back, and what the stages compute on arrays."""
    import vapoursynth as vs

    import vs_hdrtv
    from vs_hdrtv import graph

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(*((graph, "compute") if where == "computing" else (engines.create("cpu"), where)), full)
    clip = vs_hdrtv.feature_map(moving_clip(width=64, height=48, length=1), engine="cpu")
    with pytest.raises(vs.Error) as found:
        clip.get_frame(0)
    line = "engine 'cpu': the memory of cpu does not suffice for feature_map on 64x48; close what else uses it"
    shown = str(found.value)
    assert shown.splitlines()[-1].startswith(f"vapoursynth.Error: {line}") and "CUDA out of memory" not in shown
