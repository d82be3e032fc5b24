"""The command line: results, one line for every bad input, and nothing left behind. Analytic presets: no weights needed."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

import vs_hdrtv
from vs_hdrtv import cli, media
from vs_hdrtv.cli.console import Progress, duration
from vs_hdrtv.hdr10 import MasteringDisplay

QUICK = ("--preset", "bt2408", "--speed", "ultrafast")


def facts(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        audio = len(file.streams.audio)
    return frames, audio


def start_cli(script, *arguments):
    """The command line as a process of its own, after the lines of `script`."""
    root = str(Path(vs_hdrtv.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    code = f"import sys\n{script}\nfrom vs_hdrtv.cli import main\nsys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def test_converts_a_file_to_hdr10(run, video_file, tmp_path):
    source, result = video_file(frames=24), tmp_path / "out.mp4"
    code, out, err = run("convert", source, result, *QUICK, "--peak", 600)
    assert code == 0, err
    assert out == ""  # standard output is kept clean
    assert "24 frames" in err and "MaxCLL" in err
    frames, audio = facts(result)
    assert len(frames) == 24
    assert audio == 1
    assert (frames[0].color_primaries, frames[0].color_trc, frames[0].colorspace) == (9, 16, 9)
    display, light = media.hdr10_metadata(frames[0])
    assert display == MasteringDisplay(max_luminance=600)
    assert light is not None and f"MaxCLL {light.max}, MaxFALL {light.average} cd/m2" in err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_converts_to_hlg(run, video_file, tmp_path):
    code, _, err = run("convert", video_file(), tmp_path / "out.mkv", *QUICK, "--hlg")
    assert code == 0, err
    frames, _ = facts(tmp_path / "out.mkv")
    assert frames[0].color_trc == 18


def test_a_cut_holds_the_frames_asked_for(run, video_file, tmp_path):
    source = video_file(frames=24)
    whole, part = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    assert run("convert", source, whole, *QUICK, "--crf", 1)[0] == 0
    assert run("convert", source, part, *QUICK, "--crf", 1, "--start", 10, "--end", 15)[0] == 0
    expected, found = ([frame.to_ndarray()[:48].mean() for frame in facts(path)[0]] for path in (whole, part))
    assert found == pytest.approx(expected[10:15], abs=1.0)


def test_interlaced_source_needs_a_word_and_then_doubles_its_rate(run, video_file, tmp_path):
    source, result = video_file(interlaced=True, rate=25), tmp_path / "out.mp4"
    code, _, err = run("convert", source, result, *QUICK)
    assert (code, err.count("\n")) == (2, 1)
    assert "is interlaced; its frames look whole" in err and "--progressive" in err and "--deinterlace" in err
    whole = tmp_path / "whole.mp4"
    assert run("convert", source, whole, *QUICK, "--progressive")[0] == 0
    assert len(facts(whole)[0]) == 12
    code, _, err = run("convert", source, result, *QUICK, "--deinterlace", "--start", 2, "--end", 8)
    assert code == 0, err
    frames, _ = facts(result)
    assert len(frames) == 12
    assert frames[1].time == pytest.approx(1 / 50)


def test_an_existing_file_is_replaced_only_when_told(run, video_file, tmp_path):
    source, result = video_file(), tmp_path / "out.mp4"
    result.write_bytes(b"older")
    code, _, err = run("convert", source, result, *QUICK)
    assert (code, err.count("\n")) == (2, 1)
    assert "--overwrite" in err
    assert result.read_bytes() == b"older"
    assert run("convert", source, result, *QUICK, "--overwrite")[0] == 0
    assert len(facts(result)[0]) == 12


def text(path):
    path.write_text("this is not a film\n" * 100)


def empty(path):
    path.touch()


def folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (empty, "is empty"),
        (text, "is not a video"),
        (folder, "is a folder"),
    ],
)
@pytest.mark.parametrize("command", ["convert", "info"])
def test_an_input_that_is_no_video_is_one_line(run, tmp_path, command, make, message):
    make(tmp_path / "film.mp4")
    code, out, err = run(command, tmp_path / "film.mp4", *([tmp_path / "out.mp4"] if command == "convert" else []))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"{command}: ")
    assert message in err
    assert not list(tmp_path.glob("out*"))


def test_audio_alone_is_one_line(run, video_file, tmp_path):
    code, _, err = run("convert", video_file("sound.m4a", video=False), tmp_path / "out.mp4")
    assert (code, err.count("\n")) == (2, 1)
    assert "holds no video, only audio" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.avi"], "choose one of .mp4"),
        (["missing/out.mp4"], "does not exist; make it first"),
        (["in.mp4/out.mp4"], "does not exist; make it first"),
        (["/proc/out.mp4"], "cannot be written"),
        (["in.mp4"], "is the input itself"),
        (["out.mp4", "--preset", "best"], "unknown preset 'best'"),
        (["out.mp4", "--preset", "bt2446a", "--model", "hdcfm"], "preset bt2446a is a formula and has no network"),
        (["out.mp4", "--model", "nothing"], "'nothing'"),
        (["out.mp4", "--preset", "fast", "--engine", "abacus"], "'abacus'"),
        (["out.mp4", "--peak", "20000"], "peak"),
        (["out.mp4", "--crf", "52"], "crf is 52"),
        (["out.mp4", "--speed", "warp"], "unknown speed 'warp'"),
        (["out.mp4", "--start", "12"], "has frames 0 to 11"),
        (["out.mp4", "--start", "-1"], "has frames 0 to 11"),
        (["out.mp4", "--end", "13"], "choose 1 to 12"),
        (["out.mp4", "--start", "5", "--end", "5"], "choose 6 to 12"),
        (["out.mp4", "--start", "soon"], "invalid int value"),
        (["out.mp4", "--no-such-option"], "unrecognized arguments: --no-such-option; see vs-hdrtv convert --help"),
        ([], "required: OUT"),
    ],
)
def test_bad_arguments_are_one_line(run, video_file, tmp_path, monkeypatch, arguments, message):
    source = video_file()
    monkeypatch.chdir(tmp_path)
    defaults = [] if "--preset" in arguments or "--model" in arguments else ["--preset", "bt2408"]
    code, out, err = run("convert", source, *arguments, *defaults)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert re.match(r"[a-z0-9_-]+: ", err), err
    assert message in err
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"]


def test_hdr_source_is_refused_unless_forced(run, video_file, tmp_path):
    source = video_file(tags=(9, 16, 9))
    code, _, err = run("convert", source, tmp_path / "out.mp4", *QUICK)
    assert (code, err.count("\n")) == (2, 1)
    assert "HDR already (PQ)" in err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("arguments", [[], ["transmogrify"], ["--what"]])
def test_no_command_or_an_unknown_one_is_one_line(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("vs-hdrtv: ")


@pytest.mark.parametrize("command", ["convert", "info", "weights"])
def test_help_has_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"vs-hdrtv {command} " in out.rpartition("\nexample")[2]


def test_list_of_commands_needs_no_heavy_package():
    script = "import atexit; atexit.register(lambda: sys.stderr.write(' '.join(sorted(sys.modules))))"
    process = start_cli(script, "--help")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert all(command in out for command in cli.COMMANDS)
    assert not {"vapoursynth", "av", "torch", "numpy"} & set(err.split())


FAILING = """
import time, vapoursynth as vs, vs_hdrtv.presets as presets
real = presets.sdr_to_hdr
def slow_or_failing(clip, *args, **kwargs):
    hdr = real(clip, *args, **kwargs)
    def step(n, f):
        {step}
        return f
    return hdr.std.ModifyFrame(hdr, step)
