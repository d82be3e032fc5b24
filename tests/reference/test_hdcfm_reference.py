"""HDCFM with the authors' checkpoint gives the authors' output (golden.npz of the reference)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vs_hdrtv import engines, weights

SHARED = Path(os.environ.get("VS_HDRTV_SHARED") or Path(__file__).parents[3] / "shared")
REFERENCE = SHARED / "reference" / "hdcfm"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"no {REFERENCE}: set VS_HDRTV_SHARED to the folder with reference/"),
]


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    output = tmp_path_factory.mktemp("authors") / "authors.safetensors"
    return weights.convert_checkpoint(REFERENCE / "Mode.pth.tar", "hdcfm", output)


@pytest.mark.parametrize("name", ["torch", "cpu", "onnx-cpu"])
@pytest.mark.parametrize("pair", ["a", "b"])
def test_golden(card, name, pair):
    golden = np.load(REFERENCE / "golden.npz")
    engine = engines.create(name, device="cpu")
    sdr = golden[f"input_{pair}"].astype(np.float32) / np.float32(255)
    found = engine.download(engine.load(card)(engine.upload(sdr)))
    assert np.abs(found - golden[f"output_{pair}"]).max() <= 1e-4


def test_card_names_the_licence_of_the_release(card):
    assert card.parameters == 100_682
    assert "not for redistribution" in card.licence
    assert {path.suffix for path in card.path.parent.iterdir()} == {".safetensors", ".onnx", ".toml"}
