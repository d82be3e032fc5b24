"""SDR to HDR conversion by the networks of four papers, as composable VapourSynth filters.

`import vs_hdrtv` is light: the filters, and vapoursynth with them, are imported when one of them is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Before torch is loaded: its threads on the CPU (OpenMP) spin while they wait for each other, and where decoders, encoders or
# another conversion share the cores they spin while the one that they wait for cannot run. A setting of the user's stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from .filters import (
        align,
        align_reference,
        blend,
        detect_letterbox,
        enhance,
        estimate_flow,
        feature_map,
        generate_overexposed,
        grade,
        inverse_tone_map,
        light_level,
        limit,
        merge_highlights,
        modulate,
        overexposure_mask,
        predict_kernels,
        propagate_keyframes,
        recover_keyframes,
        to_hdr10,
        to_hlg,
    )
    from .presets import sdr_to_hdr

__version__ = "0.1.0"

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
    "sdr_to_hdr",
    "to_hdr10",
    "to_hlg",
]


def __getattr__(name: str) -> Any:
    if name == "sdr_to_hdr":
        from . import presets

        return presets.sdr_to_hdr
    if name in __all__:
        from . import filters

        return getattr(filters, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
