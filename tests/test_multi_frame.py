"""Networks of several frames and `steady` as filters: parts and wholes, time, feature clips, what is refused."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import vapoursynth as vs

from vs_hdrtv import (
    align,
    enhance,
    export,
    feature_map,
    generate_overexposed,
    modulate,
    predict_kernels,
    sdr_to_hdr,
    to_hdr10,
    weights,
)
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.dslnet import DSLNet
from vs_hdrtv.networks.hdcfm import HDCFM
from vs_hdrtv.networks.hdcfm_mfi import HDCFMMFI
from vs_hdrtv.networks.kpn_mfi import KPNMFI

SMALL = {
    "hdcfm": functools.partial(HDCFM, channels=32),
    "dslnet": DSLNet,
    "kpn_mfi": functools.partial(KPNMFI, 8, (1, 1, 1, 1, 1)),
    "hdcfm_mfi": functools.partial(HDCFMMFI, channels=32),
}
ENGINE = {"engine": "torch", "device": "cpu", "threads": 1}
AT = 4
"""The frame that begins the second scene."""


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """Paths of small networks' cards, random weights, graphs for torch alone."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "graph_to_onnx", lambda network, path, **which: path.write_bytes(b""))
        for name, make in SMALL.items():
            torch.manual_seed(6)
            network = make()
            with torch.no_grad():  # away from where they start, where much is the identity
                for part, parameter in network.named_parameters():
                    parameter.add_((0.5 if "interaction" in part else 0.05) * torch.randn(parameter.shape))
            found[name] = str(weights.write(network, name, folder, model=name, licence="MIT").path)
    return found


@pytest.fixture
def models(cards, monkeypatch):
    """The same, and the registry makes such networks."""
    for name, make in SMALL.items():
        monkeypatch.setitem(registry.NETWORKS, name, make)
    return cards


@pytest.fixture
def clip(moving_clip):
    """RGBS, 7 frames of noise, whose statistics differ from frame to frame."""
    return moving_clip(vs.RGBS, width=48, height=33, length=7).std.Expr("x x * 0.9 *")


@pytest.fixture
def two_scenes(clip):
    """Two scenes, the second much brighter."""
    return clip[:AT] + clip.std.Expr("x 0.5 * 0.5 +")[AT:]


def dslnet(clip, models, **time):
    features = modulate(align(clip, models["dslnet"], **ENGINE, **time), clip, models["dslnet"], **time)
    return enhance(features, models["dslnet"])


def steady(clip, models, k=2, model="hdcfm", **time):
    return feature_map(clip, models[model], steady=k, **ENGINE, **time)


def whole(name):
    return lambda clip, models, **time: feature_map(clip, models[name], **ENGINE, **time)


FILTERS = {
    "dslnet": dslnet,
    "dslnet steady": lambda clip, models, **time: dslnet(clip, models, steady=1, **time),
    "kpn_mfi": lambda clip, models, **time: predict_kernels(clip, models["kpn_mfi"], **ENGINE, **time),
    "hdcfm_mfi": whole("hdcfm_mfi"),
    "hdcfm steady": steady,
    "kpn_mfi steady": functools.partial(steady, k=1, model="kpn_mfi"),
    "hdcfm_mfi steady": functools.partial(steady, k=1, model="hdcfm_mfi"),
}


@pytest.fixture(params=list(FILTERS))
def applied(request, models):
    """A filter of several frames as `applied(clip, scenes=...)`."""
    return lambda clip, **time: FILTERS[request.param](clip, models, **time)


def array_of(clip, n):
    with clip.get_frame(n) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)])


# Time.


def test_frame_n_is_that_of_its_scene_alone(applied, two_scenes, bytes_of):
    found = bytes_of(applied(two_scenes, scenes=[AT]))
    alone = [bytes_of(applied(part, scenes="none")) for part in (two_scenes[:AT], two_scenes[AT:])]
    assert found == alone[0] + alone[1]
    joined = bytes_of(applied(two_scenes, scenes="none"))
    assert joined[0] == found[0] or "steady" in str(applied)  # far from the cut
    assert joined[AT - 1] != found[AT - 1]
    assert joined[AT] != found[AT]


