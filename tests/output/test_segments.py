"""Conversions cut short and gone on with: the same bytes as without, whatever happened in between."""

import errno
import json
import multiprocessing
import os
from fractions import Fraction

import av
import pytest
import vapoursynth as vs

from vs_hdrtv import output
from vs_hdrtv.errors import InputError
from vs_hdrtv.light import light_level
from vs_hdrtv.media import seconds
from vs_hdrtv.output.job import Unfinished
from vs_hdrtv.output.pictures import Facts
from vs_hdrtv.output.segments import Grid, Packet, Segment, _headers
from vs_hdrtv.presets import sdr_to_hdr

QUICK = {"x265": "ultrafast", "svt-av1": "13"}
FILES = [("x265", ".mp4"), ("x265", ".mkv"), ("svt-av1", ".webm"), ("prores", ".mov"), ("ffv1", ".mkv")]


@pytest.fixture
def packed(moving_clip):
    """A function that makes an HDR10 clip of uneven durations as an encoder takes it."""

    def make(settings, length=20, **options):
        clip = sdr_to_hdr(moving_clip(length=length), "bt2408", format=settings.format, **options)
        uneven = [clip[n].std.SetFrameProps(_DurationNum=40 + 7 * (n % 5), _DurationDen=1000) for n in range(length)]
        return light_level(vs.core.std.Splice(uneven))

    return make


def settings_of(name="x265", suffix=".mp4"):
    return output.choose(suffix, name, speed=QUICK.get(name))


def stop_after(frames, error=KeyboardInterrupt):
    def progress(done, total):
        if done == frames:
            raise error

    return progress


def video(path):
    """Time, key frame and samples of every frame."""
    with av.open(str(path)) as file:
        return [(seconds(f.pts, f.time_base), f.key_frame, bytes(f.planes[0])) for f in file.decode(video=0)]


@pytest.mark.parametrize(("name", "suffix"), FILES)
def test_what_was_interrupted_and_gone_on_with_is_the_same_file(packed, tmp_path, name, suffix):
    settings = settings_of(name, suffix)
    clip, whole, parts = packed(settings), tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"
    output.write(clip, whole, settings, segment_frames=6)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        output.write(clip, parts, settings, segment_frames=6, progress=stop_after(9))
    left = tmp_path / f"parts{suffix}.partial"
    assert sorted(entry.name for entry in left.iterdir()) == ["000000.json", "000000.mkv", "job.json"]
    seen, before = [], []
    options = {"progress": lambda done, total: seen.append(done), "resumed": before.append}
    written = output.write(clip, parts, settings, segment_frames=6, resume=True, **options)
    assert (before, seen) == ([6], list(range(7, 21)))
    assert written.frames == 20
    assert parts.read_bytes() == whole.read_bytes()
    assert not left.exists()


@pytest.mark.parametrize(("name", "suffix"), FILES)
def test_segments_join_without_a_seam(packed, tmp_path, name, suffix):
    settings = settings_of(name, suffix)
    output.write(packed(settings), tmp_path / f"out{suffix}", settings, segment_frames=6)
    frames = video(tmp_path / f"out{suffix}")
    expected = [sum(40 + 7 * (k % 5) for k in range(n)) for n in range(20)]
    assert [round(1000 * time) for time, _, _ in frames] == expected
    assert {0, 6, 12} <= {n for n, (_, key, _) in enumerate(frames) if key}
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        packets = [(p.pts, p.dts) for p in file.demux(video=0) if p.size]
    decoded = [dts for _, dts in packets if dts is not None]
    assert decoded == sorted(decoded)
    if settings.encoder.tags[suffix] is not None:  # Matroska keeps no decoding times, FFmpeg guesses them
        assert len(set(decoded)) == 20
        assert all(dts <= pts for pts, dts in packets)


def test_any_missing_segment_is_made_again(packed, tmp_path):
    settings, path = settings_of(), tmp_path / "out.mp4"
    clip = packed(settings)
    output.write(clip, path, settings, segment_frames=5)
    with pytest.raises(KeyboardInterrupt):
        output.write(clip, tmp_path / "again.mp4", settings, segment_frames=5, progress=stop_after(19))
    left = tmp_path / "again.mp4.partial"
    (left / "000000.json").unlink()  # as if the power had gone before it was written
    (left / "000005.mkv").write_bytes(b"cut off")
    before = []
    output.write(clip, tmp_path / "again.mp4", settings, segment_frames=5, resume=True, resumed=before.append)
    assert before == [5]
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes()


