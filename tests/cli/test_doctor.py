"""`vs-hdrtv doctor`: a table of the truth, whatever is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vs_hdrtv.cli import doctor, main

WORKS = {"device": "cpu", "threads": 2, "weights": "hdcfm", "size": 64, "seconds": 0.1}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def ask(capfd, monkeypatch):
    """A function that runs the command with engines that are said to work: exit code, state and text of each check, stderr."""
    # They are tried one by one below; so many processes take long.
    monkeypatch.setattr(doctor, "_in_a_process", lambda name: WORKS)

    def run():
        code = main(["doctor", "--json"])
        out, err = capfd.readouterr()
        report = json.loads(out)
        assert report["ok"] == (code == 0)
        return code, {check["name"]: check for check in report["checks"]}, err

    return run


def test_this_environment_works(ask):
    code, checks, err = ask()
    assert code == 0 and not [line for line in err.splitlines() if line.startswith("doctor:")]
    needed = ("Python", "VapourSynth", "plug-in bs", "engine cpu", "encoder x265")
    assert {checks[name]["state"] for name in needed} == {"ok"}
    assert sys.executable in checks["Python"]["found"]
    assert {"threads", "memory", "disk here", "torch", "ONNX Runtime", "NVIDIA driver", "ffmpeg"} <= set(checks)
    assert {check["state"] for check in checks.values()} <= {"ok", "absent", "warn"}


@pytest.mark.parametrize(
    ("module", "name"),
    [("vapoursynth", "VapourSynth"), ("av", "encoders"), ("torch", "torch"), ("onnxruntime", "ONNX Runtime")],
)
def test_a_package_that_is_missing_is_a_line(ask, monkeypatch, module, name):
    monkeypatch.setattr(doctor, "_version", lambda package: "1.0")
    monkeypatch.setitem(sys.modules, module, None)
    code, checks, err = ask()
    optional = name in {"torch", "ONNX Runtime"}
    assert checks[name]["state"] == ("warn" if optional else "fail") and checks[name]["advice"] == f"pip install {module}"
    assert code == (0 if optional else 2)
    assert optional or f"doctor: {name}: " in err


def test_a_check_that_breaks_in_any_way_is_a_line(ask, monkeypatch):
    def broken():
        yield doctor.Check("first half", "was fine")
        raise OSError("libnothing.so: cannot open shared object file")

    monkeypatch.setitem(doctor.CHECKS, "machine", broken)
    code, checks, _ = ask()
    assert code == 0 and checks["first half"]["state"] == "ok"
    assert checks["machine"]["state"] == "warn" and "libnothing.so" in checks["machine"]["found"]


def test_without_weights_or_engines_nothing_can_be_converted(ask, monkeypatch, tmp_path):
    from vs_hdrtv import weights

    monkeypatch.setattr(weights, "folder", lambda: tmp_path)
    monkeypatch.setattr(doctor, "_in_a_process", lambda name: {"error": f"engine {name!r}: x is not installed; pip install x"})
    code, checks, err = ask()
    assert code == 2 and checks["weights"]["state"] == checks["engines"]["state"] == "fail"
    assert (checks["engine torch"]["found"], checks["engine torch"]["advice"]) == ("x is not installed", "pip install x")
    assert "doctor: engines: none works; pip install openvino" in err


def test_damaged_weights_are_named(ask, monkeypatch, tmp_path):
    import shutil

    from vs_hdrtv import weights

    for path in weights.folder().glob("hdcfm.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "hdcfm.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(weights, "folder", lambda: tmp_path)
    code, checks, _ = ask()
    assert code == 2 and "is not the file that its card describes" in checks["weights hdcfm"]["found"]


def test_vspipe_that_was_not_configured_is_told_what_to_do(ask, monkeypatch):
    def call(*command, env=None):
        assert "vspipe" in command[0] or command[0] == "nvidia-smi"
        return subprocess.CompletedProcess(command, 1, "", "Failed to initialize VSScript.\n")

    monkeypatch.setattr(doctor, "_call", call)
    code, checks, _ = ask()
    assert code == 0  # files are converted without it
    assert (checks["vspipe"]["state"], checks["vspipe"]["advice"]) == ("warn", "run `vapoursynth config` once")


def test_an_engine_is_really_run(capfd):
    for name in ("cpu", "onnx-cpu"):
        result = doctor._in_a_process(name)
        if "error" not in result:
            assert result["device"] == "cpu" and result["threads"] >= 1 and result["seconds"] > 0
            return
    pytest.fail(str(result))


def test_an_engine_that_ends_its_process_is_a_line(monkeypatch):
    ended = subprocess.CompletedProcess([], -11, "", "")
    monkeypatch.setattr(doctor, "_call", lambda *command, env=None: ended)
    assert "its process ended with -11" in doctor._in_a_process("torch")["error"]


def test_the_table_is_for_people(capfd, monkeypatch):
    def found():
        yield doctor.Check("good", "there")
        yield doctor.Check("bad thing", "broken", "fail", "mend it")

    monkeypatch.setattr(doctor, "CHECKS", {"all": found})
    assert main(["doctor"]) == 2
    out, err = capfd.readouterr()
    assert out.splitlines() == ["ok    good       there", "FAIL  bad thing  broken", "                 -> mend it"]
    assert err == "doctor: bad thing: broken; mend it\n"


def test_starts_without_any_package():
    """The command that says what is missing must not need it."""
    code = "import sys\nfor name in ('numpy', 'vapoursynth', 'av'): sys.modules[name] = None\nimport vs_hdrtv.cli.doctor"
    root = str(Path(doctor.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
