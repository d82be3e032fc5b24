"""What a source holds beside its video: real files with sound, subtitles, a font and chapters, copied and read back."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
import vapoursynth as vs
from av.stream import Disposition

from vs_hdrtv import output
from vs_hdrtv.hdr10 import SIGNALLING
from vs_hdrtv.media import seconds
from vs_hdrtv.output.companions import Excerpt

SRT = """1
00:00:00,200 --> 00:00:00,600
<i>Hello</i> world

2
00:00:00,900 --> 00:00:01,400
Second
line

3
00:00:01,700 --> 00:00:01,900
Third

"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, \
ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:00.60,Default,,0,0,0,,{\\b1}Hello{\\b0} world
"""
FONT = bytes(range(256)) * 8


@pytest.fixture
def source(tmp_path):
    """A function that writes two seconds of film with everything beside it, and returns its path."""

    def make(name="in.mkv", subtitles=SRT, kind="srt", audio=("aac", "flac")):
        path, text = tmp_path / name, tmp_path / f"text.{kind}"
        text.write_text(subtitles, "utf-8")
        with av.open(str(path), "w") as file, av.open(str(text)) as words:
            picture = file.add_stream("libx264", rate=25)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            sounds = [file.add_stream(codec, rate=48000, layout="mono") for codec in audio]
            titles = file.add_stream_from_template(words.streams[0])
            titles.metadata.update(language="fra", title="Titres")
            titles.disposition = Disposition.forced
            for sound, language in zip(sounds, ("deu", "eng"), strict=False):
                sound.metadata.update(language=language, title=f"Ton {language}")
            sounds[-1].disposition = Disposition.default
            if path.suffix == ".mkv":
                file.add_attachment("font.ttf", "font/ttf", FONT)
            file.metadata.update(title="The Film", artist="Somebody", creation_time="2020-01-01T00:00:00Z")
            base = Fraction(1, 1000)
            chapters = [("One", 0, 1000), ("Two", 1000, 1500), ("Three", 1500, 2000)]
            file.set_chapters(
                [
                    {"id": n, "start": start, "end": end, "time_base": base, "metadata": {"title": title}}
                    for n, (title, start, end) in enumerate(chapters, 1)
                ]
            )
            packets = [packet for packet in words.demux() if packet.size]
            for packet in packets:
                packet.stream = titles
                file.mux_one(packet)
            for n in range(50):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * n, np.uint8))
                frame.pts, frame.time_base = n, Fraction(1, 25)
                file.mux(picture.encode(frame))
            file.mux(picture.encode())
            for sound in sounds:
                layout = "s16" if sound.codec_context.name == "flac" else "fltp"
                for start in range(0, 96000, 1024):
                    wave = 9000 * np.sin(np.arange(start, start + 1024) / 20)
                    samples = wave.astype(np.int16) if layout == "s16" else (wave / 2**15).astype(np.float32)
                    block = av.AudioFrame.from_ndarray(samples[None], layout, "mono")
                    block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
                    file.mux(sound.encode(block))
                file.mux(sound.encode())
        return path

    return make


def convert(source, path, frames=50, start=Fraction(0), whole=True):
    properties = SIGNALLING["hlg"].frame_properties()
    clip = vs.core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=frames, fpsnum=25, fpsden=1)
    excerpt = Excerpt(source, start, from_the_start=whole, to_the_end=whole)
    settings = output.choose(path.suffix, speed="13" if path.suffix == ".webm" else "ultrafast")
    return output.write(clip.std.SetFrameProps(**properties), path, settings, excerpt=excerpt)


def start_of(file):
    """Seconds at which the video starts."""
    return float(seconds(file.streams.video[0].start_time, file.streams.video[0].time_base))


def contents(path):
    """Streams by type, as (codec, language, title), and the file's chapters and metadata."""
    with av.open(str(path)) as file:
        first = start_of(file)
        streams = {}
        for s in file.streams:
            name = s.codec_context.codec.canonical_name if s.codec_context else s.name
            title = s.metadata.get("title", s.metadata.get("name"))
            streams.setdefault(s.type, []).append((name, s.metadata.get("language"), title))
        chapters = [
            (c["metadata"]["title"], *(round(float(seconds(c[side], c["time_base"])) - first, 2) for side in ("start", "end")))
            for c in file.chapters()
        ]
        return streams, chapters, dict(file.metadata)


def cues(path, index=0):
    """Start and end, from the first video frame, and text, of every subtitle."""
    found = []
    with av.open(str(path)) as file:
        stream = file.streams.subtitles[index]
        first = start_of(file)
        for packet in file.demux(stream):
            text = "".join(line.dialogue.decode() for line in packet.decode()) if packet.size else ""
            if text:
                times = (float(seconds(ticks, packet.time_base)) - first for ticks in (packet.pts, packet.pts + packet.duration))
                found.append((*(round(time, 2) for time in times), text))
    return found