def test_a_frame_that_fails_keeps_what_is_done_and_says_so(packed, tmp_path):
    settings = settings_of()
    clip = packed(settings)

    def fail(n, f):
        if n == 14:
            raise RuntimeError("feature_map: the device ran out of memory")
        return f

    with pytest.raises(vs.Error, match=r"ran out of memory; what is done is kept in .*out.mp4.partial; .* --resume"):
        output.write(clip.std.ModifyFrame(clip, fail), tmp_path / "out.mp4", settings, segment_frames=6)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4.partial"]
    output.write(clip, tmp_path / "out.mp4", settings, segment_frames=6, resume=True)
    assert len(video(tmp_path / "out.mp4")) == 20


def no_space(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("when", ["segment", "file"])
def test_a_full_disk_is_one_line_and_can_be_gone_on_from(packed, tmp_path, monkeypatch, when):
    settings = settings_of()
    clip = packed(settings)
    with monkeypatch.context() as patch:
        calls = []
        real = os.fsync
        if when == "segment":  # two calls a segment
            patch.setattr(os, "fsync", lambda file: calls.append(file) or (no_space() if len(calls) > 4 else real(file)))
        else:
            patch.setattr("vs_hdrtv.output.mux.mux", no_space)
        with pytest.raises(InputError, match="cannot be written \\(No space left on device\\); what is done is kept") as caught:
            output.write(clip, tmp_path / "out.mp4", settings, segment_frames=6)
        assert "\n" not in str(caught.value)
    before = []
    output.write(clip, tmp_path / "out.mp4", settings, segment_frames=6, resume=True, resumed=before.append)
    assert before == [12 if when == "segment" else 20]


def begun(packed, tmp_path):
    settings = settings_of()
    with pytest.raises(KeyboardInterrupt):
        options = {"segment_frames": 6, "progress": stop_after(9), "job": {"peak": 1000}}
        output.write(packed(settings), tmp_path / "out.mp4", settings, **options)
    return settings


def test_an_unfinished_conversion_is_neither_lost_nor_gone_on_with_unasked(packed, tmp_path):
    settings = begun(packed, tmp_path)
    with pytest.raises(InputError, match="unfinished conversion; --resume goes on with it, --overwrite starts again"):
        output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, job={"peak": 1000})
    before = []
    options = {"overwrite": True, "resumed": before.append}
    output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, job={"peak": 600}, **options)
    assert before == [0]


def test_another_job_is_refused_and_told_apart(packed, tmp_path):
    settings = begun(packed, tmp_path)
    other = output.choose(".mp4", "x265", 25, "ultrafast")
    with pytest.raises(InputError, match=r"encoder\.quality was 16, is 25; job\.peak was 1000, is 600") as caught:
        output.write(packed(settings), tmp_path / "out.mp4", other, segment_frames=6, job={"peak": 600}, resume=True)
    assert "\n" not in str(caught.value)
    (tmp_path / "out.mp4.partial/job.json").write_text("{")
    with pytest.raises(InputError, match=r"job\.json is damaged"):
        output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, job={"peak": 1000}, resume=True)


def test_resume_without_anything_to_go_on_with_starts(packed, tmp_path):
    settings = settings_of()
    assert output.write(packed(settings, 6), tmp_path / "out.mp4", settings, resume=True).frames == 6


def hold(output_file, ready, done):
    with Unfinished(output_file, {}, "convert").open(resume=False, overwrite=False):
        ready.set()
        done.wait(60)


@pytest.mark.skipif(os.name == "nt", reason="no fcntl")
def test_two_conversions_to_one_file_are_kept_apart(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "out.mp4", ready, done))
    process.start()
    assert ready.wait(60)
    unfinished = Unfinished(tmp_path / "out.mp4", {}, "convert")
    with pytest.raises(InputError, match="in use by another conversion"), unfinished.open(resume=True, overwrite=True):
        pass
    assert (tmp_path / "out.mp4.partial").is_dir()
    done.set()
    process.join(60)
    assert not (tmp_path / "out.mp4.partial").exists()


def test_a_clip_that_changes_its_colour_midway_is_refused(packed, tmp_path):
    settings = settings_of()
    clip = packed(settings, 12)
    changed = clip[:6] + clip[6:].std.SetFrameProps(MasteringDisplayMaxLuminance=600.0)
    with pytest.raises(InputError, match="frames from 6 on differ from the first ones"):
        output.write(changed, tmp_path / "out.mp4", settings, segment_frames=6)


