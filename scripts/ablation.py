"""HDCFM's ablation (He et al., ACM Multimedia 2022, Table 2): five variants, trained alike for a short time and measured.

    python scripts/ablation.py --data DATA --output runs/ablation

Every variant sees the same pairs for the same number of steps, from the same seed. The same line again goes on where it was
stopped; what is trained is not trained again. The tables go to standard output and, with every pair's numbers, into OUTPUT.

What a row has, from the paper's section 4.2, where M3 is "local instead of global feature modulation":

    M0  global feature modulation: the three stages are plain 1x1 convolutions, each modulated by the frame's vector
    M1  local feature transformation: the five DDFs beside the convolutions
    M2  context convolution: the five context blocks
    M3  local feature modulation in place of the global one, in all three places
    M4  hierarchical modulation: global and local, which is the published network
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import registry as metrics
from vs_hdrtv.metrics import samples
from vs_hdrtv.metrics.results import Results, check_numbers
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.blocks import compile_for_training
from vs_hdrtv.training import devices, recipes, trainer

PAPER = {"psnr": 38.42, "ssim": 0.9732, "delta_e_itp": 7.83}
"""HDCFM in the paper's Table 1, on the 117 pairs of HDRTV1K's test set."""


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
        label: of the row.
        folder: below --output.
        arguments: of the network.
        gains: over M0 in the paper by metric: section 4.2, "Ablation Study", in the text's digits.
    """

    label: str
    folder: str
    arguments: Mapping[str, Any]
    gains: Mapping[str, float]


