"""The papers' ablations: variants of a network, trained alike for a short time and measured beside the papers' numbers.

    python scripts/ablation.py --table hdcfm --data DATA --output runs/ablation
    python scripts/ablation.py --table dslnet --data DATA --output runs/ablation_dslnet
    python scripts/ablation.py --table kpn_mfi --data DATA --output runs/ablation_kpn_mfi
    python scripts/ablation.py --table vitm_tc --data DATA --output runs/ablation_vitm_tc  # both of its tables: icam, fcpm

Every variant sees the same pairs, clips or key frames for the same number of steps, from the same seed. The same line again goes
on where it was stopped; what is trained is not trained again. The tables go to standard output and, with every sample's numbers,
into OUTPUT.

HDCFM's rows are of its paper's section 4.2, where M3 is "local instead of global feature modulation":

    M0  global feature modulation: the three stages are plain 1x1 convolutions, each modulated by the frame's vector
    M1  local feature transformation: the five DDFs beside the convolutions
    M2  context convolution: the five context blocks
    M3  local feature modulation in place of the global one, in all three places
    M4  hierarchical modulation: global and local, which is the published network
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vs_hdrtv.color.transfer import pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import generated, samples
from vs_hdrtv.metrics import registry as metrics
from vs_hdrtv.metrics.results import Results, check_numbers
from vs_hdrtv.stages import MASTER_PEAK
from vs_hdrtv.training import ablation, batches, checkpoints, devices, material, objectives, recipes

DIGITS = {"psnr": 2, "ssim": 4, "sr_sim": 4, "delta_e_itp": 2, "mabd": 4, "flicker": 3, "pu21_psnr": 2, "cvvdp": 3, "hdr_vqm": 3}
SETS = tuple(reversed(samples.SPLITS.items()))
"""Of pictures: split and the name of its set, validation, then test."""

CLIPS = tuple(generated.name_of(kind, "seen operators") for kind in ("moving camera", "slow motion", "static camera"))
"""Sets of clips, from scenes of the test split."""

SEED, RATE, PEAK = 0x56495443, 24.0, float(pq_inverse_eotf(np.float64(MASTER_PEAK)))
"""Of the held-out key frames and segments; frames a second that segments are measured at; PQ signal up to which light counts."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line.

    Raises:
        InputError: a number is too small.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", choices=[*ablation.TABLES, *ablation.PAPERS], default="hdcfm", help="whose (default: %(default)s)"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, curves and tables; what is there goes on")
    parser.add_argument("--steps", type=int, help="of each variant (default: those of the table's recipe)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of what is measured in pixels, even (default: %(default)s)")
    parser.add_argument("--views", type=int, default=2, help="hdcfm: measured views of each scene (default: %(default)s)")
    parser.add_argument(
        "--clips",
        type=int,
        default=8,
        help="the others: measured clips, key frames or segments of each set (default: %(default)s)",
    )
    parser.add_argument("--frames", type=int, default=8, help="of each clip (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="no more than N samples of each set, for a quick look")
    parser.add_argument("--eager", action="store_true", help="do not compile: slower, but needs no C++ compiler")
    arguments = parser.parse_args(argv)
    least = {"steps": 1, "threads": 1, "size": 40, "views": 1, "clips": 1, "frames": 2, "limit": 1}
    check_numbers([(f"--{name}", getattr(arguments, name), low) for name, low in least.items()])
    if arguments.table in (*ablation.PAPERS, "icam", "fcpm") and (arguments.size % 16 or arguments.size < 64):
        raise InputError(f"ablation: --size is {arguments.size}; of key frames give a multiple of 16, 64 or more")
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Train what is not trained yet, measure all, write the tables."""
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    device = devices.choose(arguments.device)
    compiled = not arguments.eager and device.type != "mps"  # as scripts/train.py has it
    if arguments.table in ablation.TABLES:
        sys.stdout.write(tabulate(arguments.table, arguments, arguments.output, device, compiled))
    for name in ablation.PAPERS.get(arguments.table, ()):
        sys.stdout.write(f"## {name}\n\n{tabulate(name, arguments, arguments.output / name, device, compiled)}\n")


def tabulate(name: str, arguments: argparse.Namespace, output: Path, device: torch.device, compiled: bool) -> str:
    """One table, trained, measured and written into `output`."""
    table = ablation.TABLES[name]
    budget = recipes.load(table.recipe)
    recipe = budget if arguments.steps is None else ablation.with_steps(budget, arguments.steps)
    chosen = metrics.choose(table.metrics)
    items = list(_ITEMS[recipe.kind](arguments, recipe))  # before hours of training: they may not be there
    ablation.begin(output, arguments.data, recipe)

    networks, facts = {}, {}
    for variant in table.variants:
        made = ablation.trained(variant, recipe, arguments.data, output, device, compiled)
        networks[variant.label], facts[variant.label] = made
    results = measure(chosen, items, networks, recipe.frames // 2, device)
    text = report(table, results, facts, recipe)
    (output / "table.md").write_text(text, encoding="utf-8")
    results.write_csv(output / "results.csv")
    measured_on = {name: getattr(arguments, name) for name in ("size", "views", "clips", "frames", "limit")}
    settings = {
        "table": name,
        "recipe": checkpoints.identity(table.recipe, recipe)["fields"],
        "variants": facts,
        "paper": {variant.label: dict(variant.paper) for variant in table.variants},
        "data": str(arguments.data),
        **measured_on,
    }
    results.write_json(output / "results.json", settings)
    return text


def pairs(arguments: argparse.Namespace, recipe: recipes.Recipe) -> Iterator[samples.Item]:
    """Pairs by seen operators from scenes of the validation and the test split."""
    views = samples.Views(arguments.size, arguments.views)
    for split, group in SETS:
        items = [item for item in samples.of_data(arguments.data, split, views) if item.group == group]
        yield from samples.limited(items, arguments.limit)


def clips(arguments: argparse.Namespace, recipe: recipes.Recipe) -> Iterator[samples.Item]:
    """Generated clips by seen operators from scenes of the test split; none of their sets has cuts."""
    wanted = generated.Clips(arguments.clips, arguments.frames, arguments.size)
    items = [item for item in generated.of_data(arguments.data, "test", wanted) if item.group in CLIPS]
    yield from samples.limited(items, arguments.limit)


@dataclass(frozen=True)
class Drawn:
    """A held-out key frame or segment, as the recipe's own are drawn.

    Attributes:
        group: its set.
        name: of the sample.
        batch: of one.
        objective: knows what a network makes of it.
    """

    group: str
    name: str
    batch: batches.Batch
    objective: Any

    def measure(self, chosen: list[metrics.Metric], network: nn.Module, device: torch.device) -> dict[str, float]:
        """Values by metric."""
        batch = [each.to(device) for each in self.batch]
        with torch.no_grad():
            shown = (each.clamp(max=PEAK).cpu().numpy() for each in self.objective.shown(network, *batch))
        hdr, truth = (np.ascontiguousarray(each) for each in shown)  # (T, 3, H, W) each
        sdr = batch[0][0].cpu().numpy()[: len(hdr)]  # of a key frame and its references the first
        return metrics.measure(chosen, hdr, truth, RATE, sdr)


def drawn(arguments: argparse.Namespace, recipe: recipes.Recipe) -> Iterator[Drawn]:
    """Key frames or segments from scenes of the test split."""
    alone = dataclasses.replace(recipe, phases=(recipes.Phase(size=arguments.size, batch=1, steps=1),), seed=SEED)
    objective = objectives.create(recipe)
    objective.to(devices.choose(arguments.device))
    found = batches.from_workers(material.find(arguments.data, "test"), alone, 0, 0)
    count = min(arguments.clips, arguments.limit or arguments.clips)
    for number, batch in zip(range(count), found, strict=False):
        yield Drawn(f"held-out {recipe.kind.replace('_', ' ')}", str(number), batch, objective)


_ITEMS: Mapping[str, Callable[[argparse.Namespace, recipes.Recipe], Iterator[samples.Item | Drawn]]] = {
    "pictures": pairs,
    "clips": clips,
    "key_frames": drawn,
    "segments": drawn,
}
"""Kind of recipe -> what its networks are measured on."""


def convert(network: nn.Module, sdr: NDArray[np.float32], radius: int, device: torch.device) -> NDArray[np.float32]:
    """A picture (3, H, W), or a clip (N, 3, H, W) frame by frame, past whose ends its first and last frame stand."""
    frames = torch.from_numpy(sdr).to(device).reshape(-1, 1, *sdr.shape[-3:])  # (N, 1, 3, H, W)
    last = len(frames) - 1
    windows = ([min(max(n + offset, 0), last) for offset in range(-radius, radius + 1)] for n in range(len(frames)))
    with torch.no_grad():
        hdr = torch.cat([network(*(frames[at] for at in window)) for window in windows])  # (N, 3, H, W)
    return np.ascontiguousarray(hdr.cpu().numpy().reshape(sdr.shape))


def measure(
    chosen: list[metrics.Metric],
    items: Sequence[samples.Item | Drawn],
    networks: Mapping[str, nn.Module],
    radius: int,
    device: torch.device,
) -> Results:
    """Every network, which reads `radius` frames on each side, on every pair, clip, key frame or segment."""
    results = Results(chosen)
    for item in items:
        of = partial(item.measure, chosen, device=device) if isinstance(item, Drawn) else _of_sample(chosen, item, radius, device)
        for label, network in networks.items():
            results.add(label, item.group, item.name, of(network))
    return results


def _of_sample(
    chosen: list[metrics.Metric], item: samples.Item, radius: int, device: torch.device
) -> Callable[[nn.Module], dict[str, float]]:
    sample = item.load()

    def of(network: nn.Module) -> dict[str, float]:
        return metrics.measure(chosen, convert(network, sample.sdr, radius, device), sample.hdr, sample.rate)

    return of


def report(table: ablation.Table, results: Results, facts: Mapping[str, Mapping[str, Any]], recipe: recipes.Recipe) -> str:
    """Markdown: the budget, a table for each set, a note on the paper's columns."""
    where = " and ".join(sorted({fact["device"] for fact in facts.values()}))
    lines = [
        f"Steps of each variant: {recipe.views()}. {recipe.losses({})}; Adam, rate {recipe.learning_rate:g}, seed {recipe.seed}.",
        f"Seconds of training with reading and compiling, on {where}.",
        "",
    ]
    for group in results.groups:
        lines += [f"### {group} ({results.count(group)})", "", *_rows(table, results, facts, group), ""]
    lines.append(f"In brackets: difference from {table.variants[0].label}. The paper's columns: {table.source}:")
    lines.append("compare the order of the rows, not the numbers.")
    return "\n".join(lines) + "\n"


def _rows(table: ablation.Table, results: Results, facts: Mapping[str, Mapping[str, Any]], group: str) -> Iterator[str]:
    first = table.variants[0]
    of_paper = [metrics.METRICS[name] for name in first.paper]
    paper = [f"paper: {metric.title} {metric.heading[-1]}" for metric in of_paper]
    columns = ["variant", "parameters", "seconds", *(metric.heading for metric in results.metrics), *paper]
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    base = results.mean(first.label, group)
    for variant in table.variants:
        means, fact = results.mean(variant.label, group), facts[variant.label]
        cells = [variant.label, f"{fact['parameters']:,}", f"{fact['seconds']:.0f}"]
        cells += [_cell(means[metric.name], base[metric.name], metric.name) for metric in results.metrics]
        cells += [_cell(variant.paper[metric.name], first.paper[metric.name], metric.name) for metric in of_paper]
        yield "| " + " | ".join(cells) + " |"


def _cell(value: float, base: float, name: str) -> str:
    digits = DIGITS[name.removesuffix("_matched").removesuffix("_overexposed")]
    return "-" if math.isnan(value) else f"{value:.{digits}f} ({value - base:+.{digits}f})"


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
