"""The main job without a front: presets, a colourist's controls, and the chain of stages that they make."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from . import stages
from .color.grading import Area
from .color.transfer import PQ_PEAK, REFERENCE_WHITE
from .errors import InputError
from .keyframes.stages import merge_highlights
from .letterbox import Letterbox
from .stages import Stage
from .weights import find_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """What `sdr_to_hdr` chains: a network, then one for over-exposure, or a formula; the cd/m2 that SDR white becomes at most.

    `icam` and `fcpm` recover and propagate key frames, whose highlights are then merged in.
    """

    model: str | None = None
    overexposed: str | None = None
    icam: str | None = None
    fcpm: str | None = None
    method: str | None = None
    peak: float = stages.MASTER_PEAK

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it needs."""
        return tuple(name for name in (self.model, self.overexposed, self.icam, self.fcpm) if name is not None)


PRESETS: dict[str, Preset] = {
    "fast": Preset(model="hdcfm"),
    "kernels": Preset(model="kpn_mfi"),
    "recover": Preset(model="hdcfm", icam="icam", fcpm="fcpm"),
    "bt2446a": Preset(method="bt2446a"),
    "bt2446c": Preset(method="bt2446c", peak=333.0),  # 332.6: BT.2446-1, table 7
    "bt2408": Preset(method="bt2408", peak=REFERENCE_WHITE),
}
"""`fast` is HDCFM, `kernels` KPN-MFI, `recover` HDCFM and the key frames of VITM-TC; the others are the analytic baselines."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a shot may have of its own (`shots.PARAMETERS`); see `presets.sdr_to_hdr`."""

    preset: str = "fast"
    model: str | os.PathLike[str] | None = None
    strength: float = 1.0
    reference_white: float = REFERENCE_WHITE
    highlight_gain: float = 1.0
    saturation: float = 1.0
    ceiling: float | None = None
    letterbox: Letterbox | None = None


def chain(look: Look, steady: int = 0, areas: Sequence[Area] = ()) -> tuple[list[Stage], float]:
    """The stages of a conversion, in their order: each reads `sdr`, the source, and `hdr`, what the one before it wrote.

    One that merges highlights also reads `linear`, the propagated key frames of the source, which only a front can make.

    Args:
        look: preset and controls; what is left at its default adds no stage.
        steady: see `stages.feature_map`.
        areas: where `look.ceiling` holds; empty for the whole picture.

    Returns:
        The stages, and the cd/m2 that their result reaches: `source_peak` of `stages.to_hdr10` and `stages.to_hlg`.

    Raises:
        InputError: the preset or the model is unknown, both are given where the preset is a formula, or a value is out of range.
    """
    if look.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"sdr_to_hdr: unknown preset {look.preset!r}; choose one of {known}, or give a network as model=")
    preset = PRESETS[look.preset]
    if look.model is not None and preset.model is None:
        raise InputError(f"sdr_to_hdr: preset {look.preset} is a formula and has no network; leave out model, or the preset")
    network = preset.model if look.model is None else look.model
    if look.strength == 0:
        preset, network = PRESETS["bt2408"], None
    if network is not None:
        found = [stages.feature_map(find_model(network), look.letterbox, steady)]
    else:
        found = [stages.inverse_tone_map(preset.method or "")]
        if steady:
            logger.warning("sdr_to_hdr: steady=%d changes nothing here: a formula measures no frame", steady)
    if preset.overexposed is not None:
        found.append(stages.generate_overexposed(find_model(preset.overexposed), look.letterbox, steady))
    if preset.fcpm is not None:
        found.append(merge_highlights())
    if look.strength not in (0, 1):
        found.append(stages.blend(look.strength))
    grading = (look.reference_white, look.highlight_gain, look.saturation)
    if grading != (REFERENCE_WHITE, 1, 1):
        found.append(stages.grade(*grading))
    brightest = stages.MASTER_PEAK if network is not None else max(preset.peak, REFERENCE_WHITE)
    peak = min(max(stages.graded_peak(look.reference_white, look.highlight_gain, brightest), 100.0), PQ_PEAK)
    if look.ceiling is not None:
        found.append(stages.limit(look.ceiling, areas, peak, masked=False))
    return found, peak
