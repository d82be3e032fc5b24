"""`vs-hdrtv x265-args`: the line that a shell splits into words, and one line for every mistake."""

from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from vs_hdrtv.cli import main

PQ = """
import vapoursynth as vs
import vs_hdrtv
print("this belongs to nobody")
clip = vs.core.std.BlankClip(length=3, width=64, height=48, format=vs.YUV420P8, color=[235, 128, 128], fpsnum=25, fpsden=1)
clip = clip.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0)
hdr = vs_hdrtv.sdr_to_hdr(clip, "bt2408", peak=float(globals().get("peak", 1000)))
hdr.set_output()
"""


@pytest.fixture
def script(tmp_path):
    """A function that writes a script with more lines at its end and returns its path."""

    def write(more="", body=PQ):
        path = tmp_path / "s.vpy"
        path.write_text(body + dedent(more), encoding="utf-8")
        return path

    return write


@pytest.fixture
def ask(capfd):
    """A function that runs the command: exit code, its one line as words, what it said beside it."""

    def run(*arguments):
        code = main(["x265-args", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert out.count("\n") == (1 if code == 0 else 0)
        # $(...) splits at blanks and expands * ? [ ]; it takes no quotes away.
        assert not set(out) & set("*?[]'\"\\$`;&|<>")
        assert out.split() == out.strip("\n").split(" ") if out else True
        return code, out.split(), err

    return run


def value(words, flag):
    return words[words.index(flag) + 1]


def test_says_all_that_y4m_does_not_carry(script, ask):
    code, words, err = ask(script())
    assert code == 0
    assert [value(words, f"--{name}") for name in ("colorprim", "transfer", "colormatrix", "range", "chromaloc")] == [
        *("bt2020", "smpte2084", "bt2020nc", "limited", "2")
    ]
    assert value(words, "--output-depth") == "10"  # x265 makes 8 bits of 10-bit y4m by itself
    assert {"--hdr10", "--hdr10-opt", "--repeat-headers"} <= set(words)
    # P3-D65 in steps of 0.00002, 1000 and 0.0001 cd/m2 in steps of 0.0001: H.265, D.3.28.
    assert value(words, "--master-display") == "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    # BT.2408-7, table 1: reference white is 203 cd/m2, here after 10-bit rounding, of which 4 codes are 203 +- 4.
    most, average = map(int, value(words, "--max-cll").split(","))
    assert abs(most - 203) <= 4 and average <= most
    assert "--sar" not in words
    assert "this belongs to nobody" in err and "--max-cll MAX,AVERAGE" in err and "varies" not in err


def test_arguments_reach_the_script_and_a_given_level_costs_no_pass(script, ask):
    code, words, err = ask(script(), "--arg", "peak=400", "--max-cll", "390,120")
    assert code == 0 and value(words, "--max-cll") == "390,120" and "L(4000000,1)" in value(words, "--master-display")
    assert "measuring" not in err
    code, words, err = ask(script(), "--max-cll", "none")
    assert code == 0 and "--max-cll" not in words and "measuring" not in err


def test_what_the_frames_say_outweighs_the_defaults(script, ask):
    more = "hdr.std.SetFrameProps(_ChromaLocation=1, _Range=1, _SARNum=64, _SARDen=45, ContentLightLevelMax=700, "
    path = script(more + "ContentLightLevelAverage=90).set_output()")
    code, words, err = ask(path)
    assert code == 0 and "measuring" not in err
    assert [value(words, f"--{name}") for name in ("chromaloc", "range", "sar", "max-cll")] == ["1", "full", "64:45", "700,90"]


def test_light_that_is_measured_already_is_not_measured_again(script, ask):
    more = "hdr.std.SetFrameProps(_HdrtvMaxRGB=511.5, _HdrtvAverageMaxRGB=20.0).set_output()"
    code, words, _ = ask(script(more))
    assert code == 0 and value(words, "--max-cll") == "512,20"


def test_hlg_has_no_static_metadata(script, ask):
    path = script('vs_hdrtv.sdr_to_hdr(clip, "bt2408", hlg=True).set_output()')
    code, words, err = ask(path)
    assert code == 0 and value(words, "--transfer") == "arib-std-b67" and "measuring" not in err
    assert not {"--master-display", "--max-cll", "--hdr10"} & set(words)
    code, _, err = ask(path, "--max-cll", "1,1")
    assert code == 2 and err.splitlines()[-1].startswith("x265-args: --max-cll with an HLG output")


@pytest.mark.parametrize("arguments", [[], ["--max-cll", "none"]])
def test_variable_rate_is_said(script, ask, arguments):
    more = """
    def late(n, f):
        out = f.copy()
        out.props["_DurationNum"] = 2 + n
        return out
    hdr.std.ModifyFrame(hdr, late).set_output()
    """
    code, _, err = ask(script(more), *arguments)
    assert code == 0 and "--timecodes" in err and "mkvmerge --timestamps" in err


@pytest.mark.parametrize(
    ("more", "arguments", "expected"),
    [
        ("", ["--output", "3"], "sets no output 3, only 0; call"),
        ("vs.clear_outputs()", [], "sets no output 0, none; call"),
        ("clip.set_output()", [], "the output is YUV420P8; x265 takes YUV420P10, YUV420P12, YUV422P10"),
        ("hdr.std.SetFrameProps(_Transfer=1).set_output()", [], "neither PQ nor HLG (_Transfer=1); end the script"),
        ("hdr.std.SetFrameProps(_Primaries=1).set_output()", [], "not BT.2020 (_Primaries=1); set it"),
        ("vs.core.std.BlankAudio().set_output(1)", ["--output", "1"], "is audio; choose a video output"),
        ("vs_hdrtv.to_hdr10(clip)", [], "s.vpy, line 9: to_hdr10: clip is not PQ"),
        ("nonsense", [], "s.vpy, line 9: name 'nonsense' is not defined"),
        ("1 +", [], "s.vpy, line 9: invalid syntax"),
        ("raise SystemExit('give the film')", [], "s.vpy stopped: give the film"),
        ("", ["--max-cll", "100"], "--max-cll is '100'; give MAX,AVERAGE"),
        ("", ["--max-cll", "100000,1"], "both must be in [0, 65535]"),
        ("", ["--arg", "=x"], "--arg is '=x'; give key=value"),
    ],
)
def test_a_mistake_is_one_line(script, ask, more, arguments, expected):
    code, _, err = ask(script(more), *arguments)
    assert code == 2 and expected in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_missing_script_is_one_line(tmp_path, ask):
    code, _, err = ask(tmp_path / "no.vpy")
    assert code == 2 and err.endswith("no.vpy cannot be read (No such file or directory); give a .vpy script\n")


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="no shell")
def test_the_line_survives_a_shell(script, ask):
    _, words, _ = ask(script(), "--max-cll", "1,1")
    line = " ".join(words)
    command = ["/bin/sh", "-c", "printf '%s\\n' $(echo \"$1\")", "sh", line]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stdout.split("\n")[:-1] == words


def test_flags_of_another_encoder(script, ask):
    code, words, _ = ask(script(), "--encoder", "svt-av1", "--max-cll", "1000,200")
    assert code == 0 and value(words, "--content-light") == "1000,200"
    assert [value(words, f"--{name}") for name in ("color-primaries", "transfer-characteristics")] == ["9", "16"]  # H.273
    code, words, _ = ask(script(), "--encoder", "nvenc", "--max-cll", "none")
    assert code == 0 and value(words, "--output-depth") == "10" and "--max-cll" not in words


def test_other_samples_have_their_own_flags(script, ask):
    more = "vs_hdrtv.sdr_to_hdr(clip, 'bt2408', format='yuv444p12').set_output()"
    code, words, err = ask(script(more), "--max-cll", "none")
    assert code == 0, err
    assert value(words, "--output-depth") == "12"
    assert "--chromaloc" not in words and "--hdr10-opt" not in words and "--hdr10" in words
    code, _, err = ask(script(more), "--max-cll", "none", "--encoder", "svt-av1")
    assert code == 2 and "the output is YUV444P12; svt-av1 takes YUV420P10" in err


def test_times_rounded_to_milliseconds_are_one_rate(script, ask):
    more = """
    def rounded(n, f):
        out = f.copy()
        out.props["_DurationNum"] = (1000 * (n + 1) + 12) // 24 - (1000 * n + 12) // 24  # 41 or 42
        out.props["_DurationDen"] = 1000
        return out
    hdr = hdr.std.AssumeFPS(fpsnum=24, fpsden=1)
    hdr.std.ModifyFrame(hdr, rounded).set_output()
    """
    code, _, err = ask(script(more))
    assert code == 0 and "--timecodes" not in err
