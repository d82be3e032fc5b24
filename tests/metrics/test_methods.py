import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import methods

CLIP = np.arange(5, dtype=np.float32)[:, None, None, None] ** 2 * np.ones((1, 3, 4, 6), np.float32)


def window_sum(*frames):
    return sum(10**n * frame for n, frame in enumerate(frames))


def test_a_network_of_several_frames_reads_neighbours_inside_the_scene(model, fake_models):
    fake_models({"three": model({"sdr": (-1, 0, 1)}, network=window_sum)})
    method = methods.collect([], ["three"], None, "torch")["three"]
    # Squares of 0 to 4; a scene begins with frame 3.
    assert method(CLIP, (3,))[:, 0, 0, 0].tolist() == [100, 410, 441, 1699, 1769]
    assert methods.of_picture(method)(CLIP[3]).shape == (3, 4, 6)
    assert methods.of_picture(method)(CLIP[3])[0, 0, 0] == 999


def test_steady_takes_the_mean_of_the_statistics_around(model, fake_models):
    fake_models(
        {
            "own": model(
                {"sdr": (0,)},
                statistics=("sdr",),
                network=lambda sdr: sdr,
                network_statistics=lambda sdr: sdr.mean(axis=(1, 2, 3), keepdims=True),
                network_steady=lambda sdr, statistics: sdr + 1000 * statistics,
            )
        }
    )
    found = methods.collect([], ["own", "own:steady=1"], None, "torch")
    np.testing.assert_array_equal(found["own"](CLIP, ()), CLIP)
    means = np.array([(0 + 0 + 1) / 3, 5 / 3, 14 / 3, 29 / 3, (9 + 16 + 16) / 3])
    np.testing.assert_allclose((found["own:steady=1"](CLIP, ()) - CLIP)[:, 0, 0, 0], 1000 * means, rtol=1e-5)
    with pytest.raises(InputError, match="evaluate: steady is 'x' in own:steady=x; give frames on each side, for example own:"):
        methods.collect([], ["own:steady=x"], None, "torch")


def test_a_file_is_one_model_whatever_its_name(tmp_path):
    path = tmp_path / "a:steady=4"
    assert methods.parse(str(path)) == (str(tmp_path / "a"), 4)
    path.touch()
    assert methods.parse(str(path)) == (str(path), 0)
    assert methods.typed(*methods.parse("hdcfm:steady=4")) == "hdcfm:steady=4"
    assert methods.models("hdcfm:steady=2+pdcg") == ["hdcfm", "pdcg"]


def test_shipped_models_on_a_clip_are_what_they_are_on_its_frames():
    method = methods.collect([], ["hdcfm"], None, "torch")["hdcfm"]
    clip = np.random.default_rng(0).random((3, 3, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(method(clip, ())[1], methods.of_picture(method)(clip[1]))
