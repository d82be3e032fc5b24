"""Metadata written into encoded packets: the same bytes as the encoders' own, nothing else touched, never a damaged stream."""

import contextlib

import av
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vs_hdrtv import media
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import ContentLight, MasteringDisplay
from vs_hdrtv.output import av1, hevc
from vs_hdrtv.output.stamp import Stamp

DISPLAY, LIGHT = MasteringDisplay(max_luminance=600, min_luminance=0.005), ContentLight(777, 123)
# What needs emulation prevention: runs of zeros followed by 0 to 3 in every field that can have them.
AWKWARD = MasteringDisplay(max_luminance=0x0300 / 10000, min_luminance=0), ContentLight(1, 3)
FACTS = [(MasteringDisplay(), ContentLight(1000, 400)), (DISPLAY, LIGHT), AWKWARD, (DISPLAY, ContentLight(0x0100, 0))]


def decoded(codec, extradata, packets):
    """HDR10 metadata of the frames that a decoder without any container gives."""
    decoder = av.CodecContext.create("libdav1d" if codec == "av1" else codec, "r")
    if extradata:
        decoder.extradata = extradata
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))] + decoder.decode(None)
    return [media.hdr10_metadata(frame) for frame in frames]


def of_file(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return bytes(stream.codec_context.extradata), [bytes(packet) for packet in file.demux(stream) if packet.size]


def messages(extradata, packet):
    units = hevc.Framing.of(extradata).split(packet)
    return [kind for unit in units if hevc.nal_type(unit) == hevc.PREFIX_SEI for kind, _ in hevc.sei_messages(unit)]


@pytest.mark.parametrize(("display", "light"), FACTS)
def test_sei_messages_are_those_that_x265_writes(encoded, display, light):
    _, _, packets = encoded("hevc", f"hdr10=1:repeat-headers=1:master-display={display.x265()}:max-cll={light.x265()}")
    units = [unit for unit in hevc.Framing().split(packets[0]) if hevc.nal_type(unit) == hevc.PREFIX_SEI]
    theirs = [unit for unit in units if hevc.sei_messages(unit)[0][0] in (hevc.MASTERING_DISPLAY, hevc.CONTENT_LIGHT)]
    ours = [hevc.sei_unit([(hevc.CONTENT_LIGHT, light.coded())]), hevc.sei_unit([(hevc.MASTERING_DISPLAY, display.coded())])]
    assert theirs == ours


@pytest.mark.parametrize(("display", "light"), FACTS[:2])
def test_metadata_obus_are_those_that_svt_av1_writes(encoded, display, light):
    _, _, packets = encoded("av1", f"mastering-display={display.svt_av1()}:content-light={light.x265()}")
    theirs = [unit.data for unit in av1.split(packets[0]) if unit.kind == av1.METADATA]
    ours = [av1.metadata_unit(av1.CONTENT_LIGHT, light.coded()), av1.metadata_unit(av1.MASTERING_DISPLAY, display.av1())]
    assert theirs == ours


PARAMETERS = {
    "hevc": "hdr10=1:repeat-headers=1:master-display=" + MasteringDisplay(max_luminance=4000).x265() + ":max-cll=9,8",
    "av1": "mastering-display=" + MasteringDisplay(max_luminance=4000).svt_av1() + ":content-light=9,8",
}


@pytest.mark.parametrize("lying", ["as the encoder gives it", "in a file"])
@pytest.mark.parametrize("before", ["silent", "stated"])
@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_a_decoder_finds_what_was_stamped(encoded, codec, before, lying):
    path, extradata, packets = encoded(codec, PARAMETERS[codec] if before == "stated" else "")
    if lying == "in a file":
        extradata, packets = of_file(path)
    assert len(packets) == 6
    stamp = Stamp(codec, DISPLAY, LIGHT, extradata)
    stamped = [stamp.packet(packet) for packet in packets]
    facts = decoded(codec, stamp.extradata(extradata), stamped)
    assert len(facts) == 6
    for display, light in facts:
        assert display is not None and media.same_display(display, DISPLAY)
        assert light == LIGHT
    assert [stamp.packet(packet) for packet in stamped] == stamped
    # Frames 0 and 4 are where decoding can start (keyint=4): nothing else changes.
    assert [old == new for old, new in zip(packets, stamped, strict=True)].count(False) == 2
    silent = Stamp(codec, None, None, extradata)
    assert decoded(codec, silent.extradata(extradata), [silent.packet(packet) for packet in stamped]) == [(None, None)] * 6


def test_pictures_and_other_messages_stay(encoded):
    _, extradata, packets = encoded("hevc", PARAMETERS["hevc"])
    stamped = Stamp("hevc", DISPLAY, LIGHT, extradata).packet(packets[0])
    old, new = (hevc.Framing().split(data) for data in (packets[0], stamped))
    assert [unit for unit in new if hevc.nal_type(unit) != hevc.PREFIX_SEI] == [
        unit for unit in old if hevc.nal_type(unit) != hevc.PREFIX_SEI
    ]
    assert messages(extradata, packets[0]) == [144, 137, 5]  # 5: user data, x265's own settings
    assert messages(extradata, stamped) == [5, 137, 144]
    kinds = [hevc.nal_type(unit) for unit in new]
    assert kinds.index(hevc.PREFIX_SEI) > kinds.index(34)  # behind the picture parameter set
    assert hevc.nal_type(new[kinds.index(hevc.PREFIX_SEI) + 2]) in hevc.IRAP


def test_messages_that_share_a_unit_are_taken_out_one_by_one():
    user = (5, bytes(16) + b"text")
    shared = hevc.sei_unit([(137, DISPLAY.coded()), user, (144, LIGHT.coded())])
    slice_ = bytes((hevc.IRAP[3] << 1, 1)) + b"picture"
    (sei, picture) = hevc.Framing().split(Stamp("hevc", None, None).packet(hevc.Framing().join([shared, slice_])))
    assert hevc.sei_messages(sei) == [user]
    assert picture == slice_


def test_light_alone_is_stamped_alone(encoded):
    _, extradata, packets = encoded("hevc")
    assert decoded("hevc", extradata, [Stamp("hevc", None, LIGHT, extradata).packet(packets[0])])[0] == (None, LIGHT)


def test_configuration_loses_older_messages(encoded):
    path, _, _ = encoded("hevc", PARAMETERS["hevc"])
    record, _ = of_file(path)
    cleaned = Stamp("hevc", DISPLAY, LIGHT, record).extradata(record)
    mastering = b"\x89\x18"  # payloadType 137, payloadSize 24
    assert mastering in record and mastering not in cleaned
    assert Stamp("hevc", DISPLAY, LIGHT, record).extradata(cleaned) == cleaned


def test_parameter_sets_that_the_configuration_holds_are_not_repeated(encoded):
    # Matroska keeps what the encoder repeats (repeat-headers=1); "hvc1" in MP4 may not hold it.
    path, _, _ = encoded("hevc", PARAMETERS["hevc"], container="matroska")
    record, packets = of_file(path)
    framing = hevc.Framing.of(record)
    start = next(packet for packet in packets[1:] if hevc.is_irap(framing.split(packet)))
    stamp = Stamp("hevc", DISPLAY, LIGHT, record)

    def kinds(data):
        return [hevc.nal_type(unit) for unit in framing.split(data)]

    assert kinds(start)[:3] == [32, 33, 34]
    assert not {32, 33, 34} & set(kinds(stamp.packet(start)))
    # Once another one was in force, going back to the first has to be said.
    other = bytes((34 << 1, 1)) + b"another picture parameter set"
    assert kinds(stamp.packet(framing.join([other, *framing.split(packets[1])])))[0] == 34
    assert kinds(stamp.packet(start))[:3] == [32, 33, 34]


@pytest.mark.parametrize("codec", ["ffv1", "prores", "vp9"])
def test_codecs_without_a_place_stay_as_they_are(codec):
    stamp = Stamp(codec, DISPLAY, LIGHT, b"extra")
    assert (stamp.packet(b"frame"), stamp.extradata(b"extra")) == (b"frame", b"extra")


@pytest.mark.parametrize("lying", ["as the encoder gives it", "in a file"])
@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_a_packet_that_is_cut_off_is_refused_or_still_the_same_pictures(encoded, codec, lying):
    path, extradata, packets = encoded(codec)
    if lying == "in a file":
        extradata, packets = of_file(path)
    stamp = Stamp(codec, DISPLAY, LIGHT, extradata)
    refused = 0
    for length in range(len(packets[0])):
        try:
            stamp.packet(packets[0][:length])
        except InputError as error:
            refused += 1
            assert str(error).startswith("stamp: ") and "\n" not in str(error)
    # Annex B says no lengths: a slice that is cut off looks like a shorter one there.
    assert refused > (len(packets[0]) * 0.9 if lying == "in a file" or codec == "av1" else 4)


@given(st.binary(max_size=200))
@example(b"\0\0\1")
@example(b"\0\0\0\1\x4e\1\x89\xff")
@example(b"\x2a\0")
@example(b"\0\0\0\2\x4e\1\0\0\0\2\x26\1")
def test_no_bytes_raise_anything_but_an_input_error(data):
    hvcc = b"\1" + bytes(20) + b"\xff\0"
    for codec, extradata in (("hevc", b""), ("hevc", hvcc), ("av1", b"")):
        stamp = Stamp(codec, DISPLAY, LIGHT, extradata)
        for function in (stamp.packet, stamp.extradata, lambda data, codec=codec: Stamp(codec, None, None, data).extradata(data)):
            with contextlib.suppress(InputError):
                function(data)


ZEROS = st.lists(st.sampled_from([b"\0", b"\0\0", b"\1", b"\2", b"\3", b"\4", b"\xff"]), max_size=60).map(b"".join)


@given(ZEROS | st.binary())
def test_emulation_prevention_comes_back_and_hides_start_codes(payload):
    escaped = hevc.escape(payload + b"\x80")
    assert hevc.unescape(escaped) == payload + b"\x80"
    assert not any(code in escaped for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))


