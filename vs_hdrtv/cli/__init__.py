"""The command line: `vs-hdrtv COMMAND ...`.

A command is a module with `add_arguments(parser)` and `run(arguments) -> exit code`, imported only when it is asked for, so that
`vs-hdrtv --help` is there at once and each command needs only its own packages.

Exit codes: 0 done, 2 bad input (one line on stderr), 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from ..errors import InputError
from .console import SIGNALLED, open_standard_streams, say

BAD_INPUT = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


@dataclass(frozen=True)
class Command:
    """One entry of the command line.

    Attributes:
        module: where its code is, relative to this package.
        summary: one line for the list of commands.
        examples: shown at the end of its help.
        extra: optional part of the package (`pip install vs-hdrtv[extra]`) that it may need.
    """

    module: str
    summary: str
    examples: tuple[str, ...]
    extra: str | None = None


COMMANDS: dict[str, Command] = {
    "convert": Command(
        ".convert",
        "SDR video file to HDR10 (or HLG) video file",
        (
            "vs-hdrtv convert in.mp4 out.mp4",
            "vs-hdrtv convert in.mkv out.mkv --preset bt2446a --peak 600 --crf 12 --speed slow",
            "vs-hdrtv convert tape.mpg out.mp4 --deinterlace --start 100 --end 350",
            "vs-hdrtv convert in.mkv master.mov --encoder prores --strength 0.8 --letterbox auto",
            "vs-hdrtv convert in.mp4 out.mp4 --resume",
        ),
    ),
    "info": Command(".info", "what a video file holds: streams, size, rate, colour, HDR10 metadata", ("vs-hdrtv info out.mp4",)),
    "x265-args": Command(
        ".x265_args",
        "the flags that an encoder needs beside the y4m of a VapourSynth script",
        (
            "flags=$(vs-hdrtv x265-args s.vpy) && vspipe -c y4m s.vpy - | x265 --y4m - $flags --crf 16 --output out.hevc",
            "vs-hdrtv x265-args s.vpy --arg source=film.mkv --encoder svt-av1 --max-cll 1000,200",
        ),
    ),
    "doctor": Command(
        ".doctor",
        "what is installed, what works, and what to do about the rest (exit code 2 where files cannot be converted)",
        ("vs-hdrtv doctor", "vs-hdrtv doctor --json"),
    ),
    "scope": Command(
        ".scope",
        "waveform, histogram, false colour, gamut and light level of a video, as a picture or a page",
        (
            "vs-hdrtv scope out.mp4",
            "vs-hdrtv scope out.mp4 --html out.html --frames 40 --all",
            "vs-hdrtv scope film.mkv --at 61.5 --output frame.png",
        ),
    ),
    "compare": Command(
        ".compare",
        "two videos beside each other: difference picture, PSNR, dE_ITP, a page with a wipe",
        (
            "vs-hdrtv compare in.mp4 out.mp4",
            "vs-hdrtv compare in.mp4 out.mp4 --html compare.html",
            "vs-hdrtv compare in.mp4 part.mp4 --offset 100 --at 4.5,5",
        ),
    ),
    "evaluate": Command(
        "..metrics.evaluate",
        "table of metrics on pairs of SDR and HDR pictures or clips",
        (
            "vs-hdrtv evaluate --data shared/data --models hdcfm",
            "vs-hdrtv evaluate --pairs OWN --models hdcfm --metrics psnr ssim cvvdp --csv own.csv --pictures worst",
            "vs-hdrtv evaluate --clip sdr.mkv hdr.mkv --models hdcfm --metrics psnr mabd flicker cvvdp",
        ),
        extra="metrics",
    ),
    "dataset": Command(
        ".dataset",
        "training pairs from the SDR and the HDR version of films",
        (
            "vs-hdrtv dataset check --hdr FILM_HDR.mkv --sdr FILM_SDR.mkv",
            "vs-hdrtv dataset build --hdr FILM_HDR.mkv --sdr FILM_SDR.mkv OUT",
            "vs-hdrtv dataset build --hdr train_hdr --sdr train_sdr OUT --name hdrtv1k",
            "vs-hdrtv dataset info OUT",
        ),
        extra="train",
    ),
    "comfyui": Command(
        ".comfyui",
        "make the nodes of the installed package known to a ComfyUI",
        ("vs-hdrtv comfyui install ~/ComfyUI",),
    ),
    "weights": Command(
        ".weights",
        "list, check, measure and import networks' weights",
        (
            "vs-hdrtv weights list",
            "vs-hdrtv weights verify hdcfm",
            "vs-hdrtv weights measure hdcfm --metrics results.json",
            "vs-hdrtv weights import Mode.pth.tar --model hdcfm --output hdcfm-authors.safetensors",
        ),
        extra="train",
    ),
}
"""The commands by name."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.removeprefix("vs-hdrtv").strip() or "vs-hdrtv"
        self.exit(BAD_INPUT, f"{name}: {_one_line(message)}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what stands after the program's name; `sys.argv[1:]` by default.

    Returns:
        Exit code: 0, 2 (bad input), 130 (Ctrl-C), 143 (SIGTERM) or 129 (SIGHUP).
    """
    open_standard_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    name = next((word for word in arguments if not word.startswith("-")), "")
    try:
        with _interrupted_by_signals():
            return _run(name, arguments)
    except KeyboardInterrupt as stopped:
        say(f"{name or 'vs-hdrtv'}: interrupted; {str(stopped) or 'nothing was written'}", sys.stderr)
        return 128 + SIGNALLED[0] if SIGNALLED else INTERRUPTED
    except BrokenPipeError:  # `vs-hdrtv info x | head -1`: the reader has what it wanted
        sys.stderr.close()
        return 0
    except Exception as error:
        if not _is_bad_input(error):
            raise
        say(_message(error, name), sys.stderr)
        return BAD_INPUT
    finally:
        SIGNALLED.clear()


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP, by which systems and terminals end a program, stop it as Ctrl-C does: nothing half-written is left."""

    def stop(number: int, _: object) -> NoReturn:
        SIGNALLED.append(number)
        raise KeyboardInterrupt

    kept = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # nohup ignores one, which stays so
                kept[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _run(name: str, arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="vs-hdrtv",
        description="SDR to HDR video conversion by neural networks.",
        epilog="example:\n  vs-hdrtv convert in.mp4 out.mp4\n\nvs-hdrtv COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module, chosen = None, parser
    for word, command in COMMANDS.items():
        examples = "\n".join(f"  {example}" for example in command.examples)
        added = commands.add_parser(
            word,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"example{'s' * (len(command.examples) > 1)}:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if word == name:
            module = importlib.import_module(command.module, __package__)
            module.add_arguments(added)
            chosen = added
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:  # by the command itself, whose --help lists what there is
        chosen.error(f"unrecognized arguments: {' '.join(unknown)}")
    assert module is not None  # argparse has refused any other name
    return int(module.run(parsed))


def _is_bad_input(error: Exception) -> bool:
    """Whether the user can mend it, or the machine's keeper: anything else is a bug, whose traceback is wanted."""
    if isinstance(error, ImportError):
        return not (error.name or "").startswith(__package__.partition(".")[0])
    kinds = [getattr(sys.modules.get(module), name, None) for module, name in (("vapoursynth", "Error"), ("av", "FFmpegError"))]
    return isinstance(error, (InputError, OSError, MemoryError, *(kind for kind in kinds if kind is not None)))


def _message(error: Exception, name: str) -> str:
    """One line: function, what was found, what to do."""
    if isinstance(error, ModuleNotFoundError):
        extra = COMMANDS[name].extra if name in COMMANDS else None
        package = f"vs-hdrtv[{extra}]" if extra else error.name
        return f"{name}: Python package {error.name!r} is not installed; pip install '{package}'"
    if isinstance(error, ImportError):
        return f"{name}: {_one_line(str(error))}; there may be too little memory, or the package is broken: see vs-hdrtv doctor"
    if isinstance(error, MemoryError):
        return f"{name}: the memory is not enough; close other programs, or give more of it"
    if hasattr(error, "strerror"):  # the system's and FFmpeg's
        file = getattr(error, "filename", None)
        return _one_line(f"{name}: {f'{file}: ' if file else ''}{error.strerror or error}")
    return _one_line(str(error))


def _one_line(text: str) -> str:
    """The last line of a message, which is where VapourSynth puts what was raised inside a callback, without its class."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^[\w.]*(Error|Exception): ", "", lines[-1]) if lines else "failed without a message"


__all__ = ["COMMANDS", "Command", "main"]
