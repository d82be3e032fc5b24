"""What an HDR file says about itself: colour signalling, mastering display (ST 2086), content light level (CTA-861.3).

The same facts in the forms that they travel in: VapourSynth frame properties, encoders' arguments (x265, SVT-AV1, NVEnc) and the
bytes of H.265, AV1 and ISO files. Nothing here is measured or guessed: a mastering display is what the caller states, a content
light level what the caller measured.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

from .color.gamut import D65, PRIMARIES
from .errors import InputError

Chromaticity = tuple[float, float]
"""CIE 1931 x and y, each in (0, 1)."""

CHROMATICITY_STEPS = 50000
"""Coded steps in 1.0 of a chromaticity (steps of 0.00002). H.265, D.3.28; SMPTE ST 2086."""

LUMINANCE_STEPS = 10000
"""Coded steps in 1 cd/m2 of a display's luminance (steps of 0.0001 cd/m2). H.265, D.3.28; SMPTE ST 2086."""

PQ_PEAK = 10000.0
"""cd/m2 above which no PQ display is mastered. BT.2100-2, table 4."""


@dataclass(frozen=True, kw_only=True)
class Signalling:
    """How a kind of HDR is tagged: code points of H.273, which VapourSynth, containers and encoders share.

    Attributes:
        primaries: `ColourPrimaries`; 9 is BT.2020.
        transfer: `TransferCharacteristics`; 16 is PQ, 18 is HLG.
        matrix: `MatrixCoefficients`; 9 is BT.2020 non-constant luminance.
        chroma_location: `chroma_sample_loc_type`; 2 is top-left, as BT.2100-2 table 2 puts 4:2:0 chroma.
        full_range: `VideoFullRangeFlag`.
        x265: parameters of x265 besides those that say the above.
    """

    primaries: int = 9
    transfer: int
    matrix: int = 9
    chroma_location: int = 2
    full_range: bool = False
    x265: Mapping[str, str] = field(default_factory=dict)

    def frame_properties(self) -> dict[str, int]:
        """Properties of every frame so tagged; `_Range` is 0 for limited, 1 for full (VapourSynth R81)."""
        return {
            "_Primaries": self.primaries,
            "_Transfer": self.transfer,
            "_Matrix": self.matrix,
            "_Range": int(self.full_range),
            "_ChromaLocation": self.chroma_location,
        }


_REPEAT = {"repeat-headers": "1"}  # a player that starts in the middle still learns the metadata

CHROMA_OFFSETS = {"cbqpoffs": "-6", "crqpoffs": "-9"}
"""x265's quantisation of chroma beside that of luma. Colours of BT.709 fill a part of BT.2020 alone, red-difference the least:
without offsets dark saturated colours fade (`scripts/encoder_quality.py`). ITU-T H-series Supplement 15 lowers the same two for
PQ, Cr more than Cb."""

SIGNALLING: dict[str, Signalling] = {
    "pq": Signalling(transfer=16, x265={**_REPEAT, "hdr10": "1", "hdr10-opt": "1", **CHROMA_OFFSETS}),
    "hlg": Signalling(transfer=18, x265={**_REPEAT, **CHROMA_OFFSETS}),
}
"""The two kinds of HDR that the project writes. BT.2100-2."""

_PRIMARIES = {9: "bt2020"}
_TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}
_MATRICES = {9: "bt2020nc"}
_RANGES = {False: "limited", True: "full"}
# The words of x265 and NVEncC for code points of H.273.


