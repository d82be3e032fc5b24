"""scripts/encoder_quality.py on one small clip with dark saturated colours, which chroma offsets are for."""

import numpy as np
import pytest


@pytest.fixture
def clip(tmp_path):
    import av

    rng = np.random.default_rng(3)
    noise = rng.normal(0, 6, (64, 96, 3))
    colors = np.repeat(np.repeat(rng.integers(0, 90, (4, 6, 3)), 16, 0), 16, 1)
    path = tmp_path / "dark.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
        for n in range(8):
            picture = np.clip(np.roll(colors, n, 1) + np.roll(noise, 2 * n, 1), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def test_chroma_offsets_keep_dark_colours(script, clip, capfd):
    settings = ["--settings", "plain-x265:22", "x265:22", "x265:14", "--frames", "2"]
    assert script.main([str(clip), "--preset", "bt2408", *settings]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"{clip}: 8 frames of 96x64, 2 of them compared"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[3:]]
    assert [row[0] for row in rows] == [
        f"x265, crf {q}, speed medium".replace("x265", n) for n, q in (("plain-x265", 22), ("x265", 22), ("x265", 14))
    ]
    plain, offsets, finer = ([float(cell) for cell in row[1:]] for row in rows)
    assert offsets[5] < 0.95 * plain[5] and finer[5] < offsets[5]  # dark colour
    assert finer[0] > offsets[0] and finer[2] > offsets[2]  # more bits, more PSNR


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["not_there.mp4", "--settings", "x265:good"], "setting is 'x265:good'"),
        (["not_there.mp4", "--settings", "x266"], "unknown encoder 'x266'"),
        (["not_there.mp4", "--frames", "0"], "--frames is 0"),
        (["not_there.mp4"], "not_there.mp4"),
    ],
)
def test_bad_input_is_one_line(script, arguments, words, capsys):
    assert script.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.strip().count("\n") == 0
