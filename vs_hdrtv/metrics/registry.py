"""Every measure by name: what it is of, its unit, which way is better, and what it needs."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from . import conversion, difference, octave, overexposed, perceptual, similarity, temporal

Kind = Literal["picture", "clip", "either", "method"]


@dataclass(frozen=True)
class Metric:
    """A measure.

    Attributes:
        name: key of `METRICS`.
        title: for people.
        unit: of its values, empty where they have none.
        higher_is_better: which way is better.
        kind: what `function` takes: `picture`: (result, reference), (3, H, W) each, of a clip frame by frame; `clip`: (result,
            reference, rate=frames a second), (N, 3, H, W) each; `either`: both of these; `method`: the conversion itself.
        function: gives the value; imports what it needs when it is called.
        needs: packages of the extra `metrics` that it imports.
        matched: it is taken after `difference.exposure_match`.
        masked: `function` takes the mask of what is over-exposed in SDR after the reference, and gives NaN where that is nothing.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    kind: Kind
    function: Callable[..., float]
    needs: tuple[str, ...] = ()
    matched: bool = False
    masked: bool = False

    @property
    def column(self) -> str:
        """Its column in CSV and JSON."""
        return f"{self.name}_{self.unit.lower()}" if self.unit in ("dB", "JOD") else self.name

    @property
    def heading(self) -> str:
        """Its column for people: title, unit, and an arrow towards better."""
        return f"{self.title}{f', {self.unit}' if self.unit else ''} {'↑' if self.higher_is_better else '↓'}"


_PLAIN = (
    Metric("psnr", "PSNR of PQ", "dB", True, "picture", difference.psnr),
    Metric("delta_e_itp", "dE_ITP", "", False, "picture", difference.delta_e_itp),
    Metric("ssim", "SSIM of PQ", "", True, "picture", similarity.ssim, ("torch", "piq")),
    Metric("sr_sim", "SR-SIM of PQ", "", True, "picture", similarity.sr_sim, ("torch", "piq")),
    Metric("pu21_psnr", "PU21-PSNR", "dB", True, "picture", perceptual.pu21_psnr),
    Metric("pu21_ssim", "PU21-SSIM", "", True, "picture", perceptual.pu21_ssim, ("torch", "piq")),
    Metric("cvvdp", "ColorVideoVDP", "JOD", True, "either", perceptual.color_video_vdp, ("torch", "pycvvdp")),
    Metric("hdr_vdp_3", "HDR-VDP-3", "", True, "picture", octave.hdr_vdp_3),
)
_OTHERS = (
    Metric("hdr_vqm", "HDR-VQM", "", False, "clip", octave.hdr_vqm),
    Metric("mabd", "MABD", "", False, "clip", temporal.mabd),
    Metric("flicker", "flicker where still", "10-bit codes", False, "clip", temporal.flicker),
    Metric("flicker_detrended", "flicker where still, without drift", "10-bit codes", False, "clip", temporal.flicker_detrended),
    Metric("hue_shift", "hue shift of memory colours", "degrees", False, "method", conversion.hue_shift),
    Metric("banding", "banding on a ramp", "10-bit codes", False, "method", conversion.banding),
    Metric("banding_ratio", "banding relative to BT.2408", "", False, "method", conversion.banding_ratio),
)
_MATCHED = tuple(
    replace(metric, name=f"{metric.name}_matched", title=f"{metric.title}, exposure-matched", matched=True) for metric in _PLAIN
)

_MASKED = tuple(
    replace(metric, name=f"{metric.name}_overexposed", title=f"{metric.title} where over-exposed", masked=True)
    for metric in (
        Metric("psnr", "PSNR of PQ", "dB", True, "picture", overexposed.psnr),
        Metric("pu21_psnr", "PU21-PSNR", "dB", True, "picture", overexposed.pu21_psnr),
        Metric("delta_e_itp", "dE_ITP", "", False, "picture", overexposed.delta_e_itp),
        Metric("mdsi", "MDSI", "", False, "picture", overexposed.mdsi, ("torch", "piq")),
        Metric("cvvdp", "ColorVideoVDP", "JOD", True, "either", overexposed.vdp, ("torch", "pycvvdp")),
        Metric("features", "feature distance", "", False, "picture", overexposed.features, ("torch", "torchvision")),
    )
)
_SHARE = Metric("overexposed_share", "over-exposed pixels", "%", False, "picture", overexposed.share, masked=True)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (*_PLAIN, *_MATCHED, *_MASKED, _SHARE, *_OTHERS)}
"""Name -> measure. `NAME_matched` is NAME after one gain on linear light has taken exposure out of it; `NAME_overexposed` is of
what is over-exposed in SDR alone (`overexposed`)."""

