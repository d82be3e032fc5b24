"""The VapourSynth front: formats, properties, purity, fusion, and one line for every refusal."""

import logging
import random
import threading

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import engines, feature_map, graph, inverse_tone_map, sdr_to_hdr, stages, to_hdr10, to_hlg
from vs_hdrtv.color import tone_curves
from vs_hdrtv.color.transfer import bt1886_inverse_eotf, pq_eotf, srgb_eotf

FORMATS = [vs.YUV420P8, vs.YUV420P10, vs.RGB24, vs.RGBS, vs.RGBH]


def rgb_of(clip, n=0):
    """(3, H, W) of a float frame."""
    frame = clip.get_frame(n)
    return np.stack([np.asarray(frame[plane]) for plane in range(3)]).astype(np.float32)


@pytest.fixture(params=["feature_map", "bt2446a"])
def mapped(request):
    """A feature-mapping filter: the shipped network, and a formula."""
    if request.param == "feature_map":
        return lambda clip, **kwargs: feature_map(clip, engine="cpu", **kwargs)
    return lambda clip, **kwargs: inverse_tone_map(clip, request.param, **kwargs)


@pytest.mark.parametrize("video_format", FORMATS)
def test_every_source_format_gives_an_hdr10_clip(moving_clip, mapped, video_format):
    clip = to_hdr10(mapped(moving_clip(video_format)))
    assert (clip.format.id, clip.width, clip.height, clip.num_frames) == (vs.YUV420P10, 64, 48, 6)
    assert (clip.fps_num, clip.fps_den) == (24000, 1001)
    frame = clip.get_frame(3)
    luma = np.asarray(frame[0])
    assert luma.min() >= 4
    assert luma.max() <= 1019
    assert luma.std() > 20


def test_formats_of_one_picture_agree(moving_clip):
    # RGB24 is RGBS rounded to 8 bits and RGBH to 11: PQ codes may differ by what a rounding step is worth.
    whole = rgb_of(inverse_tone_map(moving_clip(vs.RGBS), "bt2408"))
    for video_format, limit in ((vs.RGBH, 0.004), (vs.RGB24, 0.02)):
        assert np.abs(rgb_of(inverse_tone_map(moving_clip(video_format), "bt2408")) - whole).mean() < limit


def test_properties_are_copied_and_colour_is_overwritten(moving_clip, mapped):
    source = moving_clip(_SceneChangePrev=1, ContentLightLevelMax=77, _SARNum=4, _SARDen=3)
    rgb = mapped(source).get_frame(2).props
    assert (rgb["_Transfer"], rgb["_Primaries"], rgb["_Matrix"], rgb["_Range"]) == (16, 9, 0, 1)
    props = to_hdr10(mapped(source), peak=600).get_frame(2).props
    assert (props["_Transfer"], props["_Primaries"], props["_Matrix"], props["_Range"]) == (16, 9, 9, 0)
    assert props["_ChromaLocation"] == vs.CHROMA_TOP_LEFT
    assert (props["MasteringDisplayMinLuminance"], props["MasteringDisplayMaxLuminance"]) == (0.0001, 600)
    assert props["MasteringDisplayPrimariesX"] == [0.68, 0.265, 0.15]
    assert (props["_DurationNum"], props["_DurationDen"]) == (1001, 24000)
    assert (props["_SceneChangePrev"], props["_SARNum"], props["_SARDen"], props["frame_number"]) == (1, 4, 3, 2)
    assert "ContentLightLevelMax" not in props
    hlg = to_hlg(mapped(source)).get_frame(0).props
    assert hlg["_Transfer"] == 18
    assert "MasteringDisplayMaxLuminance" not in hlg


def test_any_order_of_access_gives_the_same_bytes(moving_clip, mapped, bytes_of):
    clip = to_hdr10(mapped(moving_clip(length=8)))
    expected = bytes_of(clip)
    assert len(set(expected)) == 8
    orders = [list(reversed(range(8))), random.Random(1).sample(range(8), 8), [5, 5, 0, 7, 5, 1, 2, 3, 4, 6]]
    for order in orders:
        assert bytes_of(to_hdr10(mapped(moving_clip(length=8))), order) == expected
    parallel = [b"".join(np.asarray(f[p]).tobytes() for p in range(3)) for f in clip.frames(prefetch=8, close=False)]
    assert parallel == expected


