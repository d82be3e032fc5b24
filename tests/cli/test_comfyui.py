"""`vs-hdrtv comfyui install`: what is written, and what is left alone."""

import pytest

from vs_hdrtv.cli import comfyui


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As in a wheel, where the nodes are inside the package; and a ComfyUI."""
    nodes, workflows = tmp_path / "nodes", tmp_path / "workflows"
    nodes.mkdir()
    workflows.mkdir()
    (workflows / "one.json").write_text("{}")
    monkeypatch.setattr(comfyui, "NODES", nodes)
    monkeypatch.setattr(comfyui, "WORKFLOWS", workflows)
    custom = tmp_path / "ComfyUI" / "custom_nodes"
    custom.mkdir(parents=True)
    return custom


def test_it_writes_two_lines_and_the_workflows(run, installed):
    for path in (installed.parent, installed):
        code, out, err = run("comfyui", "install", path)
        assert (code, err) == (0, "") and str(installed / "vs_hdrtv") in out
        lines = (installed / "vs_hdrtv" / "__init__.py").read_text().splitlines()
        assert len(lines) == 2 and lines[1].startswith("from vs_hdrtv.nodes import WEB_DIRECTORY, comfy_entrypoint")
        assert (installed / "vs_hdrtv" / "example_workflows" / "one.json").is_file()


def test_what_others_put_there_stays(run, installed):
    folder = installed / "vs_hdrtv"
    folder.mkdir()
    (folder / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    code, out, err = run("comfyui", "install", installed.parent)
    assert (code, out) == (2, "") and "was not made by this command" in err and err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["__init__.py"]


def test_another_folder_is_one_line(run, installed, tmp_path):
    for path in (tmp_path / "workflows", tmp_path / "nowhere"):
        code, _, err = run("comfyui", "install", path)
        assert code == 2 and "has no folder custom_nodes" in err and err.count("\n") == 1


def test_a_checkout_is_linked(run, tmp_path):
    (tmp_path / "custom_nodes").mkdir()
    code, _, err = run("comfyui", "install", tmp_path)
    assert code == 2 and "ln -s" in err and not list((tmp_path / "custom_nodes").iterdir())