@pytest.mark.parametrize(
    ("frames", "pieces"),
    [
        (1, [(0, 1)]),
        (240, [(0, 240)]),
        (244, [(0, 244)]),  # x265 gives garbage for clips of up to four frames
        (245, [(0, 240), (240, 245)]),
        (500, [(0, 240), (240, 480), (480, 500)]),
    ],
)
def test_grid(frames, pieces):
    assert Grid(frames, 240).pieces() == pieces


def test_grid_refuses_segments_too_short_for_an_encoder():
    with pytest.raises(InputError, match="segments of 4 frames; give more than 4"):
        Grid(100, 4).pieces()


def test_what_lies_in_the_folder_is_what_was_put_there():
    segment = Segment(
        start=240,
        end=243,
        facts=Facts(64, 48, {"_Transfer": 16, "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15]}),
        extradata=b"\x01\xff",
        size=77,
        packets=(Packet(0, True), Packet(2, False), Packet(1, False)),
        durations=(Fraction(1001, 24000), Fraction(1001, 24000), Fraction(1, 3)),
        light=((203.5, 12.25), (0.1, 0.05), (1000.0, 400.0)),
    )
    assert Segment.from_json(json.loads(json.dumps(segment.to_json()))) == segment


def test_a_damaged_segment_is_told(packed, tmp_path):
    settings = settings_of()
    with pytest.raises(KeyboardInterrupt):
        output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, progress=stop_after(9))
    path = tmp_path / "out.mp4.partial/000000.mkv"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(InputError, match=r"000000.mkv is damaged; delete it and go on with --resume"):
        output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, resume=True)
    path.unlink()
    assert output.write(packed(settings), tmp_path / "out.mp4", settings, segment_frames=6, resume=True).frames == 20


def test_a_folder_that_is_somebody_elses_stays_as_it_is(packed, tmp_path):
    (tmp_path / "out.mp4.partial").mkdir()
    (tmp_path / "out.mp4.partial/diary.txt").write_text("dear diary")
    settings = settings_of()
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(InputError, match="is in the way and no unfinished conversion"):
            output.write(packed(settings, 6), tmp_path / "out.mp4", settings, **options)
    assert (tmp_path / "out.mp4.partial/diary.txt").read_text() == "dear diary"


def test_headers_that_name_another_machine_are_no_other_stream():
    # x265 writes its threads into a message of its own beside the parameter sets.
    sets = b"\0\0\0\1\x40\1vps" + b"\0\0\0\1\x42\1sps" + b"\0\0\0\1\x44\1pps"
    message = b"\0\0\0\1\x4e\1\5frame-threads="

    def headers(extradata):
        facts = Facts(64, 48, {})
        empty = Segment(start=0, end=1, facts=facts, extradata=extradata, size=0, packets=(), durations=(), light=())
        return _headers(empty)

    assert headers(sets + message + b"1") == headers(sets + message + b"3") != headers(sets.replace(b"sps", b"spt"))
    assert headers(b"\x81av1") != headers(b"\x81av2")
    assert headers(b"") == headers(b"")


def test_what_somebody_put_beside_the_segments_stays(packed, tmp_path):
    settings = settings_of()
    folder = tmp_path / "out.mp4.partial"
    (folder / "mine").mkdir(parents=True)
    (folder / "job.json").write_text("{}")
    (folder / "mine" / "notes.txt").write_text("notes")
    output.write(packed(settings), tmp_path / "out.mp4", settings, overwrite=True)
    assert sorted(path.name for path in folder.rglob("*")) == ["mine", "notes.txt"]


@pytest.mark.parametrize("record", [b"[1, 2]", b"\xff\xfe", b"{", b"3"])
def test_a_damaged_record_is_one_line(packed, tmp_path, record):
    settings = settings_of()
    folder = tmp_path / "out.mp4.partial"
    folder.mkdir()
    (folder / "000000.json").write_text("{}")
    (folder / "job.json").write_bytes(record)
    with pytest.raises(InputError, match=r"job\.json is damaged; start afresh with --overwrite"):
        output.write(packed(settings), tmp_path / "out.mp4", settings, resume=True)


def test_a_segment_that_lacks_durations_is_made_again(packed, tmp_path):
    settings = settings_of()
    clip, path = packed(settings), tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        output.write(clip, path, settings, segment_frames=6, progress=stop_after(14))
    index = tmp_path / "out.mp4.partial" / "000000.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"durations": []}))
    assert output.write(clip, path, settings, segment_frames=6, resume=True).frames == 20
