"""The papers' ablations: variants of a network, trained alike for a short time and measured beside the papers' numbers.

    python scripts/ablation.py --table hdcfm --data DATA --output runs/ablation
    python scripts/ablation.py --table dslnet --data DATA --output runs/ablation_dslnet
    python scripts/ablation.py --table kpn_mfi --data DATA --output runs/ablation_kpn_mfi

Every variant sees the same pairs or clips for the same number of steps, from the same seed. The same line again goes on where it
was stopped; what is trained is not trained again. The tables go to standard output and, with every sample's numbers, into OUTPUT.

HDCFM's rows are of its paper's section 4.2, where M3 is "local instead of global feature modulation":

    M0  global feature modulation: the three stages are plain 1x1 convolutions, each modulated by the frame's vector
    M1  local feature transformation: the five DDFs beside the convolutions
    M2  context convolution: the five context blocks
    M3  local feature modulation in place of the global one, in all three places
    M4  hierarchical modulation: global and local, which is the published network
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import generated, samples
from vs_hdrtv.metrics import registry as metrics
from vs_hdrtv.metrics.results import Results, check_numbers
from vs_hdrtv.training import ablation, checkpoints, devices, recipes

DIGITS = {"psnr": 2, "ssim": 4, "sr_sim": 4, "delta_e_itp": 2, "mabd": 4, "flicker": 3}
SETS = tuple(reversed(samples.SPLITS.items()))
"""Of pictures: split and the name of its set, validation, then test."""

CLIPS = tuple(generated.name_of(kind, "seen operators") for kind in ("moving camera", "slow motion", "static camera"))
"""Sets of clips, from scenes of the test split."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line.

    Raises:
        InputError: a number is too small.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=list(ablation.TABLES), default="hdcfm", help="whose (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, curves and tables; what is there goes on")
    parser.add_argument("--steps", type=int, help="of each variant (default: those of the table's recipe)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of what is measured in pixels, even (default: %(default)s)")
    parser.add_argument("--views", type=int, default=2, help="hdcfm: measured views of each scene (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=8, help="the others: measured clips of each set (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=8, help="of each clip (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="no more than N samples of each set, for a quick look")
    parser.add_argument("--eager", action="store_true", help="do not compile: slower, but needs no C++ compiler")
    arguments = parser.parse_args(argv)
    least = {"steps": 1, "threads": 1, "size": 40, "views": 1, "clips": 1, "frames": 2, "limit": 1}
    check_numbers([(f"--{name}", getattr(arguments, name), low) for name, low in least.items()])
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Train what is not trained yet, measure all, write the tables."""
    arguments = parse(argv)
    table = ablation.TABLES[arguments.table]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    device = devices.choose(arguments.device)
    compiled = not arguments.eager and device.type != "mps"  # as scripts/train.py has it
    budget = recipes.load(table.recipe)
    recipe = budget if arguments.steps is None else ablation.with_steps(budget, arguments.steps)
    chosen = metrics.choose(table.metrics)
    items = list((clips if recipe.frames else pairs)(arguments))  # before hours of training: they may not be there
    ablation.begin(arguments.output, arguments.data, recipe)

    networks, facts = {}, {}
    for variant in table.variants:
        made = ablation.trained(variant, recipe, arguments.data, arguments.output, device, compiled)
        networks[variant.label], facts[variant.label] = made
    results = measure(chosen, items, networks, recipe.frames // 2, device)
    text = report(table, results, facts, recipe)
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    results.write_csv(arguments.output / "results.csv")
    measured_on = {name: getattr(arguments, name) for name in ("size", "views", "clips", "frames", "limit")}
    settings = {
        "table": arguments.table,
        "recipe": checkpoints.identity(table.recipe, recipe)["fields"],
        "variants": facts,
        "paper": {variant.label: dict(variant.paper) for variant in table.variants},
        "data": str(arguments.data),
        **measured_on,
    }
    results.write_json(arguments.output / "results.json", settings)
    sys.stdout.write(text)


def pairs(arguments: argparse.Namespace) -> Iterator[samples.Item]:
    """Pairs by seen operators from scenes of the validation and the test split."""
    views = samples.Views(arguments.size, arguments.views)
    for split, group in SETS:
        items = [item for item in samples.of_data(arguments.data, split, views) if item.group == group]
        yield from samples.limited(items, arguments.limit)


def clips(arguments: argparse.Namespace) -> Iterator[samples.Item]:
    """Generated clips by seen operators from scenes of the test split; none of their sets has cuts."""
    wanted = generated.Clips(arguments.clips, arguments.frames, arguments.size)
    items = [item for item in generated.of_data(arguments.data, "test", wanted) if item.group in CLIPS]
    yield from samples.limited(items, arguments.limit)


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
    items: list[samples.Item],
    networks: Mapping[str, nn.Module],
    radius: int,
    device: torch.device,
) -> Results:
    """Every network, which reads `radius` frames on each side, on every pair or clip."""
    results = Results(chosen)
    for item in items:
        sample = item.load()
        for label, network in networks.items():
            hdr = convert(network, sample.sdr, radius, device)
            results.add(label, item.group, item.name, metrics.measure(chosen, hdr, sample.hdr, sample.rate))
    return results


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
    paper = [f"paper: {metric.title} {metric.heading[-1]}" for metric in results.metrics if metric.name in first.paper]
    columns = ["variant", "parameters", "seconds", *(metric.heading for metric in results.metrics), *paper]
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    base = results.mean(first.label, group)
    for variant in table.variants:
        means, fact = results.mean(variant.label, group), facts[variant.label]
        cells = [variant.label, f"{fact['parameters']:,}", f"{fact['seconds']:.0f}"]
        cells += [_cell(means[metric.name], base[metric.name], metric.name) for metric in results.metrics]
        cells += [_cell(variant.paper[name], first.paper[name], name) for name in table.metrics if name in variant.paper]
        yield "| " + " | ".join(cells) + " |"


def _cell(value: float, base: float, name: str) -> str:
    digits = DIGITS[name.removesuffix("_matched")]
    return "-" if math.isnan(value) else f"{value:.{digits}f} ({value - base:+.{digits}f})"


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
