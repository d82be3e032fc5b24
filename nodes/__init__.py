"""The ComfyUI front: the stages of the package as nodes (V3 schema). Loaded by ComfyUI alone, which this file does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WEB_DIRECTORY = str(Path(__file__).resolve().parent / "web")
"""Where the pages of the nodes' help are."""


async def comfy_entrypoint() -> Any:
    """The extension that ComfyUI asks for."""
    from .table import extension

    return extension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
