"""The text file of per-shot overrides."""

import pytest
import vapoursynth as vs

from vs_hdrtv import sdr_to_hdr, shots
from vs_hdrtv.errors import InputError
from vs_hdrtv.letterbox import Letterbox

TEXT = """\
# frames = parameters
4 = preset bt2446a          # one frame
1-2 = strength 0.5, saturation 0
5- = letterbox 4/4, ceiling 150
"""


def test_lines_are_read_in_the_order_of_frames():
    first, second, third = shots.parse(TEXT)
    assert (first.first, first.last, first.parameters) == (1, 2, {"strength": 0.5, "saturation": 0.0})
    assert (second.first, second.last, second.parameters) == (4, 4, {"preset": "bt2446a"})
    assert (third.first, third.last) == (5, None)
    assert third.parameters == {"letterbox": Letterbox(4, 4), "ceiling": 150.0}


def test_ranges_cover_the_clip():
    found = [(first, end, shot.line if shot else None) for first, end, shot in shots.ranges(shots.parse(TEXT), 8)]
    assert found == [(0, 1, None), (1, 3, 3), (3, 4, None), (4, 5, 2), (5, 8, 4)]
    assert shots.ranges([], 3) == [(0, 3, None)]


def test_frames_have_their_shot_s_parameters(moving_clip, bytes_of, tmp_path):
    path = tmp_path / "film.shots"
    path.write_text("4 = preset bt2446a\n1-2 = strength 0.5, saturation 0\n6- = highlight_gain 2, reference_white 150\n")
    clip = moving_clip(length=8)
    mixed = bytes_of(sdr_to_hdr(clip, "bt2446c", shots=path))
    plain = bytes_of(sdr_to_hdr(clip, "bt2446c"))
    grey = bytes_of(sdr_to_hdr(clip, "bt2446c", strength=0.5, saturation=0))
    hot = bytes_of(sdr_to_hdr(clip, "bt2446c", highlight_gain=2, reference_white=150))
    other = bytes_of(sdr_to_hdr(clip, "bt2446a"))
    assert mixed == [plain[0], *grey[1:3], plain[3], other[4], plain[5], *hot[6:]]
    assert len({plain[1], grey[1], other[1], hot[1]}) == 4


def test_a_shot_of_the_whole_clip_equals_the_parameter(moving_clip, bytes_of, tmp_path):
    path = tmp_path / "film.shots"
    path.write_text("0- = ceiling 120\n")
    clip = moving_clip()
    assert bytes_of(sdr_to_hdr(clip, "bt2446a", shots=path)) == bytes_of(sdr_to_hdr(clip, "bt2446a", ceiling=120))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from 3 to 4", "line 1: 'from 3 to 4' cannot be read; write FRAMES = PARAMETERS"),
        ("3 = ", "line 1: '3 =' cannot be read"),
        ("\n9-3 = strength 1", "line 2: frames 9-3 run backward"),
        ("1 = peak 600", "line 1: unknown parameter 'peak'; choose one of preset, strength"),
        ("1 = strength much", "line 1: strength is 'much'; give a number"),
        ("1-5 = strength 1\n5 = strength 0", "lines 1 and 2 both name frame 5"),
        ("1- = strength 1\n7 = strength 0", "lines 1 and 2 both name frame 7"),
    ],
)
def test_lines_that_make_no_sense(text, message):
    with pytest.raises(InputError, match=message):
        shots.parse(text)


def test_files_that_make_no_sense(moving_clip, tmp_path):
    path = tmp_path / "film.shots"
    with pytest.raises(vs.Error, match=r"shots: .*film.shots cannot be read \(No such file or directory\)"):
        sdr_to_hdr(moving_clip(), "bt2408", shots=path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(vs.Error, match=r"shots: .* cannot be read \(not UTF-8 text\)"):
        sdr_to_hdr(moving_clip(), "bt2408", shots=path)
    path.write_text("6 = strength 0")
    with pytest.raises(vs.Error, match="shots: line 1 of the file names frame 6; the clip has"):
        sdr_to_hdr(moving_clip(), "bt2408", shots=path)
    path.write_text("2 = strength 7")
    with pytest.raises(vs.Error, match=r"blend: strength is 7\.0; give 0 to 1"):
        sdr_to_hdr(moving_clip(), "bt2408", shots=path)


@pytest.mark.parametrize("frames", ["9" * 5000, "0-" + "9" * 5000])
def test_a_number_of_thousands_of_digits_is_no_frame(frames):
    with pytest.raises(InputError, match=r"line 1: '.*' cannot be read"):  # int() itself refuses 4300 digits and more
        shots.parse(f"{frames} = strength 0.5")
