"""A VapourSynth script evaluated as vspipe does it, its words kept off standard output."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import vapoursynth as vs


def parse_arguments(pairs: Sequence[str], who: str) -> dict[str, str]:
    """Names and values of `key=value` words, as `vspipe --arg` takes them.

    Raises:
        InputError: a word has no `=`, or nothing before it.
    """
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise InputError(f"{who}: --arg is {pair!r}; give key=value")
        found[key] = value
    return found


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What Python and native libraries write to standard output goes to standard error meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def script_output(path: Path, arguments: Mapping[str, str], output: int, who: str) -> Iterator[vs.VideoNode]:
    """The clip that a script sets as an output; only inside the `with` may its frames be asked for.

    As with vspipe, `__name__` is `__vapoursynth__`, the arguments are global variables (text) and the script's folder is the
    working directory.

    Args:
        path: the script.
        arguments: global variables that it starts with.
        output: index that the script gives to `set_output`.
        who: the command on whose behalf, which a message starts with.

    Raises:
        InputError: the script cannot be read or fails, or does not set this output to a video clip.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"{who}: {path} cannot be read ({error.strerror}); give a .vpy script") from None
    import vapoursynth as vs

    from .. import engines

    engines.preload()
    vs.clear_outputs()
    try:
        with contextlib.chdir(path.absolute().parent), stdout_to_stderr():
            _execute(source, path, arguments, who)
            yield _choose(vs.get_outputs(), output, path, who)
    finally:
        vs.clear_outputs()


class _Script(importlib.abc.ExecutionLoader):
    """Runs a script's source as a module, and leaves no compiled file beside it."""

    def __init__(self, source: bytes, path: Path) -> None:
        self._source, self._path = source, path

    def get_filename(self, fullname: str) -> str:
        """Of tracebacks."""
        return str(self._path)

    def get_source(self, fullname: str) -> str:
        """As Python reads a file: by its coding line."""
        return importlib.util.decode_source(self._source)


def _execute(source: bytes, path: Path, arguments: Mapping[str, str], who: str) -> None:
    module = types.ModuleType("__vapoursynth__")
    vars(module).update({"__file__": str(path), **arguments})
    try:
        _Script(source, path).exec_module(module)
    except SystemExit as stop:
        if stop.code not in {None, 0}:
            raise InputError(f"{who}: {path} stopped: {stop.code}") from None
    except SyntaxError as error:
        if error.lineno is None:
            raise InputError(f"{who}: {path} is not a VapourSynth script ({error.msg}); give a .vpy file") from None
        raise InputError(f"{who}: {error.filename}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        reason = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        raise InputError(f"{who}: {path}, line {lines[-1] if lines else '?'}: {reason}") from None


def _choose(outputs: Mapping[int, Any], output: int, path: Path, who: str) -> vs.VideoNode:
    if output not in outputs:
        there = f"only {', '.join(map(str, sorted(outputs)))}" if outputs else "none"
        raise InputError(f"{who}: {path} sets no output {output}, {there}; call clip.set_output({output}) in it")
    clip: vs.VideoNode | None = getattr(outputs[output], "clip", None)
    if clip is None:
        raise InputError(f"{who}: output {output} of {path} is audio; choose a video output with --output")
    return clip
