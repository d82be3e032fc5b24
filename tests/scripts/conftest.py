"""Scripts as modules."""

import importlib.util
import sys
from pathlib import Path

import pytest

import vs_hdrtv

SCRIPTS = Path(vs_hdrtv.__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def script(request):
    """The script that the test module is named after; skipped where there are none (an installed wheel)."""
    path = SCRIPTS / f"{request.path.stem.removeprefix('test_')}.py"
    if not path.exists():
        pytest.skip("no scripts")
    name = f"script_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules[name]