def test_threads_that_share_a_clip_get_the_same_bytes(moving_clip, mapped, bytes_of):
    clip = to_hdr10(mapped(moving_clip(length=4)))
    expected = bytes_of(to_hdr10(mapped(moving_clip(length=4))))
    found = {}

    def work(seed):
        found[seed] = bytes_of(clip, random.Random(seed).sample(range(4), 4))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[seed] == expected for seed in range(4))


def test_chunks_equal_the_whole(moving_clip, mapped, bytes_of):
    whole = bytes_of(to_hdr10(mapped(moving_clip())))
    chunks = [bytes_of(to_hdr10(mapped(moving_clip()[start : start + 2]))) for start in (0, 2, 4)]
    assert [frame for chunk in chunks for frame in chunk] == whole


def test_a_fused_chain_equals_the_chain_broken_by_a_no_op(moving_clip, mapped, bytes_of):
    source = moving_clip(vs.RGBS, 67, 45)
    fused = to_hdr10(mapped(source))
    assert len(graph.plan_of(fused).sources) == 1
    assert graph.plan_of(fused).step.inputs["hdr"].stage.writes == "hdr"
    broken = to_hdr10(mapped(source).std.Trim(0))
    assert graph.plan_of(broken).step.inputs["hdr"].signal == "hdr"
    assert bytes_of(fused) == bytes_of(broken)


@pytest.mark.parametrize("video_format", [vs.YUV420P8, vs.YUV420P10, vs.YUV422P8, vs.YUV444P16])
def test_planes_unpacked_on_the_device_equal_the_hosts_within_a_code(moving_clip, monkeypatch, video_format):
    # What a CUDA engine does, here with tensors on the CPU: design, within 1/1023.
    pytest.importorskip("torch")
    engine = engines.create("torch", device="cpu")
    stage = stages.inverse_tone_map("bt2408")
    source = moving_clip(video_format, 64, 48, 2)
    host = rgb_of(graph.apply(stage, {"sdr": source}, engine=engine), 1)
    monkeypatch.setattr(engine, "unpacks", True)
    fused = graph.apply(stage, {"sdr": source}, engine=engine)
    assert graph.plan_of(fused).sources[graph.plan_of(fused).step.inputs["sdr"]].window_clip(engine) is source
    assert np.abs(rgb_of(fused, 1) - host).max() < 1 / 1023
    packed = np.asarray(to_hdr10(fused).get_frame(1)[0]).astype(int)
    assert np.abs(packed - np.asarray(to_hdr10(fused.std.Trim(0)).get_frame(1)[0])).max() <= 1


def test_planes_that_change_their_coding_are_read_by_their_own_tags_on_a_device_too(moving_clip, monkeypatch):
    pytest.importorskip("torch")
    engine = engines.create("torch", device="cpu")
    clip = moving_clip()[:2] + moving_clip(_Range=1, _Matrix=6)[2:]
    host = [rgb_of(graph.apply(stages.inverse_tone_map("bt2408"), {"sdr": clip}, engine=engine), n) for n in (1, 2)]
    monkeypatch.setattr(engine, "unpacks", True)
    device = graph.apply(stages.inverse_tone_map("bt2408"), {"sdr": clip}, engine=engine)
    for n in (1, 2):
        assert np.abs(rgb_of(device, n) - host[n - 1]).max() < 1 / 1023
    assert np.abs(host[1] - rgb_of(inverse_tone_map(moving_clip(), "bt2408"), 2)).max() > 0.02


def test_planes_that_only_zimg_can_read_are_refused_on_a_device(moving_clip, monkeypatch):
    pytest.importorskip("torch")
    engine = engines.create("torch", device="cpu")
    monkeypatch.setattr(engine, "unpacks", True)
    later = moving_clip(_Primaries=6)[2:]
    clip = graph.apply(stages.inverse_tone_map("bt2408"), {"sdr": moving_clip()[:2] + later}, engine=engine)
    clip.get_frame(1)
    with pytest.raises(vs.Error, match=r"inverse_tone_map: clip changes to .*_Primaries=6.*bring it to one form"):
        clip.get_frame(2)


