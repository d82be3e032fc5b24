"""Where the package is that the nodes are a front of, and the only module that knows it.

In a clone these files lie in `nodes/` beside the package `vs_hdrtv`; in a wheel they lie in it, as `vs_hdrtv/nodes/`. ComfyUI
loads a clone under a name of its own, so that the package is never simply `vs_hdrtv` there.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

_ABOVE = (__package__ or "").rpartition(".")[0]
_CLONED = _ABOVE and find_spec(f"{_ABOVE}.vs_hdrtv") is not None
NAME = f"{_ABOVE}.vs_hdrtv" if _CLONED else _ABOVE or "vs_hdrtv"
"""The package's name here."""

if TYPE_CHECKING:
    from vs_hdrtv import conversion, engines, hdr10, light, media, output, pipeline, scenes, stages, tiling, weights
    from vs_hdrtv.color import arrays, gamut, overexposure, planes, tone_curves, transfer
    from vs_hdrtv.errors import InputError
    from vs_hdrtv.keyframes import grid, reading
    from vs_hdrtv.keyframes import stages as keyframe_stages
    from vs_hdrtv.keyframes.propagation import Propagation
    from vs_hdrtv.keyframes.recovery import Recovery
    from vs_hdrtv.letterbox import Letterbox, detect_in
    from vs_hdrtv.metrics import difference
    from vs_hdrtv.metrics import registry as metrics
    from vs_hdrtv.output import companions
    from vs_hdrtv.scope import measure, report, sheet
else:
    conversion, engines, hdr10, light, media, output, pipeline, scenes, stages, tiling, weights = (
        import_module(f"{NAME}.{name}")
        for name in (
            *("conversion", "engines", "hdr10", "light", "media"),
            *("output", "pipeline", "scenes", "stages", "tiling", "weights"),
        )
    )
    arrays, gamut, overexposure, planes, tone_curves, transfer = (
        import_module(f"{NAME}.color.{name}") for name in ("arrays", "gamut", "overexposure", "planes", "tone_curves", "transfer")
    )
    InputError = import_module(f"{NAME}.errors").InputError
    grid, reading, keyframe_stages = (import_module(f"{NAME}.keyframes.{name}") for name in ("grid", "reading", "stages"))
    Propagation = import_module(f"{NAME}.keyframes.propagation").Propagation
    Recovery = import_module(f"{NAME}.keyframes.recovery").Recovery
    Letterbox, detect_in = (getattr(import_module(f"{NAME}.letterbox"), name) for name in ("Letterbox", "detect_in"))
    difference, metrics = (import_module(f"{NAME}.metrics.{name}") for name in ("difference", "registry"))
    companions = import_module(f"{NAME}.output.companions")
    measure, report, sheet = (import_module(f"{NAME}.scope.{name}") for name in ("measure", "report", "sheet"))

__all__ = [
    "NAME",
    "InputError",
    "Letterbox",
    "Propagation",
    "Recovery",
    "arrays",
    "companions",
    "conversion",
    "detect_in",
    "difference",
    "engines",
    "gamut",
    "grid",
    "hdr10",
    "keyframe_stages",
    "light",
    "measure",
    "media",
    "metrics",
    "output",
    "overexposure",
    "pipeline",
    "planes",
    "reading",
    "report",
    "scenes",
    "sheet",
    "stages",
    "tiling",
    "tone_curves",
    "transfer",
    "weights",
]
