"""AV1 temporal units as bytes: their metadata OBUs taken out and put in. AV1 specification (2019), 5.3 and 5.8."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InputError

SEQUENCE_HEADER, METADATA = 1, 5
"""`obu_type`. AV1 specification, 6.2.2."""

CONTENT_LIGHT, MASTERING_DISPLAY, ITUT_T35 = 1, 2, 4
"""`metadata_type`. AV1 specification, 6.7.1."""

_EXTENSION, _HAS_SIZE = 4, 2
"""Bits of `obu_header`. AV1 specification, 5.3.2."""


@dataclass(frozen=True)
class Unit:
    """An open bitstream unit.

    Attributes:
        data: all of it, as it lay in the stream.
        kind: `obu_type`.
        payload: what follows its header and size.
        sized: it says its own size; the last one of a temporal unit need not.
    """

    data: bytes
    kind: int
    payload: bytes
    sized: bool

    @property
    def metadata(self) -> int | None:
        """`metadata_type` of a metadata OBU, None for any other."""
        return _leb128(self.payload, 0)[0] if self.kind == METADATA else None

    def with_size(self) -> bytes:
        """Its bytes, with its size: needed where another one follows."""
        if self.sized:
            return self.data
        header = self.data[: len(self.data) - len(self.payload)]
        return bytes((header[0] | _HAS_SIZE,)) + header[1:] + _to_leb128(len(self.payload)) + self.payload


def split(data: bytes) -> list[Unit]:
    """The OBUs of a temporal unit in the low-overhead format. AV1 specification, 5.2 and 5.3.

    Raises:
        InputError: it is empty, cut off, or something else.
    """
    units, position = [], 0
    while position < len(data):
        start, header = position, data[position]
        position += 2 if header & _EXTENSION else 1
        if header & 0x80:
            raise InputError(f"stamp: no OBU at byte {start}; the AV1 stream is damaged, encode again")
        size = len(data) - position
        if header & _HAS_SIZE:
            size, position = _leb128(data, position)
        if size < 0 or position + size > len(data):
            raise InputError(f"stamp: an OBU ends beyond its {len(data)} bytes; the AV1 stream is cut off, encode again")
        end = position + size
        units.append(Unit(data[start:end], header >> 3 & 15, data[position:end], bool(header & _HAS_SIZE)))
        position = end
    if not units:
        raise InputError("stamp: an empty packet; the AV1 stream is cut off, encode again")
    return units


def metadata_unit(kind: int, payload: bytes) -> bytes:
    """A metadata OBU with its size. AV1 specification, 5.3.2, 5.3.4 (trailing bits) and 5.8.1."""
    body = _to_leb128(kind) + payload + b"\x80"
    return bytes((METADATA << 3 | _HAS_SIZE,)) + _to_leb128(len(body)) + body


def replace_metadata(units: Iterable[Unit], kinds: frozenset[int], new: Iterable[bytes]) -> bytes:
    """The temporal unit without metadata of these kinds, and with these OBUs after its first sequence header."""
    kept, waiting = [unit for unit in units if unit.metadata not in kinds], list(new)
    out: list[bytes] = []
    for unit in kept:
        last = unit is kept[-1] and not waiting
        out.append(unit.data if last else unit.with_size())
        if unit.kind == SEQUENCE_HEADER:
            out += waiting
            waiting = []
    return b"".join(out)


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """A number and where it ends. AV1 specification, 4.10.5."""
    value = 0
    for index, byte in enumerate(data[position : position + 8]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise InputError("stamp: the size of an OBU does not end; the AV1 stream is cut off, encode again")


def _to_leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
