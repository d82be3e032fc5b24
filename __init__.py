"""ComfyUI loads a clone of this repository in `custom_nodes/` through this file, under a name of its own.

Python does so, too, where a script lies beside a clone: `import vs_hdrtv` finds the clone's folder before the installed package.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "nodes/web"


async def comfy_entrypoint() -> Any:
    """The extension; imported when ComfyUI asks for it, so that nobody else who passes by needs ComfyUI."""
    from .nodes import comfy_entrypoint as entrypoint

    return await entrypoint()


def _become_the_package() -> None:
    """Put the package in the place of this module, which importing then gives."""
    import sys
    from importlib import util
    from pathlib import Path

    folder = Path(__file__).with_name("vs_hdrtv")
    specification = util.spec_from_file_location(__name__, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert specification is not None and specification.loader is not None
    package = sys.modules[__name__] = util.module_from_spec(specification)
    specification.loader.exec_module(package)


if __name__ == "vs_hdrtv":
    _become_the_package()