def test_any_order_of_access(applied, clip, bytes_of):
    expected = bytes_of(applied(clip))
    assert bytes_of(applied(clip), [5, 0, 6, 2, 1, 4, 3]) == expected
    assert bytes_of(applied(clip), [6]) == expected[6:]


def test_any_number_of_vapoursynth_threads(applied, clip, bytes_of):
    expected, before = bytes_of(applied(clip)), vs.core.num_threads
    try:
        vs.core.num_threads = 5
        asked = applied(clip)
        futures = [asked.get_frame_async(n) for n in range(7)]
        found = [futures[n].result() for n in range(7)]
        got = [b"".join(np.asarray(frame[plane]).tobytes() for plane in range(3)) for frame in found]
    finally:
        vs.core.num_threads = before
    assert got == expected


def test_any_chunk(applied, clip, bytes_of):
    expected = bytes_of(applied(clip))
    assert bytes_of(applied(clip)[2:5]) == expected[2:5]


def test_any_memo(applied, clip, bytes_of, monkeypatch):
    from vs_hdrtv import pipeline

    expected = bytes_of(applied(clip))
    for frames in (0, 1, 3):
        monkeypatch.setattr(pipeline, "MEMO_FRAMES", frames)
        assert bytes_of(applied(clip)) == expected


def test_clips_of_one_and_two_frames(applied, clip):
    for length in (1, 2):
        assert np.isfinite(array_of(applied(clip[:length]), length - 1)).all()


# Parts and wholes.


def test_the_chain_of_parts_is_the_network(clip, models, bytes_of):
    chain = dslnet(clip, models)
    assert bytes_of(chain) == bytes_of(feature_map(clip, models["dslnet"], **ENGINE))
    network = weights.load_network(weights.find(models["dslnet"]))
    frames = [torch.from_numpy(array_of(clip, n))[None] for n in (2, 3, 4)]
    torch.testing.assert_close(torch.from_numpy(array_of(chain, 3))[None], network(*frames), atol=1e-5, rtol=0)


@pytest.mark.parametrize("time", [{}, {"steady": 1}], ids=["plain", "steady"])
def test_broken_chains_give_the_same_bytes(clip, models, bytes_of, time):
    expected = bytes_of(dslnet(clip, models, **time))
    features = align(clip, models["dslnet"], **ENGINE, **time).std.Trim(0)
    features = modulate(features, clip, models["dslnet"], **ENGINE, **time).std.Trim(0)
    assert bytes_of(enhance(features, models["dslnet"], **ENGINE)) == expected


def test_neighbours_matter(clip, models):
    for name in ("dslnet", "kpn_mfi", "hdcfm_mfi"):
        plain = array_of(whole(name)(clip, models), 3)
        other = clip[:4] + clip.std.Expr("x 0.3 *")[4:]
        assert np.abs(array_of(whole(name)(other, models, scenes="none"), 3) - plain).max() > 1e-5
        assert np.array_equal(array_of(whole(name)(other, models, scenes=[4]), 2), array_of(whole(name)(clip, models), 2))


def test_predict_kernels_is_feature_map_of_kpn_mfi(clip, models, bytes_of):
    assert bytes_of(predict_kernels(clip, models["kpn_mfi"], **ENGINE)) == bytes_of(whole("kpn_mfi")(clip, models))


def test_letterbox_of_a_network_of_parts(clip, models):
    framed = clip.std.AddBorders(top=6, bottom=5, left=2, right=3)
    for time in ({}, {"steady": 1}):
        for name in ("dslnet", "hdcfm_mfi"):
            found = array_of(feature_map(framed, models[name], letterbox=[6, 5, 2, 3], **ENGINE, **time), 3)
            alone = array_of(feature_map(clip, models[name], **ENGINE, **time), 3)
            assert np.array_equal(found[:, 6:-5, 2:-3], alone)
            assert found[:, :6].max() < 1e-6  # BT.2408 of black


