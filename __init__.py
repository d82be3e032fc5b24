"""ComfyUI loads a clone of this repository in `custom_nodes/` through this file; nothing else imports it."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "nodes/web"


async def comfy_entrypoint() -> Any:
    """The extension; imported when ComfyUI asks for it, so that nobody else who passes by needs ComfyUI."""
    from .nodes import comfy_entrypoint as entrypoint

    return await entrypoint()