def test_sdr_to_hdr_is_the_chain(moving_clip, bytes_of):
    source = moving_clip()
    assert bytes_of(sdr_to_hdr(source, "bt2446c")) == bytes_of(to_hdr10(inverse_tone_map(source, "bt2446c")))
    assert bytes_of(sdr_to_hdr(source, "bt2446c", hlg=True)) == bytes_of(to_hlg(inverse_tone_map(source, "bt2446c")))
    assert bytes_of(sdr_to_hdr(source, engine="cpu")) == bytes_of(to_hdr10(feature_map(source, engine="cpu")))


def test_results_can_be_trimmed_and_spliced(moving_clip, bytes_of):
    clip = sdr_to_hdr(moving_clip(), "bt2408")
    whole = bytes_of(clip)
    assert bytes_of(clip[3:] + clip[:2]) == whole[3:] + whole[:2]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (33, 17), (2, 64)])
def test_odd_and_tiny_sizes(moving_clip, mapped, width, height):
    clip = to_hdr10(mapped(moving_clip(vs.RGB24, width, height, 2)))
    assert (clip.width, clip.height) == (width + width % 2, height + height % 2)
    assert np.asarray(clip.get_frame(1)[0]).min() >= 4


def test_one_frame_clip(moving_clip, mapped, bytes_of):
    assert bytes_of(to_hdr10(mapped(moving_clip()[2:3]))) == [bytes_of(to_hdr10(mapped(moving_clip())))[2]]


def test_bt2408_puts_white_at_203(moving_clip):
    white = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=1, color=[235, 128, 128])
    white = white.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)
    assert np.allclose(pq_eotf(rgb_of(inverse_tone_map(white, "bt2408")).astype(np.float64)), 203, rtol=1e-3)


def test_srgb_is_reencoded_with_its_light_preserved(moving_clip):
    clip = moving_clip(vs.RGBS, _Transfer=int(vs.TRANSFER_IEC_61966_2_1))
    signal = bt1886_inverse_eotf(srgb_eotf(rgb_of(clip).astype(np.float64)))
    assert np.abs(rgb_of(inverse_tone_map(clip, "bt2408")) - tone_curves.bt2408(signal)).max() < 2e-3


def test_untagged_video_is_read_by_its_size_and_said_once(moving_clip, caplog, bytes_of):
    def untagged(height):
        clip = moving_clip(vs.YUV420P8, 64, height, 2)
        return clip.std.RemoveFrameProps(["_Matrix", "_Transfer", "_Primaries"])

    with caplog.at_level(logging.WARNING):
        small = inverse_tone_map(untagged(480), "bt2408")
    assert [record.getMessage() for record in caplog.records] == [
        "inverse_tone_map: clip is not fully tagged; assuming _Matrix=6 (MATRIX_ST170_M), _Transfer=1 (TRANSFER_BT709), "
        "_Primaries=6 (PRIMARIES_ST170_M); where that is wrong, say what it is: matrix=, transfer=, primaries=, range= "
        "(--matrix ... of convert)"
    ]
    tagged = untagged(480).std.SetFrameProps(_Matrix=6, _Transfer=1, _Primaries=6)
    assert bytes_of(small) == bytes_of(inverse_tone_map(tagged, "bt2408"))
    tagged = untagged(720).std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)
    assert bytes_of(inverse_tone_map(untagged(720), "bt2408")) == bytes_of(inverse_tone_map(tagged, "bt2408"))


def test_nothing_is_brighter_than_the_peak(moving_clip):
    white = moving_clip(vs.RGBS).std.Expr("x 0.5 + 1 min")
    for peak in (100, 400, 1000):
        luma = np.asarray(sdr_to_hdr(white, "bt2446a", peak=peak).get_frame(0)[0]).max()
        assert pq_eotf(np.asarray([(luma - 65) / 876.0]))[0] <= peak * 1.001


def test_a_frame_with_nan_is_still_a_frame(moving_clip, mapped):
    def spoil(n, f):
        out = f.copy()
        np.asarray(out[0])[3, 3] = np.nan
        np.asarray(out[1])[4, 4] = np.inf
        return out

    source = moving_clip(vs.RGBS)
    clip = source.std.ModifyFrame(source, spoil)
    assert np.isfinite(rgb_of(mapped(clip))).all()


