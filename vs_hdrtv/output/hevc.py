"""HEVC access units as bytes: their SEI messages taken out and put in. H.265, 7.3.1, 7.3.2.4, 7.3.5 and annexes B and D."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import InputError

MASTERING_DISPLAY, CONTENT_LIGHT = 137, 144
"""`payloadType` of the two messages. H.265, D.2.1."""

IRAP = range(16, 24)
"""`nal_unit_type` of pictures where decoding can start, with those reserved for it. H.265, table 7-1."""

VCL = range(32)
"""`nal_unit_type` of slices. H.265, table 7-1."""

PARAMETER_SETS = range(32, 35)
"""`nal_unit_type` of video, sequence and picture parameter sets. H.265, table 7-1."""

PREFIX_SEI, SUFFIX_SEI = 39, 40

_START_CODE = b"\0\0\0\1"
_HVCC_HEADER = 22
"""Bytes of `HEVCDecoderConfigurationRecord` before the number of arrays. ISO/IEC 14496-15, 8.3.2.1."""


def escape(rbsp: bytes) -> bytes:
    """Payload with emulation prevention: no start code appears inside a NAL unit. H.265, 7.3.1.1."""
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", rbsp)


def unescape(nal: bytes) -> bytes:
    """The inverse of `escape`. H.265, 7.3.1.1."""
    return nal.replace(b"\0\0\3", b"\0\0")


@dataclass(frozen=True)
class Framing:
    """How NAL units lie one after the other.

    Attributes:
        length_size: bytes of the length before each (hvcC); 0 for start codes (annex B).
    """

    length_size: int = 0

    @classmethod
    def of(cls, extradata: bytes) -> Framing:
        """What a stream's extradata say: hvcC begins with its version 1, annex B with zeros. None at all means annex B."""
        if not extradata.startswith(b"\1"):
            return cls()
        _check_configuration(extradata, len(extradata))
        return cls((extradata[_HVCC_HEADER - 1] & 3) + 1)

    def split(self, data: bytes) -> list[bytes]:
        """The NAL units of an access unit.

        Raises:
            InputError: it is cut off, or framed otherwise.
        """
        units = list(self._lengths(data) if self.length_size else _start_codes(data))
        if not units or any(len(unit) < 2 or unit[0] & 0x80 for unit in units):
            raise InputError("stamp: an access unit without whole NAL units; the HEVC stream is damaged, encode again")
        return units

    def join(self, units: Iterable[bytes]) -> bytes:
        """The access unit of these NAL units."""
        if not self.length_size:
            return b"".join(_START_CODE + unit for unit in units)
        return b"".join(len(unit).to_bytes(self.length_size) + unit for unit in units)

    def _lengths(self, data: bytes) -> Iterator[bytes]:
        position = 0
        while position < len(data):
            start = position + self.length_size
            position = start + int.from_bytes(data[position:start])
            if position > len(data):
                raise InputError(f"stamp: a NAL unit ends beyond its {len(data)} bytes; the HEVC stream is cut off, encode again")
            yield data[start:position]


def nal_type(unit: bytes) -> int:
    """`nal_unit_type`. H.265, 7.3.1.2."""
    return unit[0] >> 1 & 0x3F


def is_irap(units: Iterable[bytes]) -> bool:
    """Whether decoding can start with this access unit."""
    return any(nal_type(unit) in IRAP for unit in units)


def sei_messages(unit: bytes) -> list[tuple[int, bytes]]:
    """`payloadType` and payload of every message of an SEI NAL unit. H.265, 7.3.5.

    Raises:
        InputError: a message is longer than its NAL unit.
    """
    rbsp = unescape(unit[2:]).rstrip(b"\0")
    if not rbsp.endswith(b"\x80"):  # rbsp_trailing_bits: messages are whole bytes
        raise InputError("stamp: an SEI NAL unit without an end; the HEVC stream is damaged, encode again")
    end = len(rbsp) - 1
    messages, position = [], 0
    while position < end:
        numbers = []
        for _ in range(2):
            number = 0
            while position < end and rbsp[position] == 0xFF:
                number, position = number + 0xFF, position + 1
            if position >= end:
                raise InputError("stamp: an SEI message is cut off; the HEVC stream is damaged, encode again")
            numbers.append(number + rbsp[position])
            position += 1
        kind, size = numbers
        if position + size > end:
            raise InputError(f"stamp: SEI message {kind} of {size} bytes is cut off; the HEVC stream is damaged, encode again")
        messages.append((kind, rbsp[position : position + size]))
        position += size
    return messages


