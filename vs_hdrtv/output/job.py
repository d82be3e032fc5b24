"""The folder of an unfinished conversion: NAME.partial beside the file that is asked for, and what may go on in it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import InputError
from ..media import reason

REMOVALS, PAUSE = 10, 0.05
"""Tries to remove the folder, and seconds between two of them."""

_RECORD = "job.json"
_OURS = re.compile(r"job\.json|\d{6,}\.(mkv|json)(\.tmp)?|whole\.\w+(\.tmp)?")
"""Names of what is written into the folder; what else lies there was put there by somebody, and stays."""


def check_output(output: Path, source: Path, overwrite: bool, who: str) -> None:
    """Find out before any work whether `output` can be written.

    Raises:
        InputError: it exists or is the source, or its folder is missing or cannot be written.
    """
    if output.exists():
        if output.is_dir():
            raise InputError(f"{who}: {output} is a folder; give a file name")
        if source.exists() and output.samefile(source):
            raise InputError(f"{who}: {output} is the input itself; give another name")
        if not output.is_file():
            raise InputError(f"{who}: {output} is no plain file; give another name")
        if not overwrite:
            raise InputError(f"{who}: {output} exists; give another name or --overwrite")
    if not output.parent.is_dir():
        raise InputError(f"{who}: folder {output.parent} does not exist; make it first")
    folder = partial_folder(output)
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{who}: {folder} is in the way; remove it or give another name")
        return
    try:
        folder.mkdir()
        folder.rmdir()
    except OSError as error:
        raise InputError(f"{who}: {output.parent} cannot be written ({reason(error)}); choose another folder") from None


def partial_folder(output: Path) -> Path:
    """Where the pieces of `output` lie until it is finished."""
    return output.with_name(f"{output.name}.partial")


class Unfinished:
    """A folder of segments and the record of what they are segments of."""

    def __init__(self, output: Path, job: Mapping[str, Any], who: str) -> None:
        """Name the folder; nothing is written yet.

        Args:
            output: the file that is asked for.
            job: everything that decides the pixels or the stream, as JSON has it.
            who: the command on whose behalf, which a message starts with.
        """
        self.folder = partial_folder(output)
        self._job, self._who, self._done = json.loads(json.dumps(job)), who, False
        self.begun = False

    @contextmanager
    def open(self, resume: bool, overwrite: bool) -> Iterator[Path]:
        """The folder, for this process alone.

        It is left behind only while it holds a finished segment; a caller that has made the file of them calls `done`.

        Args:
            resume: go on with what is there.
            overwrite: throw away what is there, where `resume` is not said.

        Raises:
            InputError: another process is at it; what is there is another job's, or nobody said what to do with it.
        """
        if self.folder.exists() and not (self.folder / _RECORD).exists() and any(self.folder.iterdir()):
            what = f"{self.folder} is in the way and no unfinished conversion"
            raise InputError(f"{self._who}: {what}; move it, or name OUT otherwise")
        theirs = False
        try:
            with self._record() as record:
                theirs = not _lock(record)
                if theirs:
                    raise InputError(f"{self._who}: {self.folder} is in use by another conversion; wait for it")
                try:
                    self._prepare(record, resume, overwrite)
                except OSError as error:
                    raise InputError(f"{self._who}: {self.folder} cannot be written ({reason(error)})") from None
                self.begun = True
                yield self.folder
        finally:
            if not theirs and (self._done or not self.finished()):
                self._remove()

    def done(self) -> None:
        """Have the folder removed: the file is there."""
        self._done = True

    def finished(self) -> list[Path]:
        """What names the finished segments."""
        return sorted(self.folder.glob("[0-9]*.json"))

    def _ours(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if _OURS.fullmatch(path.name)]

    def _remove(self) -> None:
        for _ in range(REMOVALS):
            with contextlib.suppress(OSError):
                for path in self._ours():
                    path.unlink()
                self.folder.rmdir()
            if not self.folder.exists():
                return
            time.sleep(PAUSE)  # interrupted, a thread may have put another file there meanwhile

    def _record(self) -> IO[str]:
        try:
            self.folder.mkdir(exist_ok=True)
            return (self.folder / _RECORD).open("a+", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self._who}: {self.folder} cannot be written ({reason(error)})") from None

    def _prepare(self, record: IO[str], resume: bool, overwrite: bool) -> None:
        finished = self.finished()
        if finished and not resume and not overwrite:
            raise InputError(
                f"{self._who}: {self.folder} holds an unfinished conversion; --resume goes on with it, --overwrite starts again"
            )
        if finished and resume:
            self._compare(record)
        else:
            for path in self._ours():
                if path.name != _RECORD:
                    path.unlink()
        record.seek(0)
        record.truncate()
        json.dump(self._job, record, indent=1)
        record.flush()

    def _compare(self, record: IO[str]) -> None:
        afresh = "start afresh with --overwrite in place of --resume"
        record.seek(0)
        try:
            old = _flat(json.load(record))
        except (ValueError, AttributeError):
            raise InputError(f"{self._who}: {self.folder / _RECORD} is damaged; {afresh}") from None
        new = _flat(self._job)
        changes = [
            f"{name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}"
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
        if changes:
            raise InputError(
                f"{self._who}: {self.folder} was begun otherwise: {'; '.join(changes)}. Give the same again, or {afresh}"
            )


def _flat(values: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Nested tables with dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{name}.{key}" if name else key
        found |= _flat(value, path) if isinstance(value, Mapping) else {path: value}
    return found


def _lock(file: IO[str]) -> bool:
    """Keep others from a file as long as it is open; False where another process has it. Nothing to be had on Windows."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
