"""The shape of a pixel in a Matroska file, which PyAV gives FFmpeg's muxer no way to write.

Elements that say nothing make room for `DisplayWidth` and `DisplayHeight`, so that nothing outside `Tracks` moves: the checksum,
`DisplayUnit` 4 (unknown), `MaxBlockAdditionID` 0, room that was left. Elements and their numbers: RFC 9559, sections 5.1.4.1.28
and 27.1; their coding: RFC 8794, sections 4 to 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_SEGMENT, _TRACKS, _TRACK_ENTRY, _TRACK_TYPE, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0
_CRC_32, _VOID, _MAX_BLOCK_ADDITION_ID = 0xBF, 0xEC, 0x55EE
_DISPLAY_UNIT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT = 0x54B2, 0x54B0, 0x54BA
_VIDEO_TRACK = b"\x01"
_HEADER = 1 << 22
"""Bytes of a file in which `Tracks` ends: codecs' headers take some hundreds."""


def set_display_size(path: Path, width: int, height: int) -> bool:
    """State how large the first video track is to be shown, in pixels, each at most 65535.

    Returns:
        Whether that was possible: the file is as FFmpeg's muxer writes it.
    """
    with path.open("r+b") as file:
        head = file.read(_HEADER)
        changed = _with_display_size(head, width, height)
        if changed is None:
            return False
        file.seek(0)
        file.write(changed)
    return True


def _with_display_size(head: bytes, width: int, height: int) -> bytes | None:
    found = _find(head, 0, len(head), _SEGMENT)
    tracks = _find(head, found[1], len(head), _TRACKS) if found is not None else None
    if tracks is None or max(width, height) > 0xFFFF:
        return None
    _, start, end = tracks
    for kind, at, first, last in _elements(head, start, end):
        track_type = _find(head, first, last, _TRACK_TYPE) if kind == _TRACK_ENTRY else None
        if track_type is None or head[track_type[1] : track_type[2]] != _VIDEO_TRACK:
            continue
        video = _find(head, first, last, _VIDEO)
        if video is None or _find(head, video[1], video[2], _DISPLAY_WIDTH) is not None:
            return None
        sizes = ((_DISPLAY_WIDTH, width), (_DISPLAY_HEIGHT, height))
        written = b"".join(_bytes(name, 2) + b"\x82" + _bytes(value, 2) for name, value in sizes)
        crc, unit = _find(head, start, at, _CRC_32), _find(head, video[1], video[2], _DISPLAY_UNIT)
        block, void = (_find(head, first, last, name) for name in (_MAX_BLOCK_ADDITION_ID, _VOID))
        spare = [span for span in (crc, unit, block, void) if span is not None]
        used: list[tuple[int, int, int]] = []
        while spare and (_total(used) < len(written) or _total(used) == len(written) + 1):  # no element is one byte long
            used.append(spare.pop(0))
        left = _total(used) - len(written)
        if left < 0 or left == 1:
            return None
        in_video = [span for span in used if video[1] <= span[0] < video[2]]
        in_entry = [span for span in used if first <= span[0] < last]
        return b"".join(
            (
                _without(head, 0, at, used),
                _header(head, at, first, len(written) + left - _total(in_entry)),
                _without(head, first, video[0], used),
                _header(head, video[0], video[1], len(written) - _total(in_video)),
                _without(head, video[1], video[2], used),
                written,
                _without(head, video[2], last, used),
                _void(left),
                head[last:],
            )
        )
    return None


def _void(size: int) -> bytes:
    """An element of `size` bytes, at least 2, that says nothing; 0 for none."""
    if not size:
        return b""
    if size <= 128:  # a length of one byte: 7 bits, all of them set being reserved
        return _bytes(_VOID, 1) + _bytes(0x80 | (size - 2), 1) + bytes(size - 2)
    return _bytes(_VOID, 1) + _bytes(1 << 56 | (size - 9), 8) + bytes(size - 9)


def _total(spans: list[tuple[int, int, int]]) -> int:
    return sum(end - start for start, _, end in spans)


def _without(data: bytes, start: int, end: int, spans: list[tuple[int, int, int]]) -> bytes:
    """A stretch of `data` with the spans inside it left out."""
    kept = bytearray(data[start:end])
    for first, _, last in sorted(spans, reverse=True):
        if start <= first and last <= end:
            del kept[first - start : last - start]
    return bytes(kept)


def _find(data: bytes, start: int, end: int, wanted: int) -> tuple[int, int, int] | None:
    """The first such element: where it starts, where its content starts, where it ends."""
    return next(((at, first, last) for kind, at, first, last in _elements(data, start, end) if kind == wanted), None)


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The elements between two places: number, start, start of the content, end."""
    at = start
    while at < end and at + 12 <= len(data):
        after_id = at + _length(data[at])
        first = after_id + _length(data[after_id])
        size = int.from_bytes(data[after_id:first], "big") & ((1 << 7 * (first - after_id)) - 1)
        last = first + size
        kind = int.from_bytes(data[at:after_id], "big")
        if last > len(data) and kind != _SEGMENT:
            return
        yield kind, at, first, last
        at = last


def _length(first: int) -> int:
    """Bytes of a number whose first byte this is: one more than the zero bits that it starts with."""
    return 9 - first.bit_length() if first else 12


def _header(data: bytes, at: int, first: int, grown: int) -> bytes:
    """An element's number and its size, `grown` bytes larger, in as many bytes as before."""
    after_id = at + _length(data[at])
    return data[at:after_id] + _bytes(int.from_bytes(data[after_id:first], "big") + grown, first - after_id)


def _bytes(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")
