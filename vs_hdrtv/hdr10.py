"""What an HDR file says about itself: colour signalling, mastering display (ST 2086), content light level (CTA-861.3).

The same facts in the forms that they travel in: VapourSynth frame properties and x265 parameters. Nothing here is
measured or guessed: a mastering display is what the caller states, a content light level what the caller measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """How a kind of HDR is tagged: code points of H.273 (VapourSynth, containers) and x265's names of the same.

    Attributes:
        primaries: `ColourPrimaries`; 9 is BT.2020.
        transfer: `TransferCharacteristics`; 16 is PQ, 18 is HLG.
        matrix: `MatrixCoefficients`; 9 is BT.2020 non-constant luminance.
        chroma_location: `chroma_sample_loc_type`; 2 is top-left, as BT.2100-2 table 2 puts 4:2:0 chroma.
        x265: parameters of x265 that say the same.
    """

    primaries: int = 9
    transfer: int
    matrix: int = 9
    chroma_location: int = 2
    x265: Mapping[str, str]

    def frame_properties(self) -> dict[str, int]:
        """Properties of every frame so tagged; `_Range` 0 is limited (VapourSynth R81)."""
        return {
            "_Primaries": self.primaries,
            "_Transfer": self.transfer,
            "_Matrix": self.matrix,
            "_Range": 0,
            "_ChromaLocation": self.chroma_location,
        }


_X265_COMMON = {
    "colorprim": "bt2020",
    "colormatrix": "bt2020nc",
    "range": "limited",
    "chromaloc": "2",
    "repeat-headers": "1",  # a player that starts in the middle still learns the metadata
}

SIGNALLING: dict[str, Signalling] = {
    "pq": Signalling(transfer=16, x265={**_X265_COMMON, "transfer": "smpte2084", "hdr10": "1", "hdr10-opt": "1"}),
    "hlg": Signalling(transfer=18, x265={**_X265_COMMON, "transfer": "arib-std-b67"}),
}
"""The two kinds of HDR that the project writes. BT.2100-2."""


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
        """Value of x265's `max-cll`."""
        return f"{self.max},{self.average}"


def x265_params(signalling: Signalling, display: MasteringDisplay | None, light: ContentLight | None) -> dict[str, str]:
    """All that x265 has to be told about the colour of a stream.

    Args:
        signalling: an entry of `SIGNALLING`.
        display: None leaves the mastering display out of the stream.
        light: None leaves both values 0 in the stream, which means unknown.
    """
    params = dict(signalling.x265)
    if display is not None:
        params["master-display"] = display.x265()
    if light is not None:
        params["max-cll"] = light.x265()
    return params


def _numbers(value: float | Sequence[float]) -> list[float]:
    """A frame property's numbers: VapourSynth gives one number bare and several as a list."""
    return [float(item) for item in value] if isinstance(value, Sequence) else [float(value)]
