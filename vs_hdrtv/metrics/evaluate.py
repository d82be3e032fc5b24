"""`vs-hdrtv evaluate`: every method on every set, as Markdown tables, CSV, JSON and pictures."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..color.tone_curves import INVERSE_TONE_MAPS
from ..errors import InputError
from . import generated, goals, methods, samples
from .methods import Method
from .octave import CODE
from .registry import DEFAULT, METRICS, NETWORK, OVEREXPOSED, TEMPORAL, Metric, choose, measure
from .results import CHARTS, Results, check_file, check_numbers

if TYPE_CHECKING:
    from .pictures import Worst

SMALLEST = 32
"""Side in pixels below which a network would be fed padding."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads to `parser`."""
    what = parser.add_argument_group("what is converted")
    what.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with hdr_stills/ and pairs/, or one of .hdr and .exr files"
    )
    what.add_argument(
        "--pairs",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with sdr/NAME.png (BT.709, BT.1886) and hdr/NAME.png (16 bits, BT.2020 PQ) or hdr/NAME.exr (linear)",
    )
    what.add_argument(
        "--clip",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("SDR", "HDR"),
        help="two video files of the same frames; may be given again",
    )
    what.add_argument(
        "--clips",
        type=int,
        metavar="N",
        help=f"also make clips of --data: N of each set ({'; '.join(generated.KINDS)}; by seen and by held-out operators)",
    )
    what.add_argument(
        "--frames", type=int, default=16, metavar="N", help="frames of a clip, of files from the middle (default: %(default)s)"
    )
    what.add_argument(
        "--split",
        choices=list(samples.SPLITS),
        default="test",
        help="scenes of --data; validation is for choosing between checkpoints (default: %(default)s)",
    )
    what.add_argument("--size", type=int, default=256, help="side of a view of --data in pixels, even (default: %(default)s)")
    what.add_argument("--views", type=int, default=2, help="views of each scene (default: %(default)s)")
    what.add_argument("--seed", type=int, default=0, help="seed of views, exposures and operators (default: %(default)s)")
    what.add_argument("--limit", type=int, metavar="N", help="no more than N pairs of each set, for a quick look")
    how = parser.add_argument_group("by what")
    how.add_argument(
        "--models",
        nargs="*",
        default=[],
        metavar="MODEL",
        help="shipped models, or .toml or .safetensors files, spaces or commas between; "
        f"A{methods.CHAIN}B runs B after A, A{methods.STEADY}K takes frame-wide statistics from 2K+1 frames",
    )
    how.add_argument("--checkpoint", type=Path, metavar="FILE", help="checkpoint.pt of a training run (needs torch)")
    how.add_argument(
        "--baselines", nargs="*", default=list(INVERSE_TONE_MAPS), metavar="NAME", help="analytic methods (default: %(default)s)"
    )
    how.add_argument("--engine", default="auto", help="engine that runs the models (default: %(default)s)")
    measured = parser.add_argument_group("what is measured")
    measured.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"of {', '.join(METRICS)} (default: {', '.join(DEFAULT)}; with a chain also {', '.join(OVEREXPOSED)}; "
        f"with clips also {', '.join(TEMPORAL)})",
    )
    measured.add_argument(
        "--perceptual",
        metavar="NETWORK[=FILE]",
        help=f"adds {NETWORK}: efficientnet_lite0 (brings its weights), or one of torchvision and its weights, vgg19=vgg19.pth",
    )
    measured.add_argument("--goals", action="store_true", help="say of each goal of the weights whether it was reached")
    for name, code in CODE.items():
        option = f"--{name.replace('_', '-')}"
        measured.add_argument(
            option, dest=name, type=Path, metavar="DIR", help=f"folder of {code.title}'s MATLAB code (default: ${code.variable})"
        )
    written = parser.add_argument_group("what is written")
    written.add_argument("--csv", "--output", dest="csv", type=Path, metavar="FILE", help="CSV file of the same numbers")
    written.add_argument("--json", type=Path, metavar="FILE", help="JSON file of the same numbers, and of each pair's")
    written.add_argument("--pictures", type=Path, metavar="DIR", help="folder for pictures of the worst cases, with error maps")
    written.add_argument("--worst", type=int, default=3, metavar="N", help="cases in each of these (default: %(default)s)")


def run(arguments: argparse.Namespace, write: Callable[[str], object] | None = None) -> int:
    """Evaluate and write the table.

    Args:
        arguments: what `add_arguments` asks for.
        write: takes the table's text; standard output where it is None.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument, a model or the data are wrong.
    """
    _check(arguments)
    metrics = chosen(arguments)
    worst = None
    if arguments.pictures is not None:
        from .pictures import Worst

        worst = Worst(metrics, arguments.worst)
    results = measured(arguments, metrics, worst)
    verdicts = goals.judge(results, methods.split(arguments.models)) if arguments.goals else []

    text = results.table() + (f"\n{goals.table(verdicts)}" if arguments.goals else "")
    (write or sys.stdout.write)(text)
    if arguments.csv is not None:
        results.write_csv(arguments.csv)
    if arguments.json is not None:
        results.write_json(arguments.json, _settings(arguments), goals.as_json(verdicts))
    if worst is not None:
        worst.write(arguments.pictures)
    return 0