PAIRS = ("psnr", "delta_e_itp", "psnr_matched", "delta_e_itp_matched")
"""Of every pair, in one table."""

DEFAULT = (*PAIRS, "hue_shift", "banding_ratio")

TEMPORAL = ("mabd", "flicker")
"""Measured beside `DEFAULT` where there are clips."""

OVEREXPOSED = ("psnr_overexposed", "delta_e_itp_overexposed", "mdsi_overexposed", "cvvdp_overexposed", "overexposed_share")
"""Measured beside `DEFAULT` where a chain has a second stage."""

NETWORK = "features_overexposed"
"""The measure that needs a network of the user's."""


def choose(
    names: Iterable[str], folders: Mapping[str, Path | None] | None = None, network: Callable[..., Any] | None = None
) -> list[Metric]:
    """The measures of these names, ready to be called: what they need is there.

    Args:
        names: keys of `METRICS`; doubled ones count once.
        folders: key of `octave.CODE` -> folder of that code.
        network: that `NETWORK` compares features of (`training.perceptual.load`).

    Raises:
        InputError: a name is unknown, or a measure needs what is not installed.
    """
    chosen = []
    for name in dict.fromkeys(names):
        metric = METRICS.get(name)
        if metric is None:
            raise InputError(f"metrics: unknown metric {name!r}; choose from {', '.join(METRICS)}")
        missing = [package for package in metric.needs if importlib.util.find_spec(package) is None]
        if missing:
            raise InputError(f"metrics: {name} needs {' and '.join(missing)}; pip install 'vs-hdrtv[metrics]'")
        code = name.removesuffix("_matched")
        if code in octave.CODE:
            octave.find_program(code)
            metric = replace(metric, function=partial(metric.function, folder=octave.find_code(code, (folders or {}).get(code))))
        if name == NETWORK:
            if network is None:
                raise InputError(f"metrics: {name} needs a network; give --perceptual efficientnet_lite0, or NETWORK=FILE")
            metric = replace(metric, function=partial(metric.function, network=network))
        chosen.append(metric)
    if not chosen:
        raise InputError(f"metrics: there is none to measure; choose from {', '.join(METRICS)}")
    return chosen


def measure(metrics: list[Metric], hdr: Any, reference: Any, rate: float | None = None, sdr: Any = None) -> dict[str, float]:
    """Values by name of the measures that apply: a single frame has no MABD, and what is of the method alone is left out.

    Args:
        metrics: of `choose`.
        hdr: (3, H, W), or (N, 3, H, W) of a clip.
        reference: the same.
        rate: frames a second of a clip, None for a picture.
        sdr: the same; without it, masked measures do not apply.
    """
    versions: dict[bool, Any] = {False: hdr}
    if any(metric.matched for metric in metrics):
        versions[True] = difference.exposure_match(hdr, reference)
    inside = None if sdr is None else overexposed.mask(sdr)
    is_clip = rate is not None and len(hdr) > 1
    found: dict[str, float] = {}
    for metric in metrics:
        if metric.kind == "method" or (metric.kind == "clip" and not is_clip) or (metric.masked and inside is None):
            continue
        pictures = (versions[metric.matched], reference, *((inside,) if metric.masked else ()))
        if rate is None:
            found[metric.name] = metric.function(*pictures)
        elif metric.kind == "picture":
            found[metric.name] = _mean([metric.function(*frames) for frames in zip(*pictures, strict=True)])
        else:
            found[metric.name] = metric.function(*pictures, rate=rate)
    return found


def _mean(values: list[float]) -> float:
    """Mean of those that are numbers; a frame with nothing over-exposed counts in no mean."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else math.nan
