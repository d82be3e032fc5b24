import math

import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import octave, registry
from vs_hdrtv.metrics.registry import DEFAULT, METRICS, OVEREXPOSED, PAIRS, Metric, choose, measure

REFERENCE = np.random.default_rng(0).random((3, 16, 16)) * 0.6


def test_table_is_whole():
    assert {*DEFAULT, *OVEREXPOSED} <= set(METRICS)
    assert all(name == metric.name for name, metric in METRICS.items())
    # What scripts/export.py and published tables of this project read.
    assert [METRICS[name].column for name in PAIRS] == ["psnr_db", "delta_e_itp", "psnr_matched_db", "delta_e_itp_matched"]
    columns = [metric.column for metric in METRICS.values()]
    assert len(set(columns)) == len(columns)
    assert METRICS["psnr"].heading == "PSNR of PQ, dB ↑"
    assert METRICS["delta_e_itp"].heading == "dE_ITP ↓"


@pytest.mark.parametrize("name", ["psnr", "delta_e_itp", "pu21_psnr", "pu21_ssim", "ssim"])
def test_direction_is_that_of_more_noise(name):
    noise = np.random.default_rng(1).normal(0, 1, REFERENCE.shape)
    metric = METRICS[name]
    little, much = (metric.function(np.clip(REFERENCE + s * noise, 0, 1), REFERENCE) for s in (0.01, 0.1))
    assert (little > much) == metric.higher_is_better


def test_measure_of_pictures_and_clips():
    metrics = choose(["psnr", "psnr_matched", "mabd", "hue_shift"])
    other = np.clip(REFERENCE + 0.01, 0, 1)
    of_picture = measure(metrics, other, REFERENCE)
    assert list(of_picture) == ["psnr", "psnr_matched"]
    assert of_picture["psnr"] == pytest.approx(40, abs=1e-6)
    # A clip: mean over the frames, not PSNR of them all (which would be 20 log10(1 / sqrt((0.01^2 + 0.1^2) / 2)) = 23 dB).
    clip = np.stack([REFERENCE + 0.01, REFERENCE + 0.1])
    of_clip = measure(metrics, clip, np.stack([REFERENCE] * 2), 25.0)
    assert list(of_clip) == ["psnr", "psnr_matched", "mabd"]
    assert of_clip["psnr"] == pytest.approx(30, abs=1e-6)


def test_either_gets_the_whole_clip():
    asked = []

    def function(hdr, reference, rate=None):
        asked.append((hdr.shape, rate))
        return 1.0

    metric = Metric("own", "own", "", True, "either", function)
    measure([metric], REFERENCE, REFERENCE)
    measure([metric], REFERENCE[None], REFERENCE[None], 24.0)
    assert asked == [((3, 16, 16), None), ((1, 3, 16, 16), 24.0)]


def test_choose_refuses_what_cannot_be_measured(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="unknown metric 'vmaf'; choose from psnr, "):
        choose(["psnr", "vmaf"])
    with pytest.raises(InputError, match="there is none"):
        choose([])
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None if name == "pycvvdp" else object())
    assert [metric.name for metric in choose(["ssim", "psnr", "ssim"])] == ["ssim", "psnr"]
    with pytest.raises(InputError, match=r"cvvdp needs pycvvdp; pip install 'vs-hdrtv\[metrics\]'"):
        choose(["cvvdp"])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(octave.PROGRAM, raising=False)
    with pytest.raises(InputError, match="hdr_vdp_3: neither Octave nor MATLAB"):
        choose(["hdr_vdp_3_matched"])


def test_authors_code_is_bound(monkeypatch, tmp_path):
    (tmp_path / "hdrvdp3.m").touch()
    monkeypatch.setattr(octave, "find_program", lambda name: "octave-cli")
    asked = []
    monkeypatch.setattr(octave, "_run", lambda name, script, shown, meant, folder: asked.append((name, folder)) or math.pi)
    (metric,) = choose(["hdr_vdp_3"], {"hdr_vdp_3": tmp_path})
    assert measure([metric], REFERENCE, REFERENCE) == {"hdr_vdp_3": math.pi}
    assert asked == [("hdr_vdp_3", tmp_path.resolve())]


def test_a_clip_of_one_frame_has_no_steps():
    frame = np.full((1, 3, 16, 16), 0.5, np.float32)
    chosen = registry.choose(["psnr", "mabd", "flicker"])
    assert list(registry.measure(chosen, frame, frame, rate=24.0)) == ["psnr"]
    assert len(registry.measure(chosen, *[frame.repeat(2, axis=0)] * 2, rate=24.0)) == 3