presets.sdr_to_hdr = slow_or_failing
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_ctrl_c_and_its_like_leave_nothing(video_file, tmp_path, sent, code):
    source = video_file(frames=48)
    # What a terminal gives: a background job of a shell script (of CI, say) starts with SIGINT ignored, and its children too.
    terminal = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    terminal += "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # which nohup has taken away
    script = terminal + FAILING.format(step="time.sleep(0.2)")
    process = start_cli(script, "convert", source, tmp_path / "out.mp4", *QUICK)
    partial = tmp_path / "out.mp4.partial"
    deadline = time.monotonic() + 300
    while not (partial.exists() and partial.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (code, ""), err
    assert err == "convert: interrupted; nothing was written\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interruption_that_was_lost_is_raised_again(monkeypatch, capsys, sent, code):
    def lose_it(name, arguments):
        with contextlib.suppress(KeyboardInterrupt):  # as C code does with what Python code that it calls raises
            signal.raise_signal(sent)
        Progress().update(1, 2)
        return 0

    monkeypatch.setattr(cli, "_run", lose_it)
    kept = signal.signal(sent, signal.SIG_DFL)  # as in a terminal; a background job of CI has some of them ignored
    try:
        assert cli.main(["convert"]) == code
    finally:
        signal.signal(sent, kept)
    assert capsys.readouterr().err == "convert: interrupted; nothing was written\n"
    Progress().update(1, 2)  # the next command goes on


def test_a_failure_in_the_middle_is_one_line_and_leaves_nothing(video_file, tmp_path):
    source = video_file(frames=48)
    step = "if n == 30: raise RuntimeError('feature_map: the device ran out of memory')"
    process = start_cli(FAILING.format(step=step), "convert", source, tmp_path / "out.mp4", *QUICK)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, ""), err
    assert err == "feature_map: the device ran out of memory\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"]