def test_the_whole_job_by_a_network_of_several_frames(clip, models):
    result = sdr_to_hdr(clip, model=models["dslnet"], steady=1, scenes=[3], **ENGINE)
    assert (result.format.id, result.height) == (vs.YUV420P10, 34)
    assert array_of_luma(result, 2).std() > 0


def array_of_luma(clip, n):
    with clip.get_frame(n) as frame:
        return np.asarray(frame[0]).copy()


# Feature clips.


def test_features_as_a_clip(clip, models):
    features = align(clip, models["dslnet"], **ENGINE)
    assert (features.format.id, features.width, features.height) == (vs.GRAYS, 48, 64 * 33)
    with features.get_frame(3) as frame:
        assert frame.props["_HdrtvChannels"] == 64
        assert frame.props["frame_number"] == 3
        found = np.asarray(frame[0]).reshape(64, 33, 48)
    network = weights.load_network(weights.find(models["dslnet"])).align
    frames = [torch.from_numpy(array_of(clip, n))[None] for n in (2, 3, 4)]
    np.testing.assert_allclose(found, network(*frames)[0], atol=1e-5)
    with enhance(modulate(features, clip, models["dslnet"]), models["dslnet"]).get_frame(1) as frame:
        assert "_HdrtvChannels" not in frame.props
        assert frame.props["_Transfer"] == vs.TRANSFER_ST2084


def test_what_is_no_feature_clip(clip, models):
    features = align(clip, models["dslnet"], **ENGINE)
    with pytest.raises(vs.Error, match=r"feature_map: clip is features, the result of align; it reads sdr"):
        feature_map(features, models["hdcfm"])
    with pytest.raises(vs.Error, match=r"feature_map: clip holds features, the result of align or modulate; give it the clip"):
        feature_map(features.std.Trim(0), models["hdcfm"])
    with pytest.raises(vs.Error, match=r"enhance: clip is RGBS, 48x33; give the features that align or modulate made, 64"):
        enhance(clip, models["dslnet"])
    grey = vs.core.std.BlankClip(format=vs.GRAYS, width=48, height=64 * 33, length=7)
    with pytest.raises(vs.Error, match=r"enhance: clip holds no features at frame 0 \(_HdrtvChannels is None, not 64\)"):
        enhance(grey, models["dslnet"], **ENGINE).get_frame(0)
    with pytest.raises(vs.Error, match=r"to_hdr10: clip is features, the result of align; it reads hdr: finish it with"):
        to_hdr10(features)
    with pytest.raises(vs.Error, match=r"enhance: clip holds the features of align; give it the result of modulate"):
        enhance(features, models["dslnet"])
    with pytest.raises(vs.Error, match=r"enhance: clip holds the features of align at frame 0; give it the result of modulate"):
        enhance(features.std.Trim(0), models["dslnet"], **ENGINE).get_frame(0)
    with pytest.raises(vs.Error, match=r"modulate: clips differ \(sdr 48x31, 7 frames and sdr 48x33, 7 frames\)"):
        modulate(features, clip.std.Crop(top=2), models["dslnet"])


# Steady statistics.


def test_a_still_clip_is_left_as_it_is(models, clip):
    still = clip[3] * 7
    for name in SMALL:
        np.testing.assert_allclose(
            array_of(steady(still, models, model=name), 3), array_of(whole(name)(still, models), 3), atol=2e-5
        )


def test_statistics_are_the_mean_of_the_window(clip, models):
    card = weights.find(models["hdcfm"])
    from vs_hdrtv.networks.graphs import graph

    network = weights.load_network(card)
    frames = [torch.from_numpy(array_of(clip, n))[None] for n in range(7)]
    own = [graph(network, "hdcfm", "network.statistics")(frame) for frame in frames]
    mean = sum(own[1:6]) / 5
    expected = graph(network, "hdcfm", "network.steady")(frames[3], mean)
    np.testing.assert_allclose(array_of(steady(clip, models), 3), expected[0], atol=1e-5)
    assert (own[3] - mean).abs().max() > 1e-3


