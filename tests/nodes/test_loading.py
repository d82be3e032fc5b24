"""The nodes from where people put them: a copy of the tree under another name, without VapourSynth; and what they declare."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vs_hdrtv
from vs_hdrtv import conversion

ROOT = Path(vs_hdrtv.__file__).parents[1]
STAND_IN = Path(__file__).parent / "stand_in"
WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))

LOAD = """
import asyncio, importlib.util, sys
sys.modules["vapoursynth"] = None
before = list(sys.path)
path = sys.argv[1]
name = path.replace(".", "_x_")
spec = importlib.util.spec_from_file_location(name, path + "/__init__.py")
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
assert not hasattr(module, "NODE_CLASS_MAPPINGS")
nodes = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
import torch
formula = next(node for node in nodes if node.GET_SCHEMA().node_id == "VsHdrtvSdrToHdr")
given = {each.id: each.declared["default"] for each in formula.GET_SCHEMA().inputs if "default" in each.declared}
hdr = formula.execute(**{**given, "images": torch.rand(1, 40, 40, 3)})[0]
assert hdr.shape == (1, 40, 40, 3) and 0.1 < hdr.mean() < 0.9
assert sys.path == before and "nodes" not in sys.modules
ours = {name for name in sys.modules if name.partition(".")[0] == "vs_hdrtv"}
print(len(nodes), sorted(ours)[:3], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What ComfyUI needs of a clone, in a folder with a dot and a space in its path."""
    folder = tmp_path_factory.mktemp("Comfy UI") / "custom_nodes" / "hdr.tv"
    folder.mkdir(parents=True)
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("vs_hdrtv", "nodes", "weights"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "__init__.py", folder)
    return folder


def test_a_clone_loads_as_it_is(clone, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(clone)],
        env={"PYTHONPATH": str(STAND_IN), "HOME": str(tmp_path), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # nothing prints
    assert done.stderr.splitlines()[-1].startswith("22 []"), done.stderr  # nothing of the installed package is used


def test_a_script_beside_a_clone_gets_the_package(clone, tmp_path):
    (tmp_path / "vs_hdrtv").symlink_to(clone)
    script = tmp_path / "script.py"
    script.write_text("import vs_hdrtv\nfrom vs_hdrtv import errors\nprint(vs_hdrtv.__version__, errors.__file__)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    file = tmp_path / "vs_hdrtv" / "vs_hdrtv" / "errors.py"
    assert (done.stdout, done.stderr) == (f"{vs_hdrtv.__version__} {file}\n", "")


def test_ids_are_ours_and_everything_says_what_it_does(classes):
    for node_id, node in classes.items():
        schema = node.GET_SCHEMA()
        assert node_id.startswith("VsHdrtv") and schema.category.startswith("HDR") and schema.description
        assert schema.search_aliases
        for each in schema.inputs:
            assert len(each.declared["tooltip"]) > 15, (node_id, each.id)
            options = each.declared.get("options")
            assert options is None or each.declared["default"] in options


def test_an_older_schema_has_no_aliases(module, monkeypatch):
    host = module("host")
    monkeypatch.setattr(host, "_FIELDS", host._FIELDS - {"search_aliases"})
    arguments = {"display_name": "a", "category": "HDR", "inputs": [], "outputs": []}
    assert host.schema(node_id="x", search_aliases=["b"], **arguments).search_aliases == []


def test_the_presets_are_those_of_the_main_job(classes):
    widgets = {each.id: each.declared for each in classes["VsHdrtvSdrToHdr"].GET_SCHEMA().inputs}
    assert widgets["preset"]["options"] == list(conversion.PRESETS)


def test_each_node_has_a_page_that_names_its_sockets(classes):
    folder = ROOT / "nodes" / "web" / "docs"
    assert {path.stem for path in folder.glob("*.md")} == set(classes)
    for node_id, node in classes.items():
        schema, text = node.GET_SCHEMA(), (folder / f"{node_id}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {schema.display_name}\n")
        assert re.findall(r"^\| `(\w+)` \|", text, re.M) and {each.id for each in schema.inputs} == set(
            re.findall(r"^\| `(\w+)` \|", text, re.M)
        )
        assert all(each.declared["display_name"] in text for each in schema.outputs)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_fit_the_nodes(classes, path):
    workflow = json.loads(path.read_text(encoding="utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    ours = [node for node in nodes.values() if node["type"].startswith("VsHdrtv")]
    assert ours
    for node in ours:
        schema = classes[node["type"]].GET_SCHEMA()
        widgets = [each for each in schema.inputs if "default" in each.declared]
        required = [each for each in widgets if not each.declared.get("optional")]
        assert len(node["widgets_values"]) == len(required) == len(widgets)
        for each, value in zip(widgets, node["widgets_values"], strict=True):
            options = each.declared.get("options")
            assert value in options if options else type(value) in (int, float, str)
        assert {entry["name"] for entry in node["inputs"]} == {each.id for each in schema.inputs}
        assert [entry["name"] for entry in node["outputs"]] == [each.declared["display_name"] for each in schema.outputs]
    for number, source, out, target, entry, _ in workflow["links"]:
        assert number in nodes[source]["outputs"][out]["links"] and nodes[target]["inputs"][entry]["link"] == number
