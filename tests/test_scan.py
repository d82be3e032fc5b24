"""Progressive, interlaced, telecined: pictures of a known time woven as cameras and telecines weave them."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

from vs_hdrtv import scan

HEIGHT, WIDTH = 96, 128

# Film frames that the first and second field of five video frames come from: 3:2 pulldown.
PULLDOWN = [(0, 0), (1, 1), (1, 2), (2, 3), (3, 3)]


def picture(time, *, speed=(3.0, 0.0), cut_every=None, fade=None, stripes=False):
    """Waves that move by `speed` pixels a frame; another picture after each cut."""
    if stripes:
        return np.where(np.arange(HEIGHT)[:, None] % 2, 200.0, 40.0) * np.ones((1, WIDTH))
    random = np.random.default_rng(int(time // cut_every) if cut_every else 0)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    x, y = x + speed[0] * time, y + speed[1] * time
    total = np.zeros((HEIGHT, WIDTH))
    for _ in range(12):
        across, down = random.normal(0, 0.12, 2)
        total += np.sin(x * across + y * down + random.uniform(0, 6.28))
    return (120 + 25 * total) * (max(0.0, 1 - time / fade) if fade else 1)


def woven(count, times, top_first=True, **of_picture):
    """Frames whose first and second field show what `times(n)` says."""
    frames = []
    for n in range(count):
        first, second = (picture(time, **of_picture) for time in times(n))
        frame = (first if top_first else second).copy()
        frame[1::2] = (second if top_first else first)[1::2]
        frames.append(frame)
    return frames


def progressive(n):
    return n, n


def interlaced(n):
    return n, n + 0.5


def telecined(n):
    cycle, place = divmod(n, 5)
    return tuple(4 * cycle + film for film in PULLDOWN[place])


@pytest.fixture
def clip_of():
    """A function that makes an 8-bit clip of pictures, with noise of some standard deviation."""
    import vapoursynth as vs

    def make(pictures, noise=0.0, video_format=vs.GRAY8, **properties):
        height, width = pictures[0].shape
        blank = vs.core.std.BlankClip(format=vs.GRAY8, width=width, height=height, length=len(pictures))

        def fill(n, f):
            out = f.copy()
            grain = np.random.default_rng(n).normal(0, noise, (height, width)) if noise else 0
            np.asarray(out[0])[...] = np.clip(pictures[n] + grain, 0, 255).round()
            return out

        clip = blank.std.ModifyFrame(blank, fill)
        if video_format != vs.GRAY8:
            rgb = vs.core.get_video_format(video_format).color_family == vs.RGB
            clip = clip.resize.Point(format=video_format, matrix_in=1, **({} if rgb else {"matrix": 1}))
        return clip.std.SetFrameProps(**properties) if properties else clip

    return make


WAYS = {
    ("progressive", None): (progressive, True),
    ("interlaced", "top"): (interlaced, True),
    ("interlaced", "bottom"): (interlaced, False),
    ("telecined", "top"): (telecined, True),
    ("telecined", "bottom"): (telecined, False),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
@pytest.mark.parametrize(
    ("of_picture", "noise"),
    [
        ({"speed": (0.5, 0.0)}, 0.0),
        ({"speed": (8.0, 0.0)}, 3.0),
        ({"speed": (0.0, 1.0)}, 2.0),
        ({"speed": (3.0, 2.0)}, 10.0),
        ({"cut_every": 6}, 2.0),
        ({"fade": 24}, 2.0),
    ],
    ids=["slow pan", "fast pan", "tilt by a line", "noise", "cuts", "fade"],
)
def test_recognises(clip_of, way, of_picture, noise):
    times, top_first = WAYS[way]
    found = scan.recognise(clip_of(woven(22, times, top_first, **of_picture), noise))
    assert (found.kind, found.field_order) == way, found
    assert found.frames == 20 and found.moving >= 15


@pytest.mark.parametrize("noise", [0.0, 10.0])
@pytest.mark.parametrize("of_picture", [{"stripes": True}, {"speed": (0.0, 0.0)}], ids=["stripes", "still"])
def test_what_does_not_move_is_not_combed(clip_of, of_picture, noise):
    found = scan.recognise(clip_of(woven(15, interlaced, **of_picture), noise))
    assert (found.kind, found.moving, found.advice) == ("progressive", 0, "")


def test_a_small_thing_that_moves_beside_stripes(clip_of):
    """Fine stripes comb in every pairing; only what moves tells."""

    def frames(times):
        made = woven(15, times, stripes=True)
        for n, frame in enumerate(made):
            frame[:, 64:] = 60
            for field, time in enumerate(times(n)):
                left = round(66 + 3 * time)
                frame[20 + field : 40 : 2, left : left + 16] = 220
        return made

    assert scan.recognise(clip_of(frames(progressive))).kind == "progressive"
    assert scan.recognise(clip_of(frames(interlaced))).kind == "interlaced"


@pytest.mark.parametrize("length", [1, 2, 3])
def test_too_short_to_tell_is_what_the_tag_says(clip_of, length):
    frames = woven(length, interlaced)
    assert scan.recognise(clip_of(frames)).kind == "progressive"
    found = scan.recognise(clip_of(frames, _FieldBased=1))
    assert (found.kind, found.field_order, found.tagged) == ("interlaced", "bottom", 1)


def test_a_tag_of_progressive_is_not_believed(clip_of):
    found = scan.recognise(clip_of(woven(15, interlaced), _FieldBased=0))
    assert (found.kind, found.tagged) == ("interlaced", 0)


def test_a_tag_of_the_wrong_field_order_is_outweighed_and_mended(clip_of):
    found = scan.recognise(clip_of(woven(15, interlaced), _FieldBased=1))
    assert (found.field_order, found.mistagged) == ("top", True)
    assert "core.bwdif.Bwdif(core.std.SetFieldBased(clip, 2), field=3)" in found.advice
    assert not scan.recognise(clip_of(woven(15, interlaced), _FieldBased=2)).mistagged


def test_whole_frames_that_are_tagged_interlaced(clip_of):
    found = scan.recognise(clip_of(woven(15, progressive), _FieldBased=2))
    assert found.kind == "progressive" and "core.std.SetFieldBased(clip, 0)" in found.advice


def test_the_advice_is_in_the_order_of_the_fields(clip_of):
    def advice(times, top_first):
        return scan.recognise(clip_of(woven(15, times, top_first))).advice

    assert "core.bwdif.Bwdif(clip, field=3)" in advice(interlaced, True)
    assert "core.bwdif.Bwdif(clip, field=2)" in advice(interlaced, False)
    assert "core.vivtc.VFM(clip, order=1).vivtc.VDecimate()" in advice(telecined, True)
    assert "order=0" in advice(telecined, False)


@pytest.mark.parametrize("name", ["YUV420P10", "RGB24", "GRAYS", "GRAYH", "GRAY16"])
def test_any_format(clip_of, name):
    import vapoursynth as vs

    found = scan.recognise(clip_of(woven(12, interlaced), video_format=getattr(vs, name)))
    assert (found.kind, found.moving) == ("interlaced", 10)


def test_a_long_clip_is_sampled_evenly_and_no_more(clip_of):
    """Only samples of it are asked for, from its beginning to its end."""
    asked = []
    frames = woven(40, interlaced)
    clip = clip_of(frames)
    long = clip.std.Loop(20)
    watched = long.std.FrameEval(lambda n: asked.append(n) or long)
    found = scan.recognise(watched, samples=4)
    assert found.kind == "interlaced" and found.frames == 40
    assert len(set(asked)) <= 4 * scan.RUN and min(asked) == 0 and max(asked) == 799


def test_a_frame_of_few_rows_is_not_judged(clip_of):
    frames = [frame[:4] for frame in woven(12, interlaced)]
    assert scan.recognise(clip_of(frames)).frames == 0


def evaluated(advice, clip, folder):
    """What an advice makes of a clip when it stands in a script."""
    import vapoursynth as vs

    (folder / "script.py").write_text(f"found = {advice}\n")
    return runpy.run_path(str(folder / "script.py"), {"core": vs.core, "clip": clip})["found"]


@pytest.mark.parametrize("top_first", [True, False])
def test_the_advice_for_pulldown_gives_the_film_back(clip_of, top_first, tmp_path):
    import vapoursynth as vs

    if not hasattr(vs.core, "vivtc"):
        pytest.skip("no vapoursynth-vivtc")
    clip = clip_of(woven(30, telecined, top_first), video_format=vs.YUV420P8)
    expression = scan.recognise(clip).advice.partition(": ")[2].partition(" (pip")[0]
    film = evaluated(expression, clip, tmp_path)
    assert film.num_frames == 24
    for n in range(4, 20):
        found, expected = np.asarray(film.get_frame(n)[0]), np.clip(picture(n), 0, 255).round()
        assert np.array_equal(found, expected), n


def test_the_advice_for_video_gives_progressive_frames_at_twice_the_rate(clip_of, tmp_path):
    import vapoursynth as vs

    if not hasattr(vs.core, "bwdif"):
        pytest.skip("no vapoursynth-bwdif")
    clip = clip_of(woven(15, interlaced, False), video_format=vs.YUV420P8)
    frames = evaluated(scan.recognise(clip).advice.partition(": ")[2], clip, tmp_path)
    assert frames.num_frames == 30 and scan.recognise(frames).kind == "progressive"
    # Frame n shows what the picture is half a frame at a time; within what interpolation of every second line costs.
    for n in range(4, 26):
        error = np.asarray(frames.get_frame(n)[0]) - np.clip(picture(n / 2), 0, 255)
        assert np.abs(error[8:-8]).mean() < 2, n


def test_a_source_of_which_a_part_is_woven_is_said(clip_of):
    # Two shots of film with one of video between, as broadcasts have it.
    film, video = woven(44, progressive), woven(22, interlaced)
    found = scan.recognise(clip_of([*film, *video, *film]))
    assert found.kind == "progressive" and found.mixed
    assert "deinterlace it if it is combed" in found.advice
    assert not scan.recognise(clip_of(film)).mixed