@given(st.lists(st.tuples(st.integers(0, 1000), ZEROS | st.binary(max_size=600)), min_size=1, max_size=4))
def test_sei_messages_come_back(given_messages):
    assert hevc.sei_messages(hevc.sei_unit(given_messages)) == given_messages


@given(st.integers(0, 65535) | st.integers(0, 3), st.integers(0, 65535) | st.integers(0, 3), st.sampled_from([0, 4]))
@example(0, 0, 0)
@example(0x0001, 0x0002, 0)
@example(0x0300, 0x0003, 4)
def test_any_light_comes_back_from_an_access_unit(most, average, length_size):
    light = ContentLight(most, average)
    extradata = b"\1" + bytes(20) + bytes((0xFC | length_size - 1, 0)) if length_size else b""
    framing = hevc.Framing(length_size)
    picture = bytes((hevc.IRAP[3] << 1, 1)) + b"\x80picture"
    (sei, last) = framing.split(Stamp("hevc", None, light, extradata).packet(framing.join([picture])))
    assert hevc.sei_messages(sei) == [(hevc.CONTENT_LIGHT, light.coded())]
    assert last == picture


@given(st.integers(0, 2**40))
def test_obu_sizes_come_back(size):
    # AV1 specification, 4.10.5: seven bits a byte, low ones first.
    assert av1._leb128(av1._to_leb128(size), 0) == (size, max(1, -(-size.bit_length() // 7)))


def test_an_obu_without_size_gets_one_where_another_follows():
    header = bytes((av1.SEQUENCE_HEADER << 3,)) + b"sequence"
    stamped = Stamp("av1", None, LIGHT).packet(header)
    sequence, light = av1.split(stamped)
    assert (sequence.kind, sequence.payload) == (av1.SEQUENCE_HEADER, b"sequence")
    assert light.payload == b"\1" + LIGHT.coded() + b"\x80"
