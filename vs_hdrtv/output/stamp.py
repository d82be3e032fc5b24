"""HDR10 metadata written into packets that are encoded already: what is measured during an encode is known only at its end."""

from __future__ import annotations

from ..hdr10 import ContentLight, MasteringDisplay


class Stamp:
    """Rewrites the packets of one stream so that they state this mastering display and this content light level, and no other.

    Only the packets where decoding can start (HEVC: IRAP access units; AV1: temporal units with a sequence header) carry
    these two, and only they change. FFV1, ProRes and other codecs have no place for them: their packets stay as they are,
    and the container alone states the metadata (`boxes.template`).
    """

    def __init__(self, codec: str, display: MasteringDisplay | None, light: ContentLight | None, extradata: bytes = b"") -> None:
        """Prepare the bytes.

        Args:
            codec: FFmpeg's canonical name: "hevc", "av1", "ffv1", "prores" ... (`stream.codec.canonical_name`).
            display: None (HLG) takes a mastering display out of the stream and puts none in.
            light: None takes a content light level out and puts none in.
            extradata: the stream's as its encoder or file gave it; says whether HEVC packets are length-prefixed (hvcC) or Annex B.
        """

    def packet(self, data: bytes) -> bytes:
        """One packet (access unit, temporal unit), with the metadata where it belongs; unchanged where it does not.

        Raises:
            InputError: the packet is cut off or is not what the codec's packets are.
        """
        return data

    def extradata(self, data: bytes) -> bytes:
        """Extradata (hvcC, Annex B parameter sets, av1C, sequence header) without older metadata.

        Raises:
            InputError: it is malformed.
        """
        return data
