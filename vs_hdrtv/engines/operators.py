"""Operators that not every engine has: OpenVINO's form of them, and which library is too old for a graph."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

SINCE: Mapping[str, Mapping[str, str]] = {
    # ONNX Runtime's CPU and CUDA providers: pull request 27393. TensorRT takes it for a plug-in of its own from 10.1 on.
    "DeformConv": {"onnx-cpu": "1.25", "onnx-cuda": "1.25", "onnx-tensorrt": "1.25"},
}
"""Operator -> engine -> the version of ONNX Runtime that has it. Engines that are not listed have it in all versions."""

_PACKAGES = ("onnxruntime", "onnxruntime-gpu")


def check(engine: str, path: Path) -> None:
    """Refuse a graph with an operator that an engine's library does not have.

    Args:
        engine: key of `engines.ENGINES`.
        path: ONNX file.

    Raises:
        InputError: the library is too old.
    """
    data = path.read_bytes()
    for operator, since in SINCE.items():
        needed = since.get(engine)
        if needed is None or not _has(data, operator):
            continue
        for package, found in _versions():
            if _numbers(found) < _numbers(needed):
                raise InputError(
                    f"engine {engine!r}: {path.name} needs {operator}, which {package} {found} does not have; "
                    f"pip install '{package}>={needed}', or use engine='torch' or 'cpu'"
                )


def _has(data: bytes, operator: str) -> bool:
    """Whether a node of the graph is of this type: field 4 of NodeProto, a string (the package `onnx` need not be there)."""
    return b"\x22" + bytes([len(operator)]) + operator.encode() in data


def _versions() -> list[tuple[str, str]]:
    """Those of ONNX Runtime's packages that are installed, with their versions."""
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def extend_openvino(core: Any) -> None:
    """Teach an `openvino.Core` the operators that its reader of ONNX files lacks."""
    from openvino.frontend.onnx import ConversionExtension

    core.add_extension(ConversionExtension("DeformConv", _deform_conv))


def _deform_conv(node: Any) -> list[Any]:
    """DeformConv as the export writes it (3x3, stride 1, padding 1, with bias, perhaps a mask) in OpenVINO's operators."""
    from openvino import opset8

    x, weight, offset, bias, *mask = (node.get_input(index) for index in range(node.get_input_size()))
    ones, groups = [1, 1], node.get_attribute("offset_group", 1)
    # Padded as ONNX defines it: a tap between the edge pixel and the outside has its share of the edge pixel.
    y = opset8.deformable_convolution(
        x, offset, weight, ones, ones, ones, ones, *mask, deformable_group=groups, bilinear_interpolation_pad=True
    )
    shape = opset8.constant(np.array([1, -1, 1, 1], np.int64))
    return opset8.add(y, opset8.reshape(bias, shape, False)).outputs()  # type: ignore[no-any-return]
