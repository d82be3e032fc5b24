"""The papers' ablations: variants of a network, trained alike for a short time. As data: what varies, and the papers' numbers.

`scripts/ablation.py` trains and measures them. Every variant of a table sees the same pairs or clips for the same number of
steps, from the same seed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from .. import weights
from ..errors import InputError
from ..networks import registry
from ..networks.blocks import compile_for_training
from . import checkpoints, objectives, trainer
from .recipes import Recipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A row of a table.

    Attributes:
        label: of the row.
        folder: of its weights.
        paper: the paper's numbers by metric.
        arguments: of the network.
        recipe: fields in which its recipe differs.
        network: that is measured as it is, in place of one that is trained: `first_stage`, or empty.
    """

    label: str
    folder: str
    paper: Mapping[str, float]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    network: str = ""


@dataclass(frozen=True)
class Table:
    """An ablation.

    Attributes:
        recipe: that all variants are trained by; its `kind` says on what.
        metrics: that are measured. The papers' columns may be of others.
        variants: rows; the others are compared with the first.
        source: where the paper's columns come from.
    """

    recipe: str
    metrics: tuple[str, ...]
    variants: tuple[Variant, ...]
    source: str


_HDCFM = {"psnr": 38.42, "ssim": 0.9732, "delta_e_itp": 7.83}
"""He et al. 2022, Table 1, on the 117 pairs of HDRTV1K's test set."""

_HDCFM_GAINS = {"psnr": 1.54, "ssim": 0.0077, "delta_e_itp": -1.95}
"""Of the whole network over M0: section 4.2, "Ablation Study", in the text's digits."""


def _hdcfm(psnr: float, ssim: float, delta_e_itp: float) -> dict[str, float]:
    """The paper's numbers of a row from its differences to M0."""
    gains = {"psnr": psnr, "ssim": ssim, "delta_e_itp": delta_e_itp}
    return {name: _HDCFM[name] - _HDCFM_GAINS[name] + gain for name, gain in gains.items()}


def _dslnet(psnr: float, sr_sim: float, delta_e_itp: float) -> dict[str, float]:
    return {"psnr": psnr, "sr_sim": sr_sim, "delta_e_itp": delta_e_itp}


