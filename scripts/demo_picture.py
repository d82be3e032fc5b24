"""Draw what a conversion did to one frame: `python scripts/demo_picture.py in.mkv out.mp4 picture.png --start 0`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_hdrtv import scope
from vs_hdrtv.color import transfer
from vs_hdrtv.errors import InputError
from vs_hdrtv.sources import open_source, read_planes


def main() -> int:
    """Draw the middle frame of the result beside the frame of the source that it was made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="the SDR video")
    parser.add_argument("result", help="its HDR conversion, PQ or HLG")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--start", type=int, default=0, help="frame of the source that the result begins with")
    arguments = parser.parse_args()
    # What is assumed of an untagged source was said when it was converted.
    logging.getLogger("vs_hdrtv").setLevel(logging.ERROR)
    try:
        source, result = _open(arguments.source), _open(arguments.result)
        middle = result.num_frames // 2
        frame = arguments.start + middle
        if not 0 <= frame < source.num_frames:
            raise InputError(f"demo_picture: frame {frame} is past the {source.num_frames} of the source; mend --start")
        planes = open_source("demo_picture", source, "sdr").planes
        sdr = read_planes(planes.get_frame(frame))[0]
        hdr = _hdr(result, middle)
        # An odd side is made even for 4:2:0 by repeating its last line.
        hdr = hdr[:, : sdr.shape[1], : sdr.shape[2]]
        picture = scope.figure(sdr, hdr, f"{Path(arguments.source).name}, frame {frame}")
        picture.save(arguments.picture, format="PNG")
    except (InputError, vs.Error, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Wrote {arguments.picture}")
    return 0


def _open(path: str) -> vs.VideoNode:
    # cachemode 0: no index file is left beside the video or anywhere else.
    clip: vs.VideoNode = vs.core.bs.VideoSource(path, cachemode=0)
    return clip


def _hdr(clip: vs.VideoNode, frame: int) -> NDArray[np.float32]:
    """(3, H, W) PQ signal, BT.2020."""
    if clip.get_frame(frame).props.get("_Transfer") != vs.TRANSFER_ARIB_B67:
        return read_planes(open_source("demo_picture", clip, "hdr").planes.get_frame(frame))[0]
    signal = read_planes(clip.resize.Bicubic(format=vs.RGBS).get_frame(frame))[0]
    light = transfer.hlg_ootf(transfer.hlg_inverse_oetf(np.clip(signal, 0, 1)))
    return np.asarray(transfer.pq_inverse_eotf(light))


if __name__ == "__main__":
    sys.exit(main())
