"""HDR10 metadata in the container: what other programs read back from files that were muxed from a template."""

import json
import shutil
import struct
import subprocess
from fractions import Fraction

import av
import pytest

from vs_hdrtv import media
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import ContentLight, MasteringDisplay
from vs_hdrtv.output import hevc
from vs_hdrtv.output.boxes import template, with_metadata
from vs_hdrtv.output.stamp import Stamp

DISPLAY, LIGHT = MasteringDisplay(max_luminance=600, min_luminance=0.005), ContentLight(777, 123)
FILES = [
    *(("hevc", name) for name in ("out.mp4", "out.mov", "out.mkv")),
    *(("av1", name) for name in ("out.mp4", "out.mkv", "out.webm")),
    ("ffv1", "out.mkv"),
    ("prores", "out.mov"),
    ("prores", "out.mkv"),
]


@pytest.fixture
def muxed(encoded, tmp_path):
    """A function that encodes, stamps and muxes, and returns the path of the result."""

    def make(codec, name, display=DISPLAY, light=LIGHT, parameters=""):
        path = tmp_path / name
        source, _, _ = encoded(codec, parameters)
        with av.open(str(source)) as old, av.open(str(path), "w") as new:
            stream = old.streams.video[0]
            with template(stream, display, light) as full:
                copy = new.add_stream_from_template(full, opaque=True)
            context = copy.codec_context
            context.framerate = stream.average_rate
            if not name.endswith(("mkv", "webm")):
                context.codec_tag = {"hevc": "hvc1", "av1": "av01", "prores": "apch"}[codec]
            context.pix_fmt = stream.codec_context.pix_fmt
            stamp = Stamp(codec, display, light, stream.codec_context.extradata or b"")
            for packet in old.demux(stream):
                if not packet.size:
                    continue
                changed = av.Packet(stamp.packet(bytes(packet)))
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.is_keyframe, changed.stream = packet.is_keyframe, copy
                new.mux_one(changed)
        return path

    return make