def _kpn_mfi(psnr: float, ssim: float, delta_e_itp: float, mabd: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": ssim, "delta_e_itp": delta_e_itp, "mabd": mabd}


def _vitm_tc(hdr_vqm: float) -> dict[str, float]:
    return {"hdr_vqm": hdr_vqm}


_GLOBAL = {"modulation": "global"}
_HDM_HDR = "HDM-HDR's clips, whose measure exists for MATLAB alone"

TABLES: Mapping[str, Table] = {
    "hdcfm": Table(
        "ablation",
        ("psnr", "ssim", "delta_e_itp", "psnr_matched", "ssim_matched", "delta_e_itp_matched"),
        (
            Variant("M0", "global", _hdcfm(0, 0, 0), {"transformation": False, "context": False} | _GLOBAL),
            Variant("M0 + M1", "transformation", _hdcfm(0.86, 0.005, -0.93), {"context": False} | _GLOBAL),
            Variant("M0 + M1 + M2", "context", _hdcfm(1.32, 0.007, -1.72), _GLOBAL),
            Variant("M1 + M2 + M3", "local", _hdcfm(1.38, 0.0074, -1.88), {"modulation": "local"}),
            Variant("M1 + M2 + M4 (HDCFM)", "hierarchical", _hdcfm(**_HDCFM_GAINS), {"modulation": "hierarchical"}),
        ),
        f"He et al., ACM Multimedia 2022. Its text states the differences (section 4.2) and HDCFM's own result (Table 1: "
        f"{_HDCFM['psnr']:.2f} dB, {_HDCFM['ssim']:.4f}, {_HDCFM['delta_e_itp']:.2f}); its other absolute numbers follow from "
        "these. HDRTV1K's test set after a million steps",
    ),
    "dslnet": Table(
        "ablation_dslnet",
        ("psnr", "sr_sim", "delta_e_itp", "mabd", "flicker"),
        (
            Variant("DSLNet", "whole", _dslnet(35.28, 0.9951, 11.13)),
            Variant("without alignment", "unaligned", _dslnet(34.28, 0.9935, 14.24), {"alignment": False}),
            Variant("without modulation", "unmodulated", _dslnet(33.36, 0.9925, 14.04), {"modulation": False}),
        ),
        "DSLNet, Tables 4 and 5, which have no measure of time. The authors' own test set",
    ),
    "kpn_mfi": Table(
        "ablation_kpn_mfi",
        ("psnr", "ssim", "delta_e_itp", "mabd", "flicker"),
        (
            Variant(
                "#1: neither",
                "alone",
                _kpn_mfi(34.9014, 0.9697, 12.3194, 0.0137),
                {"interaction": False},
                {"consistency": 0.0},
            ),
            Variant("#2: MFI", "interaction", _kpn_mfi(37.2804, 0.9811, 9.9622, 0.0123), {}, {"consistency": 0.0}),
            Variant("#3: MFI and consistency loss (KPN-MFI)", "whole", _kpn_mfi(37.7260, 0.9856, 9.1975, 0.0119)),
        ),
        "Cao et al., IJCAI 2022, Table 3; its MABD has another scale. The authors' own test set",
    ),
    "icam": Table(
        "ablation_icam",
        ("pu21_psnr_overexposed", "cvvdp_overexposed"),
        (
            Variant("without alignment", "unaligned", _vitm_tc(0.418), {"alignment": "none", "aggregation": False}),
            Variant("(a) pre-trained flow", "flow", _vitm_tc(0.396), {"alignment": "flow", "aggregation": False}),
            Variant("(b) corrected flow", "corrected", _vitm_tc(0.380), {"alignment": "corrected", "aggregation": False}),
            Variant("(c) guided deformable convolution", "guided", _vitm_tc(0.367), {"aggregation": False}),
            Variant("(d) global aggregation (ICAM)", "whole", _vitm_tc(0.356)),
        ),
        f"Ye et al., CVPR 2023, Table 2; each row has what the one before has. {_HDM_HDR}",
    ),
    "fcpm": Table(
        "ablation_fcpm",
        ("pu21_psnr_overexposed", "cvvdp_overexposed", "mabd"),
        (
            Variant("without FCPM: ICAM on every frame", "icam", _vitm_tc(0.383), network="first_stage"),
            Variant("warp", "warp", _vitm_tc(0.376), {"directions": ()}),
            Variant("forward", "forward", _vitm_tc(0.369), {"directions": ("forward",)}),
            Variant("backward", "backward", _vitm_tc(0.366), {"directions": ("backward",)}),
            Variant("both (FCPM)", "both", _vitm_tc(0.356)),
        ),
        f"Ye et al., CVPR 2023, Table 3. {_HDM_HDR}",
    ),
}
"""By the network's name: HDCFM's Table 2, DSLNet's Tables 4 and 5, KPN-MFI's Table 3, and VITM-TC's Tables 2 and 3."""

PAPERS: Mapping[str, tuple[str, ...]] = {"vitm_tc": ("icam", "fcpm")}
"""Papers of several tables."""


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """`recipe` of one phase with another number of steps, a tenth of them warm-up."""
    (phase,) = recipe.phases
    return dataclasses.replace(recipe, phases=(dataclasses.replace(phase, steps=steps),), warmup=steps // 10)


def begin(output: Path, data: Path, recipe: Recipe) -> None:
    """Note in `output` what all variants have in common.

    Raises:
        InputError: the folder's variants were trained otherwise.
    """
    wanted = {"data": str(data.resolve()), "recipe": checkpoints.identity("ablation", recipe)["fields"]}
    path = output / "budget.json"
    if not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != wanted:
        fields = found["recipe"]
        begun = f"{fields['model']}, {fields['phases'][0]['steps']} steps, seed {fields['seed']} and the data of {found['data']}"
        raise InputError(f"ablation: {output} was begun with {begun}; give the same recipe and data, or another --output")


def trained(
    variant: Variant, recipe: Recipe, data: Path, output: Path, device: torch.device, compiled: bool
) -> tuple[nn.Module, dict[str, Any]]:
    """A variant with its averaged weights on `device`, and what training it took; trained here if it was not before.

    Args:
        variant: row of a table.
        recipe: of the table, with the budget's steps.
        data: as for `trainer.train`.
        output: folder of the table.
        device: that it is trained on.
        compiled: as for `trainer.train`.

    Raises:
        InputError: see `trainer.train`.
    """
    if variant.network:
        card = weights.find(getattr(recipe, variant.network))
        network = weights.load_network(card)
        count = sum(parameter.numel() for parameter in network.parameters())
        return network.to(device).eval(), {"parameters": count, "steps": 0, "seconds": 0.0, "device": "no training"}
    recipe = dataclasses.replace(recipe, **variant.recipe)
    folder = output / variant.folder
    finished = folder / "trained.json"
    torch.manual_seed(recipe.seed)
    network = registry.create(recipe.model, **{**recipe.arguments, **variant.arguments})
    if not finished.exists():
        logger.info("%s: %s", variant.label, folder)
        folder.mkdir(exist_ok=True)
        clock = _Clock(folder / "seconds.json")
        try:
            trainer.train(
                network,
                recipe,
                data,
                folder,
                objective=objectives.create(recipe),
                compiled=compiled,
                options=trainer.Options(name="ablation", device=device),
            )
        finally:
            clock.stop()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        where = str(device) if device.type != "cpu" else f"{torch.get_num_threads()} CPU threads"
        facts = {"parameters": parameters, "steps": recipe.steps, "seconds": clock.seconds, "device": where}
        finished.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    network.load_state_dict(load_file(folder / "average.safetensors"))
    if compiled:
        compile_for_training(network)
    return network.to(device).eval(), json.loads(finished.read_text(encoding="utf-8"))


class _Clock:
    """Seconds of a training, of all its parts where it was interrupted."""

    def __init__(self, path: Path) -> None:
        self._path, self._start = path, time.monotonic()
        self._before: float = json.loads(path.read_text(encoding="utf-8")) if path.exists() else 0.0

    @property
    def seconds(self) -> float:
        """Until now."""
        return round(self._before + time.monotonic() - self._start, 1)

    def stop(self) -> None:
        """Keep them."""
        self._path.write_text(json.dumps(self.seconds), encoding="utf-8")