def _gains(psnr: float, ssim: float, delta_e_itp: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": ssim, "delta_e_itp": delta_e_itp}


VARIANTS = (
    Variant("M0", "global", {"transformation": False, "context": False, "modulation": "global"}, _gains(0, 0, 0)),
    Variant("M0 + M1", "transformation", {"context": False, "modulation": "global"}, _gains(0.86, 0.005, -0.93)),
    Variant("M0 + M1 + M2", "context", {"modulation": "global"}, _gains(1.32, 0.007, -1.72)),
    Variant("M1 + M2 + M3", "local", {"modulation": "local"}, _gains(1.38, 0.0074, -1.88)),
    Variant("M1 + M2 + M4 (HDCFM)", "hierarchical", {"modulation": "hierarchical"}, _gains(1.54, 0.0077, -1.95)),
)

METRICS = ("psnr", "ssim", "delta_e_itp", "psnr_matched", "ssim_matched", "delta_e_itp_matched")
DIGITS = {"psnr": 2, "ssim": 4, "delta_e_itp": 2}
SETS = tuple(reversed(samples.SPLITS.items()))
"""Split and the name of its set: validation, then test."""

NOTE = f"""\
In brackets: difference from M0. The paper's columns: its text states the differences (section 4.2) and HDCFM's own result
(Table 1: {PAPER["psnr"]:.2f} dB, {PAPER["ssim"]:.4f}, {PAPER["delta_e_itp"]:.2f}); its other absolute numbers follow from these.
They are of HDRTV1K's test set after a million steps: compare the order of the rows, not the numbers.
"""


def main(argv: list[str] | None = None) -> None:
    """Train what is not trained yet, measure all, write the tables."""
    budget = recipes.load("ablation")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, curves and tables; what is there goes on")
    parser.add_argument("--steps", type=int, default=budget.steps, help="of each variant (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of a measured view in pixels, even (default: %(default)s)")
    parser.add_argument("--views", type=int, default=2, help="measured views of each scene (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="no more than N pairs of each set, for a quick look")
    parser.add_argument("--eager", action="store_true", help="do not compile: slower, but needs no C++ compiler")
    arguments = parser.parse_args(argv)
    least = {"steps": 1, "threads": 1, "size": 32, "views": 1, "limit": 1}
    check_numbers([(f"--{name}", getattr(arguments, name), low) for name, low in least.items()])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    device = devices.choose(arguments.device)
    arguments.eager |= device.type == "mps"  # as scripts/train.py has it
    chosen = metrics.choose(METRICS)
    items = list(held_out(arguments))  # before hours of training: they may not be there
    recipe = with_steps(budget, arguments.steps)
    begin(arguments, recipe)

    networks, facts = {}, {}
    for variant in VARIANTS:
        networks[variant.label], facts[variant.label] = trained(variant, recipe, arguments, device)
    results = measure(chosen, items, networks, device)
    text = report(results, facts, recipe)
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    results.write_csv(arguments.output / "results.csv")
    paper = {variant.label: {name: PAPER[name] + gain for name, gain in paper_gains(variant)} for variant in VARIANTS}
    measured_on = {name: getattr(arguments, name) for name in ("size", "views", "limit")}
    settings = {
        "recipe": dataclasses.asdict(recipe),
        "variants": facts,
        "paper": paper,
        "data": str(arguments.data),
        **measured_on,
    }
    results.write_json(arguments.output / "results.json", settings)
    sys.stdout.write(text)


def held_out(arguments: argparse.Namespace) -> Iterator[samples.Item]:
    """Pairs by seen operators from scenes of the validation and the test split."""
    views = samples.Views(arguments.size, arguments.views)
    for split, group in SETS:
        items = [item for item in samples.of_data(arguments.data, split, views) if item.group == group]
        yield from samples.limited(items, arguments.limit)


def with_steps(recipe: recipes.Recipe, steps: int) -> recipes.Recipe:
    """`recipe` of one phase with another number of steps, a tenth of them warm-up."""
    (phase,) = recipe.phases
    return dataclasses.replace(recipe, phases=(dataclasses.replace(phase, steps=steps),), warmup=steps // 10)


def begin(arguments: argparse.Namespace, recipe: recipes.Recipe) -> None:
    """Note what all variants have in common.

    Raises:
        InputError: the folder's variants were trained otherwise.
    """
    common = {"data": str(arguments.data.resolve()), "recipe": dataclasses.asdict(recipe)}
    wanted = json.loads(json.dumps(common))
    path = arguments.output / "budget.json"
    if not path.exists():
        arguments.output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != wanted:
        steps, seed = found["recipe"]["phases"][0]["steps"], found["recipe"]["seed"]
        begun = f"{steps} steps, seed {seed} and the pairs of {found['data']}"
        raise InputError(
            f"ablation: {arguments.output} was begun with {begun}; give the same recipe and data, or another --output"
        )


def trained(
    variant: Variant, recipe: recipes.Recipe, arguments: argparse.Namespace, device: torch.device
) -> tuple[nn.Module, dict[str, Any]]:
    """A variant with its averaged weights, and what training it took; trained here if it was not before."""
    folder = arguments.output / variant.folder
    finished = folder / "trained.json"
    torch.manual_seed(recipe.seed)
    network = registry.create(recipe.model, dropout=recipe.dropout, **variant.arguments)
    if not finished.exists():
        logging.info("%s: %s", variant.label, variant.folder)
        folder.mkdir(exist_ok=True)
        clock = _Clock(folder / "seconds.json")
        try:
            options = trainer.Options(name="ablation", device=device)
            trainer.train(network, recipe, arguments.data, folder, compiled=not arguments.eager, options=options)
        finally:
            clock.stop()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        where = str(device) if device.type != "cpu" else f"{arguments.threads} CPU threads"
        facts = {"parameters": parameters, "steps": recipe.steps, "seconds": clock.seconds, "device": where}
        finished.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    network.load_state_dict(load_file(folder / "average.safetensors"))
    if not arguments.eager:
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


def measure(
    chosen: list[metrics.Metric], items: list[samples.Item], networks: Mapping[str, nn.Module], device: torch.device
) -> Results:
    """Every network on every pair."""
    results = Results(chosen)
    for item in items:
        sample = item.load()
        for label, network in networks.items():
            with torch.no_grad():
                hdr = network(torch.from_numpy(sample.sdr[None]).to(device))[0].cpu().numpy()  # (3, H, W)
            results.add(label, item.group, item.name, metrics.measure(chosen, np.ascontiguousarray(hdr), sample.hdr))
    return results


def paper_gains(variant: Variant) -> Iterator[tuple[str, float]]:
    """Metric and what the paper's row differs by from HDCFM."""
    last = VARIANTS[-1].gains
    for name, gain in variant.gains.items():
        yield name, gain - last[name]


def report(results: Results, facts: Mapping[str, Mapping[str, Any]], recipe: recipes.Recipe) -> str:
    """Markdown: the budget, a table for each set, a note on the paper's columns."""
    (phase,) = recipe.phases
    views = f"{phase.steps} steps of {phase.batch} views of {phase.size} px"
    where = " and ".join(sorted({fact["device"] for fact in facts.values()}))
    lines = [
        f"Budget of each variant: {views}, L1 on PQ, Adam, rate {recipe.learning_rate:g}, seed {recipe.seed}.",
        f"Seconds of training with reading and compiling, on {where}.",
        "",
    ]
    for group in results.groups:
        lines += [f"### {group} ({results.count(group)})", "", *_table(results, facts, group), ""]
    return "\n".join(lines) + "\n" + NOTE


def _table(results: Results, facts: Mapping[str, Mapping[str, Any]], group: str) -> Iterator[str]:
    paper = [f"paper: {metric.title} {metric.heading[-1]}" for metric in results.metrics if metric.name in PAPER]
    columns = ["variant", "parameters", "seconds", *(metric.heading for metric in results.metrics), *paper]
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    first = results.mean(VARIANTS[0].label, group)
    for variant in VARIANTS:
        means, fact = results.mean(variant.label, group), facts[variant.label]
        cells = [variant.label, f"{fact['parameters']:,}", f"{fact['seconds']:.0f}"]
        cells += [_cell(means[name], means[name] - first[name], name) for name in METRICS]
        cells += [_cell(PAPER[name] + less, variant.gains[name], name) for name, less in paper_gains(variant)]
        yield "| " + " | ".join(cells) + " |"


def _cell(value: float, gain: float, name: str) -> str:
    digits = DIGITS[name.removesuffix("_matched")]
    return f"{value:.{digits}f} ({gain:+.{digits}f})"


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
