"""What the guide and the README show is run as it stands, on a small clip."""

import re
import runpy
from pathlib import Path

import pytest
import vapoursynth as vs

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["docs/guide.md", "README.md"])
def test_python_of_the_documents_runs(document, tmp_path, monkeypatch, moving_clip):
    import av
    import numpy as np

    clip = moving_clip(width=320, height=180, length=2)
    with av.open(str(tmp_path / "film.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        for frame in clip.frames():
            picture = av.VideoFrame(clip.width, clip.height, "yuv420p")
            for index, plane in enumerate(picture.planes):
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                samples[:, : plane.width] = np.asarray(frame[index])
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / document).read_text())
    assert blocks
    names = {}
    for block in blocks:
        vs.clear_outputs()
        (tmp_path / "block.py").write_text(block)
        names = runpy.run_path(str(tmp_path / "block.py"), names)
        for output in vs.get_outputs().values():
            assert output.clip.get_frame(0).props["_Transfer"] == vs.TRANSFER_ST2084
    vs.clear_outputs()
