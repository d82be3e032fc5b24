"""`vs-hdrtv dataset`: on a small pair of films made here."""

import json

import pytest

from vs_hdrtv import cli
from vs_hdrtv.cli import console
from vs_hdrtv.training import films


@pytest.fixture
def run(capfd):
    """Runs the command and gives exit code, standard output and standard error."""

    def call(*words):
        capfd.readouterr()
        try:
            code = cli.main(["dataset", *map(str, words)])
        except SystemExit as stopped:  # argparse
            code = stopped.code
        return code, *capfd.readouterr()

    return call


def test_check_says_by_how_much(run, film_pair):
    hdr, sdr = film_pair(late=2, missing=(35,))
    code, out, _ = run("check", "--hdr", hdr, "--sdr", sdr)
    assert code == 0
    lines = out.splitlines()
    assert "SDR frame = HDR frame +2 from frame 0 on" in lines[0]
    assert "1 frame missing in the SDR film" in lines[1]
    assert len(lines) == 2
    code, out, _ = run("check", "--json", "--hdr", hdr, "--sdr", sdr)
    found = json.loads(out)
    assert not found["aligned"]
    assert [span["offset"] for span in found["spans"]] == [2, 1]
    assert found["spans"][0]["start"] == 0
    assert found["correlation"] > 0.95


def test_build_and_info(run, film_pair, tmp_path, monkeypatch):
    monkeypatch.setattr(console.Progress, "LINE_EVERY", 0)
    hdr, sdr = film_pair()
    output = tmp_path / "my set"
    words = ("build", "--hdr", hdr, "--sdr", sdr, output, "--crop", "32", "--split-by", "film", "--name", "leafy_knoll")
    code, out, err = run(*words)
    assert code == 0
    assert out.splitlines() == [f"{output}: 3 scenes written", "train 3, validation 0, test 0 scenes"]
    assert "dataset: frame-aligned" in err
    # 60 frames of each film looked at, 30 written.
    assert "100%  120/120 frames" in err
    assert "100%  30/30 frames" in err
    code, out, _ = run(*words)
    assert out.splitlines()[0] == f"{output}: 0 scenes written, 3 were there already"
    code, out, _ = run("info", output)
    assert (code, out.splitlines()[0]) == (0, "leafy_knoll: 3 scenes of 10 frames, 32x32")
    code, out, _ = run("info", "--json", output)
    assert json.loads(out) == {"scenes": 3, "frames": 30, "splits": {"train": 3}}


def test_an_interruption_says_how_to_go_on(run, film_pair, tmp_path, monkeypatch):
    hdr, sdr = film_pair(frames=14, shots=(0,))

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(films, "_choose", interrupt)
    code, _, err = run("build", "--hdr", hdr, "--sdr", sdr, tmp_path / "out")
    assert code == cli.INTERRUPTED
    assert err.splitlines()[-1] == f"dataset: interrupted; what is done is in {tmp_path / 'out'}; run it again to go on"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("build", "--hdr", "no.mkv", "--sdr", "no2.mkv", "out"), "dataset: --hdr no.mkv does not exist"),
        (("build", "--hdr", ".", "--sdr", ".", "out", "--crop", "5"), "dataset: --crop is 5"),
        (("build", "--hdr", "."), "--sdr"),
        (("check", "--hdr", ".", "--sdr", "."), "dataset check: --hdr . is a folder"),
        (("info", "nowhere"), "dataset: nowhere has no manifest.jsonl"),
        ((), "ACTION"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
    assert not list(tmp_path.iterdir())
