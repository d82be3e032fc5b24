"""The VapourSynth filters: one public function a stage, argument checks, one line for every error.

Each takes a clip first and returns a complete, ordinary clip. Applied one after another they are fused into one filter
(`graph`). Errors are `vapoursynth.Error`: `"feature_map: clip is interlaced (_FieldBased=2); deinterlace it first, ..."`.
"""

from __future__ import annotations

from .. import engines

engines.preload()

from .controls import blend, grade, limit  # noqa: E402  # after what has to be loaded before VapourSynth's plug-ins
from .key_frames import (  # noqa: E402
    align_reference,
    estimate_flow,
    merge_highlights,
    propagate_keyframes,
    recover_keyframes,
)
from .mapping import feature_map, inverse_tone_map, predict_kernels  # noqa: E402
from .multi_frame import align, enhance, modulate  # noqa: E402
from .output import detect_letterbox, light_level, to_hdr10, to_hlg  # noqa: E402
from .overexposed import generate_overexposed, overexposure_mask  # noqa: E402

__all__ = [
    "align",
    "align_reference",
    "blend",
    "detect_letterbox",
    "enhance",
    "estimate_flow",
    "feature_map",
    "generate_overexposed",
    "grade",
    "inverse_tone_map",
    "light_level",
    "limit",
    "merge_highlights",
    "modulate",
    "overexposure_mask",
    "predict_kernels",
    "propagate_keyframes",
    "recover_keyframes",
    "to_hdr10",
    "to_hlg",
]