def measured(arguments: argparse.Namespace, metrics: list[Metric], worst: Worst | None = None) -> Results:
    """The results, nothing written.

    Args:
        arguments: what `add_arguments` asks for.
        metrics: of `chosen`.
        worst: is shown every sample.

    Raises:
        InputError: a model or the data are wrong.
    """
    items = _items(arguments, metrics)
    models = methods.split(arguments.models)
    compared = methods.collect(arguments.baselines, models, arguments.checkpoint, arguments.engine)
    results = Results(metrics)
    start = time.monotonic()
    for number, item in enumerate(items):
        minutes = (time.monotonic() - start) / max(number, 1) * (len(items) - number) / 60
        left = f"  {minutes:.0f} min left" if number else ""
        _progress(f"evaluate: {number + 1}/{len(items)}{left}  {item.group}: {item.name}")
        sample = item.load()
        for name, method in compared.items():
            result = _convert(method, sample)
            values = measure(metrics, result, sample.hdr, sample.rate, sample.sdr)
            results.add(name, item.group, item.name, values)
            if worst is not None:
                worst.add(name, item.group, item.name, values, sample, result)
    _charts(metrics, compared, results)
    _progress("")
    return results


def chosen(arguments: argparse.Namespace) -> list[Metric]:
    """What is measured: what was asked for, else what fits the models; what goals need beside it.

    Raises:
        InputError: a metric is unknown, or needs what is not there.
    """
    chains = any(goals.first_stage(model) for model in methods.split(arguments.models))
    fitting = [*DEFAULT, *(OVEREXPOSED if chains else ()), *(TEMPORAL if _has_clips(arguments) else ())]
    names = [*(arguments.metrics or fitting), *(fitting if arguments.goals else ()), *([NETWORK] if arguments.perceptual else ())]
    return choose(names, {name: getattr(arguments, name) for name in CODE}, _network(arguments))


def _has_clips(arguments: argparse.Namespace) -> bool:
    """Whether there are two consecutive frames anywhere."""
    return arguments.frames > 1 and bool(arguments.clip or arguments.clips)


def _network(arguments: argparse.Namespace) -> Callable[..., Any] | None:
    """The feature network that was asked for."""
    if not arguments.perceptual:
        return None
    from ..training import perceptual

    return perceptual.load(arguments.perceptual)[0]


def _check(arguments: argparse.Namespace) -> None:
    if arguments.size < SMALLEST or arguments.size % 2:
        raise InputError(f"evaluate: --size is {arguments.size}; give an even number of {SMALLEST} or more")
    names = {"views": 1, "seed": 0, "limit": 1, "frames": 1, "clips": 1, "worst": 1}
    check_numbers([(f"--{name}", getattr(arguments, name), least) for name, least in names.items()])
    if arguments.clips is not None and arguments.data is None:
        raise InputError(f"evaluate: --clips {arguments.clips} makes clips of --data's pictures; give --data DIR")
    check_file("--csv", arguments.csv)
    check_file("--json", arguments.json)
    if arguments.pictures is not None and arguments.pictures.exists() and not arguments.pictures.is_dir():
        raise InputError(f"evaluate: --pictures {arguments.pictures} is a file; give a folder")


def _items(arguments: argparse.Namespace, metrics: list[Metric]) -> list[samples.Item]:
    """What there is to convert."""
    items: list[samples.Item] = []
    if arguments.data is not None:
        views = samples.Views(arguments.size, arguments.views, arguments.seed)
        items += samples.of_data(arguments.data, arguments.split, views)
        if arguments.clips is not None:
            wanted = generated.Clips(arguments.clips, arguments.frames, arguments.size, arguments.seed)
            items += generated.of_data(arguments.data, arguments.split, wanted)
    for folder in arguments.pairs:
        items += samples.of_folder(folder)
    items += [samples.of_clip(sdr, hdr, arguments.frames) for sdr, hdr in arguments.clip]
    kinds = {metric.kind for metric in metrics}
    if not items and kinds != {"method"}:
        raise InputError("evaluate: there is nothing to convert; give --data, --pairs or --clip")
    for metric in metrics:
        if metric.kind == "clip" and not _has_clips(arguments):
            raise InputError(
                f"evaluate: {metric.name} is measured on clips of two frames or more; give --clip SDR HDR or --clips N"
            )
    return samples.limited(items, arguments.limit)


def _convert(method: Method, sample: samples.Sample) -> Any:
    # A picture is a clip of one frame.
    return methods.of_picture(method)(sample.sdr) if sample.rate is None else method(sample.sdr, sample.cuts)


def _charts(metrics: list[Metric], compared: dict[str, Method], results: Results) -> None:
    """What is measured of the methods themselves, on charts that need no reference."""
    chosen = [metric for metric in metrics if metric.kind == "method"]
    for name, method in compared.items() if chosen else ():
        _progress(f"evaluate: {CHARTS}: {name}")
        results.add(name, CHARTS, CHARTS, {metric.name: metric.function(methods.of_picture(method)) for metric in chosen})


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on, as far as it was asked for."""
    names = ("data", "pairs", "clip", "clips", "frames", "split", "size", "views", "seed", "limit", "engine")
    return {name: _plain(getattr(arguments, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _progress(text: str) -> None:
    """One line that overwrites itself, for a person at a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