REFUSALS = {
    "interlaced": (
        {"_FieldBased": 2},
        r"clip is interlaced \(_FieldBased=2\); deinterlace it first, for example with core\.bwdif",
    ),
    "pq": ({"_Transfer": 16}, r"clip is already HDR \(PQ, _Transfer=16\)"),
    "hlg": ({"_Transfer": 18}, r"clip is already HDR \(HLG, _Transfer=18\)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_clips_that_are_refused_in_one_line(moving_clip, mapped, case):
    props, message = REFUSALS[case]
    with pytest.raises(vs.Error, match=r"^(feature_map|inverse_tone_map): " + message) as caught:
        mapped(moving_clip(**props))
    assert "\n" not in str(caught.value)


def test_a_wrong_hdr_tag_can_be_overruled(moving_clip, bytes_of):
    wrong = moving_clip(_Transfer=16)
    assert bytes_of(inverse_tone_map(wrong, force=True)) == bytes_of(inverse_tone_map(moving_clip()))


def test_properties_that_change_on_the_way_are_refused_at_their_frame(moving_clip):
    clip = moving_clip(length=2) + moving_clip(length=2, _FieldBased=1)
    hdr = sdr_to_hdr(clip, "bt2408")
    hdr.get_frame(1)
    with pytest.raises(vs.Error, match=r"inverse_tone_map: clip is interlaced at frame 2 \(_FieldBased=1\)"):
        hdr.get_frame(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: sdr_to_hdr(c, "best"), "sdr_to_hdr: unknown preset 'best'; choose one of fast,"),
        (
            lambda c: sdr_to_hdr(c, "bt2408", model="hdcfm"),
            "sdr_to_hdr: preset bt2408 is a formula and has no network; leave out",
        ),
        (lambda c: inverse_tone_map(c, "magic"), "inverse_tone_map: unknown method 'magic'; choose one of bt2446a,"),
        (lambda c: feature_map(c, "magic"), "unknown model 'magic'"),
        (lambda c: feature_map(c, engine="warp"), "unknown engine 'warp'"),
        (lambda c: sdr_to_hdr(c, "bt2408", peak=50), "to_hdr10: peak is 50; give 100 to 10000 cd/m2"),
        (lambda c: sdr_to_hdr(c, "bt2408", peak=500, hlg=True), "sdr_to_hdr: peak is 500 with hlg=True"),
        (lambda c: to_hdr10(c), r"to_hdr10: clip is not PQ \(_Transfer=1\)"),
        (
            lambda c: inverse_tone_map(sdr_to_hdr(c, "bt2408")),
            "inverse_tone_map: clip is packed, the result of to_hdr10; it reads sdr",
        ),
        (
            lambda c: inverse_tone_map(inverse_tone_map(c)),
            "inverse_tone_map: clip is hdr, the result of inverse_tone_map",
        ),
        (lambda c: to_hdr10(None), "to_hdr10: clip is (None|a NoneType); give a vapoursynth.VideoNode"),
    ],
)
def test_bad_arguments(moving_clip, call, message):
    with pytest.raises(vs.Error, match=message) as caught:
        call(moving_clip())
    assert "\n" not in str(caught.value)


def test_variable_size_is_refused(moving_clip):
    clip = vs.core.std.Splice([moving_clip(), moving_clip(width=32)], mismatch=True)
    with pytest.raises(vs.Error, match="inverse_tone_map: clip has variable format or size"):
        inverse_tone_map(clip)


def test_a_network_is_not_run_while_a_graph_is_built(moving_clip, monkeypatch):
    from vs_hdrtv import pipeline

    monkeypatch.setattr(pipeline, "compute", lambda *a: pytest.fail("ran"))
    monkeypatch.setattr(graph, "compute", lambda *a: pytest.fail("ran"))
    to_hdr10(feature_map(moving_clip(), engine="cpu"))


def test_the_package_imports_without_vapoursynth_torch_or_an_engine():
    import subprocess
    import sys

    code = "import sys, vs_hdrtv; print(sorted({'vapoursynth', 'torch', 'openvino', 'onnxruntime', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_small_install_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import vapoursynth as vs\nfrom vs_hdrtv import sdr_to_hdr\n"
        "c = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1)\n"
        "sdr_to_hdr(c).get_frame(0); sdr_to_hdr(c, 'bt2446a').get_frame(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
