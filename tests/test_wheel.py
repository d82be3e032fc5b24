"""The wheel: built, installed outside the checkout, and used from somewhere else with an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

import vs_hdrtv

ROOT = Path(vs_hdrtv.__file__).parents[1]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not a checkout")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it is in the dev extra")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (found,) = folder.glob("vs_hdrtv-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A function that runs a program of an environment of its own: this package from the wheel, the others from here."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / SCRIPTS / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    # A folder named in a .pth is searched, but its own .pth files, the editable install's among them, are not read.
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = run_python(python, where), run_python(sys.executable, where)
    (Path(ours) / "others.pth").write_text(f"{theirs}\n", encoding="utf-8")
    home, elsewhere = folder / "home", folder / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()

    def run(program, *words):
        done = subprocess.run(
            [folder / "venv" / SCRIPTS / program, *map(str, words)],
            cwd=elsewhere,
            env=clean_environment(home),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run.venv, run.cwd = folder / "venv", elsewhere
    return run


def clean_environment(home):
    kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV", "XDG_CONFIG_HOME"}}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


def pip(*words):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_python(python, code):
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_the_wheel_holds_what_is_needed_and_no_more(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"vs_hdrtv/_weights/{path.name}" for path in (ROOT / "weights").iterdir()}
    assert shipped and {"vs_hdrtv/py.typed", "vs_hdrtv/cli/__main__.py"} | shipped <= names
    nodes = {
        f"vs_hdrtv/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "nodes").rglob("*.*") if path.suffix in (".py", ".md")
    }
    workflows = {f"vs_hdrtv/_workflows/{path.name}" for path in (ROOT / "example_workflows").iterdir()}
    assert nodes and workflows and nodes | workflows <= names
    recipes = {path.relative_to(ROOT).as_posix() for path in (ROOT / "vs_hdrtv").rglob("*.toml")}
    assert recipes <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"vs_hdrtv"}
    assert not [name for name in names if "test" in name or name.endswith((".pyc", ".pt", ".vpy"))]


def test_the_weights_come_with_it(installed):
    where = Path(installed("python", "-c", "import vs_hdrtv; print(vs_hdrtv.__file__)"))
    assert where.is_relative_to(installed.venv) and not where.is_relative_to(ROOT)
    verified = installed("vs-hdrtv", "weights", "verify").splitlines()
    assert len(verified) == len(list((ROOT / "weights").glob("*.toml"))) and all("checksums match" in line for line in verified)
    assert str(installed.venv) in installed("vs-hdrtv", "weights", "list")


def test_it_converts_a_file_with_its_network(installed):
    source, result = installed.cwd / "in.mkv", installed.cwd / "out.mkv"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((72, 64), 60 + 40 * n, np.uint8), "yuv420p")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    installed("vs-hdrtv", "convert", "in.mkv", "out.mkv", "--preset", "fast")
    with av.open(str(result)) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == 2 and (frames[0].color_primaries, frames[0].color_trc) == (9, 16)  # H.273: BT.2020, PQ


@pytest.mark.parametrize("module", ["vs_hdrtv", "vs_hdrtv.cli"])
def test_importing_it_loads_nothing_heavy(installed, module):
    heavy = ("torch", "vapoursynth", "numpy", "av", "openvino", "onnxruntime", "PIL", "array_api_compat")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    assert installed("python", "-c", code) == "[]"


def test_its_nodes_load_in_comfyui(installed):
    """As `comfyui install` sets it up, against the stand-in of ComfyUI's API."""
    pytest.importorskip("torch", reason="ComfyUI has torch")
    custom = installed.cwd / "ComfyUI" / "custom_nodes"
    custom.mkdir(parents=True)
    installed("vs-hdrtv", "comfyui", "install", custom.parent)
    stand_in = ROOT / "tests" / "nodes" / "stand_in"
    code = f"""
import asyncio, importlib.util, sys
sys.path.insert(0, {str(stand_in)!r})
sys.modules["vapoursynth"] = None
spec = importlib.util.spec_from_file_location("mangled", {str(custom / "vs_hdrtv" / "__init__.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
nodes = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
import pathlib
print(len(nodes), len(list(pathlib.Path(module.WEB_DIRECTORY, "docs").glob("*.md"))))
"""
    nodes, pages = installed("python", "-c", code).split()
    assert nodes == pages != "0" and (custom / "vs_hdrtv" / "example_workflows").is_dir()


def test_the_version_is_one(wheel):
    assert wheel.name.startswith(f"vs_hdrtv-{vs_hdrtv.__version__}-py3-none-any")