def facts(path):
    """What the container and what the stream say, by PyAV; and how many pictures come out."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        found = media.container_hdr10(stream), media.stream_hdr10(file, stream)
        file.seek(0)
        return *found, sum(1 for _ in file.decode(stream))


@pytest.mark.parametrize(("codec", "name"), FILES)
def test_container_and_stream_say_the_same(muxed, codec, name):
    (display, light), (in_stream, light_in_stream), frames = facts(muxed(codec, name))
    assert display is not None and media.same_display(display, DISPLAY)
    assert (light, frames) == (LIGHT, 6)
    if codec in ("hevc", "av1"):
        assert in_stream is not None and media.same_display(in_stream, DISPLAY)
        assert light_in_stream == LIGHT
    else:
        assert (in_stream, light_in_stream) == (None, None)


@pytest.mark.parametrize(("codec", "name"), FILES)
def test_older_metadata_go_where_there_are_to_be_none(muxed, codec, name):
    stated = {
        "hevc": f"hdr10=1:repeat-headers=1:master-display={DISPLAY.x265()}:max-cll=9,8",
        "av1": f"mastering-display={DISPLAY.svt_av1()}:content-light=9,8",
    }
    container, stream, frames = facts(muxed(codec, name, None, None, stated.get(codec, "")))
    assert (container, stream, frames) == ((None, None), (None, None), 6)


def test_a_mastering_display_alone(muxed):
    assert facts(muxed("hevc", "out.mp4", light=None))[:2] == ((DISPLAY, None), (DISPLAY, None))


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not on PATH")
@pytest.mark.parametrize(("codec", "name"), FILES)
def test_ffprobe_finds_it(muxed, codec, name):
    command = ["ffprobe", "-v", "fatal", "-show_streams", "-show_frames", "-of", "json", str(muxed(codec, name))]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (stream,) = found["streams"]
    kept = {key: stream.get(key) for key in ("color_primaries", "color_transfer", "color_space", "color_range")}
    assert kept == {"color_primaries": "bt2020", "color_transfer": "smpte2084", "color_space": "bt2020nc", "color_range": "tv"}
    if codec == "hevc" and not name.endswith("mkv"):
        assert stream["codec_tag_string"] == "hvc1"
    in_stream = found["frames"][0].get("side_data_list", []) if codec in ("hevc", "av1") else None
    for side_data in (stream["side_data_list"], in_stream):
        if side_data is None:
            continue
        by_type = {entry["side_data_type"]: entry for entry in side_data}
        light, display = by_type["Content light level metadata"], by_type["Mastering display metadata"]
        assert (light["max_content"], light["max_average"]) == (777, 123)
        numbers = {key: float(Fraction(value)) for key, value in display.items() if "/" in value}
        assert numbers["max_luminance"] == pytest.approx(600)
        assert numbers["min_luminance"] == pytest.approx(0.005, abs=1e-4)
        assert (numbers["red_x"], numbers["green_y"]) == pytest.approx((0.680, 0.690), abs=2e-5)


@pytest.mark.parametrize(("codec", "name"), FILES)
def test_mediainfo_finds_it(muxed, codec, name):
    mediainfo = pytest.importorskip("pymediainfo").MediaInfo
    if not mediainfo.can_parse():
        pytest.skip("libmediainfo is not here")
    (video,) = mediainfo.parse(str(muxed(codec, name))).video_tracks
    assert video.mastering_display_color_primaries == "Display P3"  # its name of these primaries with D65
    assert video.mastering_display_luminance == "min: 0.0050 cd/m2, max: 600 cd/m2"
    assert video.maximum_content_light_level.removesuffix(" cd/m2") == "777"
    assert video.maximum_frameaverage_light_level.removesuffix(" cd/m2") == "123"


def test_the_template_keeps_what_the_stream_is(encoded):
    source, _, _ = encoded("hevc")
    with av.open(str(source)) as file, template(file.streams.video[0], DISPLAY, LIGHT) as full:
        old, new = file.streams.video[0].codec_context, full.codec_context
        assert (new.width, new.height, new.codec.canonical_name) == (64, 64, "hevc")
        assert (new.color_primaries, new.color_trc, new.colorspace, new.color_range) == (9, 16, 9, 1)
        assert hevc.parameter_sets(bytes(new.extradata)) == hevc.parameter_sets(bytes(old.extradata))


def test_a_codec_that_mp4_cannot_hold_is_one_line(tmp_path):
    with av.open(str(tmp_path / "in.avi"), "w") as file:
        stream = file.add_stream("huffyuv", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv422p"
        file.mux(stream.encode(av.VideoFrame(64, 64, "yuv422p")))
        file.mux(stream.encode())
    with (
        av.open(str(tmp_path / "in.avi")) as file,
        pytest.raises(InputError, match=r"^template: MP4 cannot hold huffyuv; choose HEVC"),
        template(file.streams.video[0], DISPLAY, LIGHT),
    ):
        pass


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_boxes_are_replaced_and_their_parents_grow():
    # ISO/IEC 14496-12: stsd has 8 bytes before its entries, a visual sample entry 78 before its boxes.
    def movie(*entry):
        description = box(b"stsd", bytes(8), box(b"hvc1", bytes(78), *entry))
        inner = box(b"mdia", box(b"minf", box(b"stbl", description, box(b"stts", b"times"))))
        return box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd"), box(b"trak", box(b"tkhd", b"size"), inner))

    codec, colour = box(b"hvcC", b"codec"), box(b"colr", b"nclx")
    stated = box(b"mdcv", DISPLAY.coded()), box(b"clli", LIGHT.coded())
    old = movie(codec, box(b"clli", bytes(4)), colour, box(b"mdcv", bytes(24)))
    assert with_metadata(old, DISPLAY, LIGHT) == movie(codec, colour, *stated)
    assert with_metadata(movie(codec), None, LIGHT) == movie(codec, stated[1])
    assert with_metadata(old, None, None) == movie(codec, colour)
    for length in (len(old) - 1, 30, 3):
        with pytest.raises(InputError, match=r"^template: box"):
            with_metadata(old[:length], DISPLAY, LIGHT)
