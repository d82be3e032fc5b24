"""Draw what a conversion did to one frame: `python scripts/demo_picture.py in.mkv out.mp4 picture.png --start 0`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import vapoursynth as vs

from vs_hdrtv import media
from vs_hdrtv.engines import preload
from vs_hdrtv.errors import InputError
from vs_hdrtv.scope import figure
from vs_hdrtv.scope.read import open_video
from vs_hdrtv.sources import open_source, read_planes

NAME = "demo_picture"


def main() -> int:
    """Draw the middle frame of the result beside the frame of the source that it was made from."""
    preload()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="the SDR video")
    parser.add_argument("result", help="its HDR conversion, PQ or HLG")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--start", type=int, default=0, help="frame of the source that the result begins with")
    arguments = parser.parse_args()
    # What is assumed of an untagged source was said when it was converted.
    logging.getLogger("vs_hdrtv").setLevel(logging.ERROR)
    try:
        source = media.open_source(Path(arguments.source), NAME).clip
        result = open_video(Path(arguments.result), NAME)
        middle = result.frames // 2
        frame = arguments.start + middle
        if not 0 <= frame < source.num_frames:
            raise InputError(f"{NAME}: frame {frame} is past the {source.num_frames} of the source; mend --start")
        sdr = read_planes(open_source(NAME, source, "sdr").planes.get_frame(frame))[0]
        # An odd side is made even for 4:2:0 by repeating its last line.
        hdr = result.picture(middle)[0][:, : sdr.shape[1], : sdr.shape[2]]
        picture = figure(sdr, hdr, f"{Path(arguments.source).name}, frame {frame}")
        picture.save(arguments.picture, format="PNG")
    except (InputError, vs.Error, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Wrote {arguments.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
