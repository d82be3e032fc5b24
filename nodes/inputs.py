"""Sockets and widgets that several nodes have."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import clips, host, key_frame_clips
from .core import conversion, stages, tone_curves, transfer
from .images import HDR_SPACES, SDR_SPACES

Aligned = io.Custom("VSHDRTV_ALIGNED")
"""Features of Align; two kinds, so that no wire can skip a stage."""
Modulated = io.Custom("VSHDRTV_MODULATED")
"""Features of Modulate."""

KeyFrames = io.Custom("VSHDRTV_KEY_FRAMES")
"""Recovered key frames with their numbers, scenes and models: `key_frame_clips.KeyFrames`."""
Flow = io.Custom("VSHDRTV_FLOW")
"""Optical flow in pixels, a tensor (B, 2, H, W)."""

CATEGORY = "HDR"


def sdr_images(alpha: bool = True) -> Any:
    """Pictures to convert; `alpha`: the result has their alpha channel."""
    kept = " An alpha channel is kept." if alpha else ""
    return io.Image.Input("images", tooltip=f"SDR pictures, or the frames of one video in their order.{kept}")


def hdr_images(name: str = "images") -> Any:
    """Converted pictures."""
    return io.Image.Input(name, tooltip="HDR pictures, of the nodes of this package or in one of ComfyUI's HDR colour spaces.")


def sdr_space() -> Any:
    """What SDR pictures are coded as."""
    return io.Combo.Input(
        "color_space",
        options=list(SDR_SPACES),
        default="sRGB",
        tooltip="What the pictures are: sRGB (photos, generated pictures), BT.1886 (frames of an SDR video), "
        "linear (light, white at 1.0). They are brought to the stage's signal with their light preserved.",
    )


def hdr_space(name: str = "color_space") -> Any:
    """What HDR pictures are coded as."""
    return io.Combo.Input(
        name,
        options=list(HDR_SPACES),
        default="HDR PQ",
        tooltip="What the pictures are: HDR PQ (BT.2020; what this package's nodes give), HDR (BT.2020 HLG), "
        "linear (BT.709 light, 1.0 = 203 cd/m2).",
    )


def scene_cuts() -> Any:
    """Where scenes begin."""
    return io.Combo.Input(
        "scenes",
        options=list(clips.SCENES),
        default="auto",
        tooltip="Networks of several frames never read over a scene cut. auto finds the cuts; none takes the batch for one "
        "scene.",
    )


def steady() -> Any:
    """Frames whose statistics are averaged."""
    return io.Int.Input(
        "steady",
        default=0,
        min=0,
        max=stages.MAX_STEADY,
        tooltip="k: what the network measures of a whole frame is averaged over the k frames before and the k after it, "
        "inside the "
        "scene. Takes pumping out of a video and about twice the time. 0 for single pictures.",
    )


def precision() -> Any:
    """Of the network."""
    return io.Combo.Input(
        "precision",
        options=["fp32", "fp16"],
        default="fp32",
        tooltip="fp16 halves memory and is faster on a GPU; a CPU always computes fp32.",
    )


def model(default: str, network: str | None = None, reads: tuple[str, ...] | None = None) -> Any:
    """A model to choose."""
    names = host.model_names(network, reads)
    return io.Combo.Input(
        "model",
        options=names or [default],
        default=default if default in names else None,
        tooltip=f"The network's weights: shipped ones, and model cards (.toml) in models/{host.MODELS}.",
    )


def flow() -> Any:
    """What optical flow is started from."""
    return io.Combo.Input(
        "flow",
        options=[key_frame_clips.DIS, *host.model_names("flow")],
        default=key_frame_clips.DIS,
        tooltip="The optical flow that is started from: dis, which is OpenCV's (pip install opencv-python-headless), or a "
        "network.",
    )


def preset() -> Any:
    """What converts."""
    return io.Combo.Input(
        "preset",
        options=list(conversion.PRESETS),
        default="fast",
        tooltip="fast: HDCFM, a small network for any machine. kernels: KPN-MFI, three frames at a time. recover: HDCFM, and "
        "what is blown out from frames of its scene where it is not; much slower, and needs OpenCV. "
        "bt2446a, bt2446c, bt2408: published formulas, without a network.",
    )


def method() -> Any:
    """A formula."""
    return io.Combo.Input(
        "method",
        options=list(tone_curves.INVERSE_TONE_MAPS),
        default="bt2446a",
        tooltip="bt2446a: method A of BT.2446, white to 1000 cd/m2. bt2446c: method C, white to 333 cd/m2. "
        "bt2408: nothing expands, white stays at 203 cd/m2.",
    )


def look() -> list[Any]:
    """A colourist's controls, which leave the picture alone at their defaults."""
    return [
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How much of the conversion's look: 1 all of it, 0 the plain BT.2408 mapping, which expands nothing.",
        ),
        io.Float.Input(
            "reference_white",
            default=transfer.REFERENCE_WHITE,
            min=48.0,
            max=1000.0,
            step=1.0,
            tooltip="cd/m2 at which diffuse white (paper, subtitles) stands; all light moves with it. 203 is BT.2408's.",
        ),
        io.Float.Input(
            "highlight_gain",
            default=1.0,
            min=0.0,
            max=4.0,
            step=0.05,
            tooltip="Of light above reference white, growing smoothly from there: 2 makes lamps and glints up to twice as "
            "bright.",
        ),
        io.Float.Input(
            "saturation",
            default=1.0,
            min=0.0,
            max=4.0,
            step=0.05,
            tooltip="Of colour: 0 is grey, 1 changes nothing.",
        ),
    ]


def ceiling() -> list[Any]:
    """For subtitles, logos and titles; and black bars. Last, as workflows keep widgets by their places."""
    return [
        io.Float.Input(
            "ceiling",
            default=0.0,
            min=0.0,
            max=transfer.PQ_PEAK,
            step=1.0,
            tooltip="cd/m2 that nothing exceeds where ceiling_mask is white (everywhere without one): 203 keeps burnt-in "
            "subtitles, logos and titles at paper white. 0 for none.",
        ),
        io.String.Input(
            "letterbox",
            default="none",
            tooltip="Black bars, which a network must not take for a dark picture: none, auto (found; not for videos), or their "
            "pixels as TOP,BOTTOM or TOP,BOTTOM,LEFT,RIGHT.",
        ),
        io.Mask.Input(
            "ceiling_mask",
            optional=True,
            tooltip="Where the ceiling holds: one for each frame, or one for all. Of the size of the pictures.",
        ),
    ]


def peak(name: str = "peak", tooltip: str = "") -> Any:
    """A display's peak."""
    return io.Float.Input(
        name,
        default=stages.MASTER_PEAK,
        min=100.0,
        max=transfer.PQ_PEAK,
        step=1.0,
        tooltip=tooltip or "cd/m2 of the mastering display: nothing in the file is brighter.",
    )
