"""The authors' code cannot be had here: a stand-in for Octave reads what it is given and answers from it."""

import stat
import sys

import numpy as np
import pytest

from vs_hdrtv.color.transfer import pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import octave

RNG = np.random.default_rng(0)
REFERENCE = RNG.random((3, 5, 7)) * 0.6
HDR = np.clip(REFERENCE + 0.05, 0, 1)

# Does what the script's vs_hdrtv_read says, in numpy: the answer is the mean of test minus reference, or what EXTRA computes.
STAND_IN = """#!{python}
import pathlib, re, sys
import numpy as np
assert sys.argv[1:-1] == {arguments!r}, sys.argv
script = pathlib.Path(re.fullmatch(r"run\\('(.*)'\\)", sys.argv[-1])[1]).read_text()
arrays = {{}}
for name, file, width, height, channels in re.findall(r"(\\w+) = vs_hdrtv_read\\('(.*)', (\\d+), (\\d+), (\\d+)\\);", script):
    shape = (-1, int(channels), int(height), int(width))
    arrays[name] = np.fromfile(file, "<f4").reshape(shape)
test, reference = arrays["test"], arrays["reference"]
print("Octave greets")
{extra}
"""
ANSWER = 'print("\\nvs_hdrtv_answer %.10g" % (test - reference).mean())'
ARGUMENTS = ["--no-gui", "--quiet", "--no-init-file", "--eval"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a shebang line")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that puts a stand-in in Octave's (or MATLAB's) place."""

    def make(extra=ANSWER, name="octave-cli", arguments=ARGUMENTS):
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN.format(python=sys.executable, extra=extra, arguments=arguments))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(octave.PROGRAM, str(path))
        return path

    return make


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "it's code" / "inner"
    folder.mkdir(parents=True)
    for code in octave.CODE.values():
        (folder / code.file).touch()
    return folder.parent


def test_hdr_vdp_3_gets_light_and_gives_the_answer(program, code):
    program()
    expected = (pq_eotf(HDR) - pq_eotf(REFERENCE)).mean()
    assert octave.hdr_vdp_3(HDR, REFERENCE, code) == pytest.approx(expected, rel=1e-5)


def test_hdr_vdp_3_of_a_clip_is_the_mean(program, code):
    program()
    clip = np.stack([HDR, REFERENCE])
    one = octave.hdr_vdp_3(HDR, REFERENCE, code)
    assert octave.hdr_vdp_3(clip, np.stack([REFERENCE] * 2), code) == pytest.approx(one / 2, rel=1e-5)


def test_hdr_vdp_3_is_called_as_the_published_tables_were(program, code):
    program("assert \"hdrvdp3('side-by-side', test, reference, 'rgb-bt.2020', 75.4\" in script\n"
            "assert \"addpath(genpath('\" in script and \"it''s code'\" in script\n"
            "assert 'result = answer.Q' in script\n" + ANSWER)  # fmt: skip
    octave.hdr_vdp_3(HDR, REFERENCE, code)


def test_hdr_vqm_gets_luminance_of_all_frames(program, code):
    program("assert test.shape == (15, 1, 5, 7), test.shape\n"
            "assert 'settings.frame_rate = 25;' in script and 'settings.n_frames_fixate = 15;' in script\n" + ANSWER)  # fmt: skip
    # BT.2020 luminance of a grey is its light.
    grey = np.full((15, 3, 5, 7), 0.5)
    expected = pq_eotf(np.array(0.55)) - pq_eotf(np.array(0.5))
    assert octave.hdr_vqm(grey + 0.05, grey, 25.0, code) == pytest.approx(float(expected), rel=1e-4)
    with pytest.raises(InputError, match=r"hdr_vqm: the clip has 14 frames; it needs 0.6 s, 15 frames"):
        octave.hdr_vqm(grey[1:], grey[1:], 25.0, code)


def test_matlab_is_called_in_its_own_way(program, code):
    program(name="matlab", arguments=["-batch"])
    assert octave.hdr_vdp_3(REFERENCE, REFERENCE, code) == 0


def test_nothing_is_left_behind(program, code, tmp_path, monkeypatch):
    import tempfile

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    program()
    octave.hdr_vdp_3(HDR, REFERENCE, code)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("sys.exit(\"error: 'imresize' undefined\")", r"exit code 1\): error: 'imresize' undefined"),
        ("print('no answer')", r"exit code 0\): Octave greets / no answer"),
        (ANSWER + "\nsys.exit(3)", r"exit code 3\)"),
    ],
)
def test_failures_say_what_octave_said(program, code, extra, said):
    program(extra)
    with pytest.raises(InputError, match=f"hdr_vdp_3: octave-cli failed \\({said}.*run HDR-VDP-3 by hand"):
        octave.hdr_vdp_3(HDR, REFERENCE, code)


def test_code_comes_from_the_environment_too(code, monkeypatch, tmp_path):
    variable = octave.CODE["hdr_vqm"].variable
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match=f"hdr_vqm: no package has HDR-VQM; .*--hdr-vqm or {variable}"):
        octave.find_code("hdr_vqm")
    monkeypatch.setenv(variable, str(code))
    assert octave.find_code("hdr_vqm") == code.resolve()
    with pytest.raises(InputError, match=r"there is no config_hdrvqm\.m in"):
        octave.find_code("hdr_vqm", tmp_path / "nowhere")


def test_a_missing_program_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv(octave.PROGRAM, str(tmp_path / "octave"))
    with pytest.raises(InputError, match=f"{octave.PROGRAM} is .*octave, which cannot be run"):
        octave.find_program("hdr_vdp_3")
    monkeypatch.delenv(octave.PROGRAM)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="neither Octave nor MATLAB is on PATH"):
        octave.find_program("hdr_vdp_3")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="hdr_vdp_3: pictures are"):
        octave.hdr_vdp_3(HDR, REFERENCE[:, 1:])
    with pytest.raises(InputError, match="hdr_vqm: the clip is"):
        octave.hdr_vqm(HDR, REFERENCE)