@dataclass(frozen=True, kw_only=True)
class MasteringDisplay:
    """The display that a programme was graded on (SMPTE ST 2086). The default is a statement, not a measurement.

    Attributes:
        primaries: red, green, blue; P3 with D65 white, as the field masters, unless stated.
        white: white point.
        min_luminance: cd/m2, at least 0.
        max_luminance: cd/m2, above `min_luminance`, at most 10000.

    Raises:
        InputError: a luminance or a chromaticity is outside these ranges.
    """

    primaries: tuple[Chromaticity, Chromaticity, Chromaticity] = PRIMARIES["p3_d65"]
    white: Chromaticity = D65
    min_luminance: float = 0.0001
    max_luminance: float = 1000.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_luminance < self.max_luminance <= PQ_PEAK:
            raise InputError(
                f"mastering_display: luminance from {self.min_luminance} to {self.max_luminance} cd/m2; "
                f"the peak must be above the black and at most {PQ_PEAK:.0f}"
            )
        for x, y in (*self.primaries, self.white):
            if not (0 < x < 1 and 0 < y < 1):
                raise InputError(f"mastering_display: chromaticity ({x}, {y}); x and y must be between 0 and 1")

    def frame_properties(self) -> dict[str, float | list[float]]:
        """Properties as BestSource names them: primaries in the order red, green, blue; luminance in cd/m2."""
        return {
            "MasteringDisplayPrimariesX": [x for x, _ in self.primaries],
            "MasteringDisplayPrimariesY": [y for _, y in self.primaries],
            "MasteringDisplayWhitePointX": self.white[0],
            "MasteringDisplayWhitePointY": self.white[1],
            "MasteringDisplayMinLuminance": self.min_luminance,
            "MasteringDisplayMaxLuminance": self.max_luminance,
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Self | None:
        """The display that a frame's properties state, or None where one of the six is missing."""
        try:
            xs, ys = (_numbers(properties[f"MasteringDisplayPrimaries{axis}"]) for axis in "XY")
            white_x, white_y = (float(properties[f"MasteringDisplayWhitePoint{axis}"]) for axis in "XY")
            low, high = (float(properties[f"MasteringDisplay{end}Luminance"]) for end in ("Min", "Max"))
        except KeyError:
            return None
        if len(xs) != 3 or len(ys) != 3:
            return None
        red, green, blue = zip(xs, ys, strict=True)
        return cls(primaries=(red, green, blue), white=(white_x, white_y), min_luminance=low, max_luminance=high)

    def x265(self) -> str:
        """Value of x265's `master-display`: green, blue, red, white, then luminance as (max, min), in coded steps."""
        red, green, blue = self.primaries
        points = {"G": green, "B": blue, "R": red, "WP": self.white}
        coded = "".join(
            f"{name}({round(x * CHROMATICITY_STEPS)},{round(y * CHROMATICITY_STEPS)})" for name, (x, y) in points.items()
        )
        high, low = round(self.max_luminance * LUMINANCE_STEPS), round(self.min_luminance * LUMINANCE_STEPS)
        return f"{coded}L({high},{low})"

    def svt_av1(self) -> str:
        """Value of SVT-AV1's `--mastering-display`: x265's order, but plain numbers (SVT-AV1 user guide, appendix A.2)."""
        red, green, blue = self.primaries
        points = {"G": green, "B": blue, "R": red, "WP": self.white, "L": (self.max_luminance, self.min_luminance)}
        return "".join(f"{name}({_decimal(x)},{_decimal(y)})" for name, (x, y) in points.items())

    def coded(self) -> bytes:
        """24 bytes, the payload of H.265's SEI message 137 and of the `mdcv` box, which are the same.

        Green, blue, red, white as x and y, then maximum and minimum luminance. H.265, D.2.28, D.3.28; ISO/IEC 14496-12, 12.1.7.
        """
        red, green, blue = self.primaries
        points = [round(value * CHROMATICITY_STEPS) for point in (green, blue, red, self.white) for value in point]
        return struct.pack(
            ">8H2I", *points, round(self.max_luminance * LUMINANCE_STEPS), round(self.min_luminance * LUMINANCE_STEPS)
        )

    def av1(self) -> bytes:
        """24 bytes, `metadata_hdr_mdcv`: red, green, blue, white in 0.16 fixed point, maximum in 24.8, minimum in 18.14.

        AV1 Bitstream & Decoding Process Specification, 5.8.4 and 6.7.4.
        """
        points = [min(round(value * 2**16), 2**16 - 1) for point in (*self.primaries, self.white) for value in point]
        return struct.pack(">8H2I", *points, round(self.max_luminance * 2**8), round(self.min_luminance * 2**14))


@dataclass(frozen=True)
class ContentLight:
    """Measured light of a whole programme (CTA-861.3, annex P; H.265, D.3.35).

    Attributes:
        max: MaxCLL, the brightest max(R, G, B) of any pixel, in cd/m2, [0, 65535]; 0 means unknown.
        average: MaxFALL, the highest average of max(R, G, B) of any frame, in cd/m2, [0, 65535]; 0 means unknown.

    Raises:
        InputError: a value is outside its range.
    """

    max: int
    average: int

    def __post_init__(self) -> None:
        if not (0 <= self.max <= 65535 and 0 <= self.average <= 65535):
            raise InputError(f"content_light: MaxCLL {self.max}, MaxFALL {self.average}; both must be in [0, 65535] cd/m2")

    @classmethod
    def measured(cls, max_light: float, average_light: float) -> Self:
        """From the light found in the frames, in cd/m2, rounded up so that no pixel is brighter than stated."""
        return cls(math.ceil(max_light), math.ceil(average_light))

    def frame_properties(self) -> dict[str, int]:
        """Properties as BestSource names them."""
        return {"ContentLightLevelMax": self.max, "ContentLightLevelAverage": self.average}

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Self | None:
        """The level that a frame's properties state; None where it is missing or both values are 0 (unknown)."""
        try:
            found = cls(int(properties["ContentLightLevelMax"]), int(properties["ContentLightLevelAverage"]))
        except KeyError:
            return None
        return found if found.max or found.average else None

    def x265(self) -> str:
        """Value of x265's `max-cll`, SVT-AV1's `--content-light` and NVEncC's `--max-cll`."""
        return f"{self.max},{self.average}"

    def coded(self) -> bytes:
        """4 bytes, MaxCLL and MaxFALL: the payload of H.265's SEI message 144, of the `clli` box and of AV1's `metadata_hdr_cll`.

        H.265, D.2.35; ISO/IEC 14496-12, 12.1.6; AV1 specification, 5.8.3.
        """
        return struct.pack(">2H", self.max, self.average)


PACKED = "yuv420p10"
"""Samples that HDR10 players take, by the name of the VapourSynth format in small letters."""


def x265_params(
    signalling: Signalling, display: MasteringDisplay | None, light: ContentLight | None, samples: str = PACKED
) -> dict[str, str]:
    """All that x265 has to be told because of the colour of a stream.

    Args:
        signalling: an entry of `SIGNALLING`.
        display: None leaves the mastering display out of the stream.
        light: None leaves both values 0 in the stream, which means unknown.
        samples: what it encodes: yuv420p10, yuv444p12 ...
    """
    params = {
        "colorprim": _PRIMARIES[signalling.primaries],
        "transfer": _TRANSFERS[signalling.transfer],
        "colormatrix": _MATRICES[signalling.matrix],
        "range": _RANGES[signalling.full_range],
        "chromaloc": str(signalling.chroma_location),
        **signalling.x265,
    }
    if not samples.startswith("yuv420"):
        del params["chromaloc"]  # of 4:2:0 alone (H.265, E.3.1)
    if samples != PACKED:
        params.pop("hdr10-opt", None)  # x265 refuses it for others
    if display is not None:
        params["master-display"] = display.x265()
    if light is not None:
        params["max-cll"] = light.x265()
    return params


_X265_SWITCHES = {"hdr10", "hdr10-opt", "repeat-headers"}
"""Set to 1 in x265's library, on its command line the name alone."""

_SVT_AV1_CHROMA = {0: "left", 2: "topleft"}
"""`chroma_sample_loc_type` -> SVT-AV1's word; AV1 knows no other. AV1 specification, 6.4.2, `chroma_sample_position`."""


def _x265_arguments(
    signalling: Signalling,
    display: MasteringDisplay | None,
    light: ContentLight | None,
    aspect: Fraction | None = None,
    samples: str = PACKED,
) -> list[str]:
    words = ["--output-depth", samples[-2:]]  # x265 would encode 8 bits, whatever the y4m holds
    for name, value in x265_params(signalling, display, light, samples).items():
        words += [f"--{name}"] if name in _X265_SWITCHES else [f"--{name}", value]
    return [*words, *_aspect(aspect)]


def _svt_av1_arguments(
    signalling: Signalling, display: MasteringDisplay | None, light: ContentLight | None, aspect: Fraction | None = None
) -> list[str]:
    """AV1 has no pixel aspect ratio in its stream: it is left to the muxer."""
    words = ["--color-primaries", str(signalling.primaries), "--transfer-characteristics", str(signalling.transfer)]
    words += ["--matrix-coefficients", str(signalling.matrix), "--color-range", str(int(signalling.full_range))]
    words += ["--chroma-sample-position", _SVT_AV1_CHROMA.get(signalling.chroma_location, "unknown")]
    if display is not None:
        words += ["--mastering-display", display.svt_av1()]
    return words if light is None else [*words, "--content-light", light.x265()]


def _nvenc_arguments(
    signalling: Signalling, display: MasteringDisplay | None, light: ContentLight | None, aspect: Fraction | None = None
) -> list[str]:
    """NVEncC encodes 8 bits of H.264 unless it is told, whatever the y4m holds."""
    words = ["--codec", "hevc", "--output-depth", "10", "--colorprim", _PRIMARIES[signalling.primaries]]
    words += ["--transfer", _TRANSFERS[signalling.transfer], "--colormatrix", _MATRICES[signalling.matrix]]
    words += ["--colorrange", _RANGES[signalling.full_range], "--chromaloc", str(signalling.chroma_location), "--repeat-headers"]
    if display is not None:
        words += ["--master-display", display.x265()]
    if light is not None:
        words += ["--max-cll", light.x265()]
    return [*words, *_aspect(aspect)]


ENCODER_ARGUMENTS: dict[str, Callable[..., list[str]]] = {
    "x265": _x265_arguments,
    "svt-av1": _svt_av1_arguments,
    "nvenc": _nvenc_arguments,
}
"""Encoder (x265, SvtAv1EncApp, NVEncC) -> function `(signalling, display, light, aspect=None)` that gives the words of its
command line for all that y4m, as vspipe writes it, does not carry. A display or light that is None is left out. x265's also takes
`samples`, as `x265_params` does; the others are for `PACKED`."""


def _aspect(aspect: Fraction | None) -> list[str]:
    return [] if aspect is None else ["--sar", f"{aspect.numerator}:{aspect.denominator}"]


def _decimal(value: float) -> str:
    """Without an exponent and without idle zeros: `0.0001`, `1000`."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _numbers(value: float | Sequence[float]) -> list[float]:
    """A frame property's numbers: VapourSynth gives one number bare and several as a list."""
    return [float(item) for item in value] if isinstance(value, Sequence) else [float(value)]
