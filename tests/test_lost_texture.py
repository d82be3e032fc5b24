"""What the shipped weights are for: a texture that a clip has lost to over-exposure, and that one second of it still has."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import feature_map, merge_highlights, propagate_keyframes, recover_keyframes
from vs_hdrtv.color.gamut import luminance
from vs_hdrtv.color.transfer import bt1886_inverse_eotf, pq_eotf

cv2 = pytest.importorskip("cv2")

FRAMES, HEIGHT, WIDTH = 90, 96, 128
WINDOW = slice(34, 66), slice(40, 88)
"""Of frame 0, in which the texture clips."""

CLIPPED, VISIBLE = range(21), range(60, FRAMES)
"""Frames in which it does, and in which it is seen."""

FRAME = 10


def light_of(n):
    """Frame n in the exposure of frame 0, (3, H, W): the camera goes right by half a pixel a frame."""
    rng = np.random.default_rng(3)
    wide = (HEIGHT, WIDTH + FRAMES)
    texture = sum(cv2.resize(rng.random((cells, 2 * cells, 3)), wide[::-1]) for cells in (6, 14, 30)) / 3  # (H, W', 3)
    light = 0.05 + 0.5 * texture
    window = (WINDOW[0], slice(WINDOW[1].start + 5, WINDOW[1].stop + 5))
    light[window] = 1.3 + 1.2 * texture[window]
    moved = np.float32([[1, 0, -0.5 * n], [0, 1, 0]])
    return np.moveaxis(cv2.warpAffine(light, moved, (WIDTH, HEIGHT)), -1, 0).astype(np.float32)


@pytest.fixture(scope="module")
def clip():
    """SDR: the exposure falls by two stops between frames 20 and 60."""
    frames = []
    for n in range(FRAMES):
        stops = -2 * np.clip((n - CLIPPED.stop) / (VISIBLE.start - CLIPPED.stop), 0, 1)
        signal = bt1886_inverse_eotf(np.clip(light_of(n) * 2.0**stops, 0, 1))
        frames.append((np.rint(255 * signal) / 255).astype(np.float32))
    blank = vs.core.std.BlankClip(width=WIDTH, height=HEIGHT, format=vs.RGBS, length=FRAMES)
    blank = blank.std.SetFrameProps(_Transfer=vs.TRANSFER_BT709, _Primaries=vs.PRIMARIES_BT709, _Range=vs.RANGE_FULL)

    def paint(n, f):
        out = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(out[plane]), frames[n][plane])
        return out

    return blank.std.ModifyFrame(blank, paint)


def planes(clip, n):
    with clip.get_frame(n) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(3)]).copy()


def test_a_texture_clipped_in_frames_0_to_20_comes_back_from_frame_60(clip, capsys):
    columns = WINDOW[1].start + 5 - FRAME // 2, WINDOW[1].stop + 5 - FRAME // 2
    inner = (slice(None), slice(WINDOW[0].start + 4, WINDOW[0].stop - 4), slice(columns[0] + 4, columns[1] - 4))
    assert all((planes(clip, n)[:, 40:60, 45:75] == 1).all() for n in (CLIPPED[0], FRAME, CLIPPED[-1]))
    assert planes(clip, VISIBLE[0]).max() < 0.9
    keys = recover_keyframes(clip, references=3, reference_stride=20, scenes="none", threads=1)
    light = propagate_keyframes(clip, keys, scenes="none", segment=6, overlap=2)
    found, truth = planes(light, FRAME), light_of(FRAME)
    likeness = float(np.corrcoef(found[inner].ravel(), truth[inner].ravel())[0, 1])
    with capsys.disabled():
        sys.stdout.write(f"\ncorrelation with the truth where it was clipped: {likeness:.3f}\n")
    assert likeness > 0.8
    assert abs(found[inner].mean() / truth[inner].mean() - 1) < 0.3

    sdr, hdr = planes(clip, FRAME), feature_map(clip, threads=1)
    before, after = (pq_eotf(planes(each, FRAME)) for each in (hdr, merge_highlights(hdr, clip, light)))
    outside = np.broadcast_to(sdr.max(axis=0) <= 0.95, sdr.shape)
    assert np.array_equal(before[outside], after[outside])
    place = (0, *inner[1:])
    wanted = luminance(truth, "bt709")[place].ravel()
    guessed, known = (np.corrcoef(luminance(each, "bt2020")[place].ravel(), wanted)[0, 1] for each in (before, after))
    assert known > 0.8 > 0.6 > guessed