def sei_unit(messages: Iterable[tuple[int, bytes]], unit_type: int = PREFIX_SEI) -> bytes:
    """An SEI NAL unit of the base layer with these messages. H.265, 7.3.1.2 and 7.3.5."""
    rbsp = b"".join(_number(kind) + _number(len(payload)) + payload for kind, payload in messages)
    return bytes((unit_type << 1, 1)) + escape(rbsp + b"\x80")


def without(units: Iterable[bytes], kinds: frozenset[int]) -> list[bytes]:
    """The NAL units without SEI messages of these kinds; all else stays byte for byte."""
    kept = []
    for unit in units:
        if nal_type(unit) in (PREFIX_SEI, SUFFIX_SEI):
            messages = sei_messages(unit)
            rest = [message for message in messages if message[0] not in kinds]
            if len(rest) < len(messages):
                if rest:
                    kept.append(unit[:2] + sei_unit(rest)[2:])
                continue
        kept.append(unit)
    return kept


def before_pictures(units: list[bytes], sei: bytes) -> list[bytes]:
    """The access unit with an SEI NAL unit before its first slice, behind parameter sets and other SEI. H.265, 7.4.2.4.4."""
    first = next(index for index, unit in enumerate(units) if nal_type(unit) in VCL)
    return [*units[:first], sei, *units[first:]]


def configuration_without(record: bytes, kinds: frozenset[int]) -> bytes:
    """An hvcC without SEI messages of these kinds. ISO/IEC 14496-15, 8.3.2.1.

    Raises:
        InputError: it is cut off.
    """
    arrays, rest = _arrays(record)
    kept = [(head, count, without(units, kinds)) for head, count, units in arrays]
    kept = [(head, count, units) for head, count, units in kept if units or not count]
    written = (
        head + len(units).to_bytes(2) + b"".join(len(unit).to_bytes(2) + unit for unit in units) for head, _, units in kept
    )
    return record[:_HVCC_HEADER] + bytes((len(kept),)) + b"".join(written) + rest


def parameter_sets(record: bytes) -> frozenset[bytes]:
    """The parameter sets of a stream's extradata, hvcC (ISO/IEC 14496-15, 8.3.2.1) or annex B.

    Raises:
        InputError: it is cut off.
    """
    if not record.startswith(b"\1"):
        return frozenset(unit for unit in _start_codes(record) if nal_type(unit) in PARAMETER_SETS)
    return frozenset(unit for _, _, units in _arrays(record)[0] for unit in units if nal_type(unit) in PARAMETER_SETS)


def _arrays(record: bytes) -> tuple[list[tuple[bytes, int, list[bytes]]], bytes]:
    """First byte, number and content of each array of NAL units in an hvcC; and what follows the arrays."""
    _check_configuration(record, len(record))
    arrays, position = [], _HVCC_HEADER + 1
    for _ in range(record[_HVCC_HEADER]):
        head, count = record[position : position + 1], int.from_bytes(record[position + 1 : position + 3])
        position += 3
        units = []
        for _ in range(count):
            size = int.from_bytes(record[position : position + 2])
            units.append(record[position + 2 : position + 2 + size])
            position += 2 + size
        _check_configuration(record, position, units)
        arrays.append((head, count, units))
    return arrays, record[position:]


def _check_configuration(record: bytes, end: int, units: Iterable[bytes] = ()) -> None:
    """Refuse an hvcC that is shorter than what it says."""
    if len(record) <= _HVCC_HEADER or end > len(record) or any(len(unit) < 2 for unit in units):
        raise InputError(f"stamp: hvcC of {len(record)} bytes is cut off; encode again")


def _start_codes(data: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream; zeros before a start code belong to it. H.265, annex B.2."""
    if not data.lstrip(b"\0").startswith(b"\1") or not data.startswith(b"\0\0"):
        raise InputError("stamp: an access unit without a start code; the HEVC stream is damaged, encode again")
    for unit in data.split(b"\0\0\1")[1:]:
        yield unit.rstrip(b"\0")


def _number(value: int) -> bytes:
    """`payloadType` or `payloadSize`: 255 for each whole 255, then the rest. H.265, 7.3.5."""
    return b"\xff" * (value // 255) + bytes((value % 255,))