def test_background_stands_still_while_something_bright_comes_in(models):
    grey = vs.core.std.BlankClip(format=vs.RGBS, width=64, height=64, length=9, color=[0.3, 0.4, 0.2]).std.SetFrameProps(
        _Transfer=1, _Primaries=1
    )
    bright = vs.core.std.BlankClip(grey, width=32, height=64, color=[1.0, 0.9, 0.8])

    def entering(n):
        return grey if n < 4 else vs.core.std.StackHorizontal([grey.std.Crop(left=32), bright])

    clip = grey.std.FrameEval(entering, clip_src=[grey, bright])

    def step(result):
        return np.abs(array_of(result, 4)[:, 28:36, 4:12] - array_of(result, 3)[:, 28:36, 4:12]).mean()

    plain = step(feature_map(clip, models["hdcfm"], scenes="none", **ENGINE))
    assert step(feature_map(clip, models["hdcfm"], steady=4, scenes="none", **ENGINE)) < 0.5 * plain


def test_generate_overexposed_has_statistics_too(clip, moving_clip, tmp_path, monkeypatch):
    from vs_hdrtv.networks.pdcg import PDCG

    monkeypatch.setitem(registry.NETWORKS, "pdcg", functools.partial(PDCG, channels=32, blocks=1))
    monkeypatch.setattr(export, "graph_to_onnx", lambda network, path, **which: path.write_bytes(b""))
    torch.manual_seed(4)
    card = weights.write(registry.create("pdcg"), "pdcg", tmp_path, model="pdcg", licence="MIT")
    bright = clip.std.Expr("x 2 * 1 min")
    hdr = bright.std.SetFrameProps(_Transfer=16, _Primaries=9)
    plain, averaged = (generate_overexposed(hdr, bright, str(card.path), steady=k, **ENGINE) for k in (0, 2))
    assert not np.array_equal(array_of(plain, 3), array_of(averaged, 3))


# What is refused.


def test_bad_arguments(clip, models, tmp_path, monkeypatch):
    with pytest.raises(vs.Error, match=r"feature_map: steady is -1; give 0 to 32"):
        feature_map(clip, models["hdcfm"], steady=-1)
    with pytest.raises(vs.Error, match=r"feature_map: steady is 1.5; give a whole number"):
        feature_map(clip, models["hdcfm"], steady=1.5)
    with pytest.raises(vs.Error, match=r"feature_map: scenes names frame 9; the clip has frames 0 to 6"):
        feature_map(clip, models["kpn_mfi"], scenes=[9])
    with pytest.raises(vs.Error, match=r"align: radius is 2, but model 'dslnet' looks 1 to each side"):
        align(clip, models["dslnet"], radius=2)
    with pytest.raises(vs.Error, match=r"align: model 'kpn_mfi' has no stage align; use feature_map"):
        align(clip, models["kpn_mfi"])
    with pytest.raises(vs.Error, match=r"feature_map: scenes names frame 9"):
        feature_map(clip, models["hdcfm"], scenes=[9])  # also where no neighbour is read
    with pytest.raises(vs.Error, match=r"predict_kernels: got an unexpected keyword argument 'radius'; help"):
        predict_kernels(clip, models["kpn_mfi"], radius=2)
    with pytest.raises(vs.Error, match=r"predict_kernels: model 'hdcfm' is no KPN-MFI; use feature_map"):
        predict_kernels(clip, models["hdcfm"])
    monkeypatch.setattr(export, "graph_to_onnx", lambda network, path, **which: path.write_bytes(b""))
    old = weights.write(SMALL["hdcfm"](), "old", tmp_path, model="hdcfm", licence="MIT", steady=False)
    with pytest.raises(vs.Error, match=r"model 'old' has no graph 'network.statistics' \(it has network\); export or import it"):
        feature_map(clip, str(old.path), steady=2)
