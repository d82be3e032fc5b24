from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import cards, material, recipes
from vs_hdrtv.training.scenes import Scene

ROWS = """file,source,licence
hdr_stills/free_1k.hdr,owner/free:free.hdr,"CC0-1.0 (Poly Haven)"
hdr_stills/ilm.hdr,owner/ilm:ilm.hdr,"BSD-3-Clause (LICENSE, ILM 2004)"
hdr_video/fall.mov,owner/clips:test/fall.mov,"LIVE UGC HDR licence (with copyright notice and citation)"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "MANIFEST.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture
def found(monkeypatch):
    """A function that says what there is: paths of stills, of clips, and names of films."""

    def say(folder, stills=(), clips=(), films=()):
        scenes = [
            [Scene(path.stem, path.stem, "train", path) for path in map(folder.joinpath, paths)] for paths in (stills, clips)
        ]
        entries = [SimpleNamespace(film=film) for film in films]
        monkeypatch.setattr(material, "find", lambda data, split, variety: material.Sources(*scenes, entries))
        kinds = {"fall": "HLG", "plain": "SDR"}
        monkeypatch.setattr(cards, "open_video", lambda path, who: SimpleNamespace(kind=kinds[path.stem]))

    return say


RECIPE = recipes.load("hdcfm")


def test_by_licence_with_the_origin_where_it_must_be_named(folder, found):
    found(folder, ("hdr_stills/free_1k.hdr", "hdr_stills/ilm.hdr"), ("hdr_video/fall.mov", "hdr_video/plain.mp4"))
    assert cards.data(folder, RECIPE) == {
        "CC0-1.0": ["free_1k"],
        "BSD-3-Clause": ["ilm (owner/ilm)"],
        "LIVE UGC HDR licence": ["fall (owner/clips)"],  # what is not tagged HDR was not trained on
        "terms": {"BSD-3-Clause": "LICENSE, ILM 2004", "LIVE UGC HDR licence": "with copyright notice and citation"},
    }


def test_what_no_manifest_states(folder, found):
    found(folder, ("hdr_stills/free_1k.hdr", "hdr_stills/own.hdr"), films=("b", "a", "b"))
    with pytest.raises(InputError, match=r'no MANIFEST.csv beside the folder of .*own.hdr .*or give --licence "NAME"') as error:
        cards.data(folder, RECIPE)
    assert "\n" not in str(error.value)
    own = cards.data(folder, RECIPE, "all rights reserved")
    assert own == {"CC0-1.0": ["free_1k"], "all rights reserved": ["own", "a (film)", "b (film)"]}
    (folder / "MANIFEST.csv").unlink()
    assert cards.data(folder, RECIPE, "mine") == {"mine": ["free_1k", "own", "a (film)", "b (film)"]}


def test_of_a_folder_on_disk(tmp_path):
    stills = tmp_path / "hdr_stills"
    stills.mkdir()
    # Names that hash into the training split (tests/training/test_scenes.py) and into the test split.
    for name in ("venice_sunset_1k", "pmndrs_park"):
        cv2.imwrite(str(stills / f"{name}.hdr"), np.ones((8, 8, 3), np.float32))
    assert cards.data(tmp_path, RECIPE, "mine") == cards.data(stills, RECIPE, "mine") == {"mine": ["venice_sunset_1k"]}


def test_a_run_that_was_cut_short(tmp_path):
    assert cards.steps_done(tmp_path) is None
    (tmp_path / "curve.csv").write_text("step,l1\n100,0.5\n250,0.4\n")
    assert cards.steps_done(tmp_path) == 250
    words = cards.described("hdcfm", 250)
    assert words.startswith("hdcfm: 250 of 6100 steps (4500 of 8 views of 64 px; 1600 of 4 views of 128 px); rate 0.002, seed ")
    assert cards.described("hdcfm", None).startswith("hdcfm: an unknown number of 6100 steps")


def test_the_recipes_before(tmp_path):
    for name, step in (("hdcfm", 6100), ("hdcfm_bars", 900)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "curve.csv").write_text(f"step,l1\n{step},0.5\n")
    assert cards.before("hdcfm", tmp_path) == []
    found = cards.before("hdcfm_broad", tmp_path)
    assert [text.partition(" steps")[0] for text in found] == ["hdcfm: 6100 of 6100", "hdcfm_bars: 900 of 900"]
    found = cards.before("hdcfm_broad", tmp_path, {"hdcfm_bars": 450})
    assert found[1].startswith("hdcfm_bars: 450 of 900 steps")
