"""The list of more scenes: what it names, and a folder made of it."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from vs_hdrtv.training import cards, recipes, scenes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
specification = importlib.util.spec_from_file_location("more_scenes", SCRIPTS / "more_scenes.py")
more_scenes = importlib.util.module_from_spec(specification)
specification.loader.exec_module(more_scenes)


def rows(path=more_scenes.LIST):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def copy(tmp_path):
    """A list of two pictures of one repository, and a copy of it at a file:// address."""
    import cv2

    table = tmp_path / "list.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "repository", "commit", "path", "sha256", "licence"])
        for number, name in enumerate(("shore_1k.hdr", "birch wood_1k.hdr")):
            path = tmp_path / "copy" / "someone" / "demo" / "abc" / "public" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.random.default_rng(number).random((16, 32, 3), dtype=np.float32))
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            writer.writerow([name.replace(" ", "_"), "someone/demo", "abc", f"public/{name}", checksum, "CC0-1.0 (somebody)"])
    return table, f"{(tmp_path / 'copy').as_uri()}/{{repository}}/{{commit}}/{{path}}"


def run(data, copy, *more):
    table, address = copy
    return more_scenes.main([str(data), "--list", str(table), "--address", address, *more])


def test_every_file_is_listed_once_and_free():
    listed = rows()
    assert len({row["file"] for row in listed}) == len({row["sha256"] for row in listed}) == len(listed) > 50
    for row in listed:
        assert re.fullmatch(r"[a-z0-9_]+_1k\.(hdr|exr)", row["file"])
        assert re.fullmatch(r"[0-9a-f]{64}", row["sha256"])
        assert re.fullmatch(r"[0-9a-f]{40}", row["commit"])
        assert row["licence"].startswith(cards.FREE)


def test_every_split_gains():
    splits = [scenes.split(scenes.location(Path(row["file"]).stem)) for row in rows()]
    assert min(splits.count(name) for name in ("train", "validation", "test")) >= 5


def test_files_and_licences_are_written_and_the_second_run_changes_nothing(tmp_path, copy, capsys):
    data = tmp_path / "data"
    assert run(data, copy) == 0
    files = sorted(path.name for path in (data / "hdr_stills").iterdir())
    assert files == ["birch_wood_1k.hdr", "shore_1k.hdr"]
    before = {path: path.stat().st_mtime_ns for path in (data / "hdr_stills").iterdir()}
    manifest = (data / "MANIFEST.csv").read_text()
    assert run(data, copy) == 0
    assert {path: path.stat().st_mtime_ns for path in (data / "hdr_stills").iterdir()} == before
    assert (data / "MANIFEST.csv").read_text() == manifest
    capsys.readouterr()
    named = cards.data(data, recipes.load("hdcfm"))
    train = sorted(Path(name).stem for name in files if scenes.split(scenes.location(Path(name).stem)) == "train")
    assert named == {"CC0-1.0": train}


def test_a_manifest_that_is_there_keeps_its_rows_and_columns(tmp_path, copy):
    data = tmp_path / "data"
    data.mkdir()
    (data / "MANIFEST.csv").write_text("file,licence,note,source\nhdr_stills/mine.hdr,MIT,own,me\n")
    assert run(data, copy) == 0
    found = rows(data / "MANIFEST.csv")
    assert found[0] == {"file": "hdr_stills/mine.hdr", "licence": "MIT", "note": "own", "source": "me"}
    assert [row["file"] for row in found[1:]] == ["hdr_stills/shore_1k.hdr", "hdr_stills/birch_wood_1k.hdr"]
    assert found[1]["source"] == "someone/demo:public/shore_1k.hdr"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///nowhere/{repository}/{path}", "cannot be read"),
        ("nonsense", "give an https:// or file:// address"),
        ("https://example.org/{branch}", "it may name {repository}, {commit} and {path}"),
    ],
)
def test_bad_addresses(tmp_path, copy, capsys, address, message):
    assert run(tmp_path / "data", copy, "--address", address) == 2
    error = capsys.readouterr().err
    assert error.startswith("more_scenes: ")
    assert message in error
    assert error.count("\n") == 1
    assert list((tmp_path / "data" / "hdr_stills").iterdir()) == []


def test_another_file_than_the_listed_one_is_not_written(tmp_path, copy, capsys):
    (tmp_path / "copy/someone/demo/abc/public/shore_1k.hdr").write_bytes(b"something else")
    assert run(tmp_path / "data", copy) == 2
    assert "is listed; nothing was written of it" in capsys.readouterr().err
    assert list((tmp_path / "data" / "hdr_stills").iterdir()) == []


def test_a_manifest_without_the_columns(tmp_path, copy, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "MANIFEST.csv").write_text("picture,rights\na,b\n")
    assert run(data, copy) == 2
    assert "file, source and licence are needed" in capsys.readouterr().err
    assert (data / "MANIFEST.csv").read_text() == "picture,rights\na,b\n"
