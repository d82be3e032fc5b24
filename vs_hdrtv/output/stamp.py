"""HDR10 metadata written into packets that are encoded already: what is measured during an encode is known only at its end."""

from __future__ import annotations

from typing import Protocol

from ..errors import InputError
from ..hdr10 import ContentLight, MasteringDisplay
from . import av1, hevc

_CONFIGURATION = 4
"""Bytes of `AV1CodecConfigurationRecord` before its OBUs. AV1 Codec ISO Media File Format Binding, 2.3.3."""


class Stamp:
    """Rewrites the packets of one stream so that they state this mastering display and this content light level, and no other.

    Only packets where decoding can start (HEVC: IRAP access units; AV1: temporal units with a sequence header) carry these two,
    and only they change. Those of length-prefixed HEVC also lose the parameter sets that the hvcC holds. FFV1, ProRes and other
    codecs have no place for metadata: their packets stay as they are, and the container alone states them (`boxes.template`).
    """

    def __init__(self, codec: str, display: MasteringDisplay | None, light: ContentLight | None, extradata: bytes = b"") -> None:
        """Prepare the bytes.

        Args:
            codec: FFmpeg's canonical name: "hevc", "av1", "ffv1", "prores" ... (`stream.codec.canonical_name`).
            display: None (HLG) takes a mastering display out of the stream and puts none in.
            light: None takes a content light level out and puts none in.
            extradata: the stream's, as its encoder or file gave it; an hvcC means length-prefixed HEVC, anything else Annex B.

        Raises:
            InputError: extradata are cut off.
        """
        kind = _CODECS.get(codec)
        self._codec = kind(display, light, extradata) if kind is not None else None

    def packet(self, data: bytes) -> bytes:
        """One packet (access unit, temporal unit), with the metadata where it belongs; unchanged where it does not.

        To be called with a stream's packets in order.

        Raises:
            InputError: the packet is cut off or is not what the codec's packets are.
        """
        return data if self._codec is None else self._codec.packet(data)

    def extradata(self, data: bytes) -> bytes:
        """Extradata (hvcC, Annex B parameter sets, av1C, sequence header) that do not contradict the packets.

        Raises:
            InputError: they are malformed.
        """
        return data if self._codec is None or not data else self._codec.extradata(data)


class _Codec(Protocol):
    """What differs between codecs."""

    def __init__(self, display: MasteringDisplay | None, light: ContentLight | None, extradata: bytes) -> None: ...

    def packet(self, data: bytes) -> bytes: ...

    def extradata(self, data: bytes) -> bytes: ...


class _Hevc:
    KINDS = frozenset((hevc.MASTERING_DISPLAY, hevc.CONTENT_LIGHT))

    def __init__(self, display: MasteringDisplay | None, light: ContentLight | None, extradata: bytes) -> None:
        self._framing = hevc.Framing.of(extradata)
        stated = ((hevc.MASTERING_DISPLAY, display), (hevc.CONTENT_LIGHT, light))
        messages = [(kind, fact.coded()) for kind, fact in stated if fact is not None]
        self._sei = hevc.sei_unit(messages) if messages else None
        # "hvc1" wants parameter sets in the hvcC alone (ISO/IEC 14496-15, 8.4.1). From one that differs on, all are needed.
        self._known = hevc.parameter_sets(extradata) if self._framing.length_size else frozenset()

    def packet(self, data: bytes) -> bytes:
        units = self._framing.split(data)
        if any(hevc.nal_type(unit) in hevc.PARAMETER_SETS and unit not in self._known for unit in units):
            self._known = frozenset()
        if not hevc.is_irap(units):
            return data
        kept = [unit for unit in hevc.without(units, self.KINDS) if unit not in self._known]
        return self._framing.join(hevc.before_pictures(kept, self._sei) if self._sei is not None else kept)

    def extradata(self, data: bytes) -> bytes:
        if self._framing.length_size:
            return hevc.configuration_without(data, self.KINDS)
        return self._framing.join(hevc.without(self._framing.split(data), self.KINDS))


class _Av1:
    KINDS = frozenset((av1.CONTENT_LIGHT, av1.MASTERING_DISPLAY))

    def __init__(self, display: MasteringDisplay | None, light: ContentLight | None, extradata: bytes) -> None:
        facts = []
        if light is not None:
            facts.append(av1.metadata_unit(av1.CONTENT_LIGHT, light.coded()))
        if display is not None:
            facts.append(av1.metadata_unit(av1.MASTERING_DISPLAY, display.av1()))
        self._facts = facts

    def packet(self, data: bytes) -> bytes:
        units = av1.split(data)
        if not any(unit.kind == av1.SEQUENCE_HEADER for unit in units):
            return data
        return av1.replace_metadata(units, self.KINDS, self._facts)

    def extradata(self, data: bytes) -> bytes:
        if not data[0] & 0x80:  # OBUs alone: a header's first bit is 0, that of av1C is a marker
            return self.packet(data)
        if len(data) < _CONFIGURATION:
            raise InputError(f"stamp: av1C of {len(data)} bytes is cut off; encode again")
        head, units = data[:_CONFIGURATION], data[_CONFIGURATION:]
        return head + (self.packet(units) if units else b"")


_CODECS: dict[str, type[_Codec]] = {"hevc": _Hevc, "av1": _Av1}