def test_matroska_keeps_everything(source, tmp_path, caplog):
    path = source()
    written = convert(path, tmp_path / "out.mkv")
    assert dict(written.counts) == {"audio": 2, "subtitle": 1, "attachment": 1, "chapter": 3}
    before, after = contents(path), contents(tmp_path / "out.mkv")
    assert {**after[0], "video": None} == {**before[0], "video": None}
    assert after[1] == before[1]
    assert (after[2]["title"], after[2]["ARTIST"]) == ("The Film", "Somebody")
    assert "creation_time" not in after[2]
    assert cues(tmp_path / "out.mkv") == cues(path)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.attachments[0].data == FONT
        assert file.streams.attachments[0].mimetype == "font/ttf"
        assert file.streams.subtitles[0].disposition & Disposition.forced
        assert [bool(s.disposition & Disposition.default) for s in file.streams.audio] == [False, True]
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_mp4_gets_its_own_kind_of_subtitles_and_says_what_it_cannot_hold(source, tmp_path, caplog, suffix):
    path = source(audio=("aac",))
    with caplog.at_level(logging.WARNING):
        written = convert(path, tmp_path / f"out{suffix}")
    assert dict(written.counts) == {"audio": 1, "subtitle": 1, "chapter": 3}
    streams, chapters, metadata = contents(tmp_path / f"out{suffix}")
    assert streams["subtitle"] == [("mov_text", "fra", "Titres")]
    assert streams["audio"][0][::2] == ("aac", "Ton deu")
    assert [title for title, _, _ in chapters] == ["One", "Two", "Three"]
    assert metadata["title"] == "The Film"
    assert [(start, end) for start, end, _ in cues(tmp_path / f"out{suffix}")] == [(s, e) for s, e, _ in cues(path)]
    assert cues(tmp_path / f"out{suffix}")[0][2].startswith("{\\i1}Hello{\\")  # the italics survive
    assert caplog.messages == [f"attachment stream 3 left out: {suffix} cannot hold font.ttf; write .mkv to keep it"]


def test_subtitles_of_mp4_become_those_of_matroska_and_back(source, tmp_path):
    there, back = tmp_path / "there.mp4", tmp_path / "back.mkv"
    convert(source(audio=("aac",)), there)
    convert(there, back)
    streams, chapters, _ = contents(back)
    assert streams["subtitle"] == [("subrip", "fra", "Titres")]
    assert [text for _, _, text in cues(back)] == ["{\\i1}Hello{\\i0} world", "Second\nline", "Third"]
    assert [title for title, _, _ in chapters] == ["One", "Two", "Three"]
    assert "data" not in streams


def test_styled_subtitles_lose_their_style_with_a_word_in_mp4(source, tmp_path, caplog):
    path = source(subtitles=ASS, kind="ass", audio=("aac",))
    with caplog.at_level(logging.WARNING):
        convert(path, tmp_path / "out.mp4")
    assert "(ass) becomes mov_text: fonts and places are lost; write .mkv to keep them" in caplog.text
    assert "Hello" in cues(tmp_path / "out.mp4")[0][2]
    convert(path, tmp_path / "out.mkv")
    assert contents(tmp_path / "out.mkv")[0]["subtitle"][0][0] == "ass"


def test_webm_keeps_what_it_may(source, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        written = convert(source(audio=("aac", "libopus")), tmp_path / "out.webm")
    assert (written.counts["audio"], written.counts["subtitle"]) == (1, 1)
    assert "audio stream 1 left out: .webm cannot hold aac; write .mkv to keep it" in caplog.text
    streams, _, _ = contents(tmp_path / "out.webm")
    assert [name for name, _, _ in streams["audio"]] == ["opus"]
    assert streams["subtitle"][0][0] == "webvtt"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_cut_takes_its_part_of_everything(source, tmp_path, suffix):
    path = source(audio=("aac",))
    # Frames 10 to 39: 0.4 s to 1.6 s of the source, whose video starts after the encoder's delay of the sound.
    with av.open(str(path)) as file:
        start = seconds(file.streams.video[0].start_time, file.streams.video[0].time_base) + Fraction(2, 5)
    out = tmp_path / f"out{suffix}"
    written = convert(path, out, frames=30, start=start, whole=False)
    assert written.counts["chapter"] == 3
    delay = float(start) - 0.4
    found = [(round(a, 2), round(b, 2)) for a, b, _ in cues(out)]
    expected = [(0, 0.2 - delay), (0.5 - delay, 1.0 - delay)]
    assert np.allclose(found, expected, atol=0.011)
    spans = [(a, b) for _, a, b in contents(out)[1]]
    assert np.allclose(spans, [(0, 0.6 - delay), (0.6 - delay, 1.1 - delay), (1.1 - delay, 1.2)], atol=0.011)


def test_a_cover_picture_and_other_video_are_left_out_with_a_word(tmp_path, caplog):
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(50):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * n, np.uint8))
                frame.pts, frame.time_base = n, Fraction(1, 25)
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode())
    with caplog.at_level(logging.WARNING):
        convert(path, tmp_path / "out.mkv")
    assert caplog.messages == ["video stream 1 left out: only one is converted; --track chooses which"]


def test_sound_that_is_cut_off_does_not_lose_the_video(source, tmp_path):
    path = source()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert convert(path, tmp_path / "out.mkv").frames == 50
    assert len(contents(tmp_path / "out.mkv")[0]["audio"]) == 2


def test_two_runs_give_the_same_bytes(source, tmp_path):
    path = source()
    for name in ("a.mkv", "b.mkv", "a.mp4", "b.mp4"):
        convert(path, tmp_path / name)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