def test_info_of_a_result(run, video_file, tmp_path):
    result = tmp_path / "out.mkv"
    assert run("convert", video_file(), result, *QUICK)[0] == 0
    code, out, err = run("info", result)
    assert (code, err) == (0, "")
    assert "hevc Main 10, 64x48" in out
    assert "24000/1001 = 23.976 frames/s, 12 frames" in out
    assert "primaries BT.2020, transfer PQ (ST 2084), matrix BT.2020 non-constant, limited range, chroma top-left" in out
    assert "0.0001 to 1000 cd/m2, red (0.6800, 0.3200)" in out
    assert re.search(r"light     MaxCLL [1-9]\d*, MaxFALL [1-9]\d* cd/m2", out)
    assert "aac, 44100 Hz, mono" in out


def test_info_of_sources(run, video_file):
    code, out, _ = run("info", video_file("a.mp4", tags=(2, 2, 2), interlaced=True, rotation=90))
    assert code == 0
    assert "primaries not said, transfer not said, matrix not said" in out
    assert "interlaced" in out and "rotated by 90 degrees" in out
    code, out, _ = run("info", video_file("sound.m4a", video=False))
    assert code == 0
    assert "aac" in out and "colour" not in out


def test_weights_import_checks_its_files_first(run, tmp_path):
    code, _, err = run("weights", "import", tmp_path / "no.pth", "--model", "hdcfm", "--output", tmp_path / "x.safetensors")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("weights import: ")


def test_weights_verify_of_an_unknown_model_is_one_line(run):
    code, _, err = run("weights", "verify", "nothing")
    assert (code, err.count("\n")) == (2, 1)
    assert "nothing" in err


class Screen(io.StringIO):
    """A stream that may say that it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_bar_on_a_terminal():
    now = [0.0]
    screen = Screen(True)
    bar = Progress(screen, lambda: now[0])
    for done in range(1, 101):
        now[0] += 0.5
        bar.update(done, 100)
    bar.close()
    drawn = screen.getvalue().split("\r")
    assert drawn[50] == f"[{'#' * 15}{'-' * 15}]  50%  50/100 frames  2.0 frames/s  0:25 left"
    assert drawn[100].rstrip(" \n") == f"[{'#' * 30}] 100%  100/100 frames  2.0 frames/s  0:00 left"
    assert screen.getvalue().endswith("\n")


def test_lines_now_and_then_without_a_terminal():
    now = [0.0]
    screen = Screen(False)
    bar = Progress(screen, lambda: now[0])
    for done in range(1, 101):
        now[0] += 0.5
        bar.update(done, 100)
    bar.close()
    lines = screen.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0] == " 20%  20/100 frames  2.0 frames/s  0:40 left"


def test_a_slow_start_is_not_counted_on():
    now = [0.0]
    screen = Screen(True)
    bar = Progress(screen, lambda: now[0])
    for seconds in (20.0, *(0.5,) * 99):
        now[0] += seconds
        bar.update(1 + round((now[0] - 20) / 0.5), 100)
    drawn = screen.getvalue().split("\r")[1:]
    assert not any("left" in line for line in drawn[:40])  # the first 20 s after the first frame
    assert drawn[40].rstrip().endswith("41/100 frames  1.0 frames/s  0:30 left")


def test_durations_are_written_like_a_clock():
    assert [duration(seconds) for seconds in (0.4, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_answer_that_cannot_be_written_is_one_line(video_file):
    root = str(Path(vs_hdrtv.__file__).parents[1])
    command = [sys.executable, "-m", "vs_hdrtv.cli", "info", str(video_file())]
    for unbuffered in ("", "1"):  # with a buffer Python would try once more when it ends
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=root, env=environment)
        assert (done.returncode, done.stderr) == (2, "info: No space left on device\n")


def test_a_reader_that_has_enough_ends_it_quietly(video_file):
    root = str(Path(vs_hdrtv.__file__).parents[1])
    command = f"{sys.executable} -m vs_hdrtv.cli info --json {video_file()} | head -c 1; echo"
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=root, env=environment)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_closed_streams_do_not_end_in_the_files(video_file, tmp_path):
    words = "convert", str(video_file()), str(tmp_path / "out.mkv"), *QUICK
    code = f"import os\nfor n in range(3): os.close(n)\nimport sys\nfrom vs_hdrtv.cli import main\nsys.exit(main({words!r}))"
    root = str(Path(vs_hdrtv.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
    assert len(facts(tmp_path / "out.mkv")[0]) == 12


def test_names_that_the_terminal_cannot_show(video_file, tmp_path):
    path = video_file("\u65e5.mp4")
    command = [sys.executable, "-m", "vs_hdrtv.cli", "info", str(path)]
    root = str(Path(vs_hdrtv.__file__).parents[1])
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u65e5.mp4" in done.stdout


@pytest.mark.parametrize("words", [("info", "a" * 5000), ("convert", "a" * 5000, "out.mp4")])
def test_what_the_system_refuses_is_one_line(run, words):
    code, _, err = run(*words)
    assert code == 2
    assert re.fullmatch(rf"{words[0]}: a+: File name too long\n", err)
