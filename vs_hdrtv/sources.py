"""Clips as sources of signals: what their properties say, what is assumed where they say nothing, and the float RGB of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from .color.arrays import Array, tame
from .color.planes import ChromaLocation, ycbcr_to_rgb
from .engines import Engine
from .errors import InputError
from .networks import parts

logger = logging.getLogger(__name__)

HDR_TRANSFERS = {int(vs.TRANSFER_ST2084): "PQ", int(vs.TRANSFER_ARIB_B67): "HLG"}

SD_LINES, NTSC_LINES = 576, 486
"""Untagged video of up to 576 lines is BT.601; of up to 486 lines (and 480, its usual crop) its 525-line variant."""

FEATURE_CHANNELS = "_HdrtvChannels"
"""Frame property of a clip of features: how many there are, one below the other in its only plane."""

FEATURES_OF = "_HdrtvFeatures"
"""And the stage that made them."""

_LINEAR = "the result of recover_keyframes or propagate_keyframes"

STAGE_BEFORE = {"modulate": "align", "enhance": "modulate"}
"""Whose features a stage takes."""

_UNSPECIFIED = 2
_FIELDS = {int(vs.FIELD_TOP), int(vs.FIELD_BOTTOM)}
_PRIMARIES_OF_MATRIX = {
    int(vs.MATRIX_ST170_M): int(vs.PRIMARIES_ST170_M),
    int(vs.MATRIX_BT470_BG): int(vs.PRIMARIES_BT470_BG),
    int(vs.MATRIX_BT2020_NCL): int(vs.PRIMARIES_BT2020),
}


@dataclass(frozen=True)
class PlaneLayout:
    """How integer Y'CbCr planes code a signal that is `sdr` already but for its matrix; see `color.planes.ycbcr_to_rgb`."""

    matrix: str
    depth: int
    full_range: bool
    chroma_location: ChromaLocation


@dataclass(frozen=True, eq=False)
class ClipSource:
    """A clip that a plan reads.

    Attributes:
        raw: the clip itself, for its properties.
        planes: RGBS (or GRAYS) clip of the signal.
        assumed: frame properties that were missing and what was taken for them.
        name: filter that reads it; messages start with it.
        signal: `sdr`, `hdr`, `linear`, `mask` or `features`.
        force: take a clip tagged PQ or HLG for SDR.
        layout: how the raw planes code the signal, None where only zimg can bring them to it.
    """

    raw: vs.VideoNode
    planes: vs.VideoNode
    assumed: Mapping[str, int]
    name: str
    signal: str
    force: bool
    layout: PlaneLayout | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.raw.width, self.raw.height // (parts.CHANNELS["features"] if self.signal == "features" else 1)

    def window_clip(self, engine: Engine) -> vs.VideoNode:
        """The clip whose frames `read` takes: the integer planes where the engine unpacks them on its device."""
        return self.raw if self._on_device(engine) else self.planes

    def read(self, frame: vs.VideoFrame, engine: Engine) -> Array:
        """A frame of `window_clip` as (1, C, H, W) on the engine's device.

        Raises:
            InputError: the planes have become of a kind that only zimg can read.
        """
        if self.signal == "features":
            width, height = self.size
            return engine.upload(np.asarray(frame[0]).reshape(1, -1, height, width))  # (1, C, H, W)
        if not self._on_device(engine):
            return engine.upload(read_planes(frame))
        # By the frame's own tags, as zimg reads them on the host: a recording may change them midway.
        layout = _layout(frame.format, {**frame.props, **self.assumed})
        if layout is None:
            tags = ", ".join(f"{prop}={int(frame.props[prop])}" for prop, _ in TAGS.values() if prop in frame.props)
            raise InputError(f"{self.name}: clip changes to {tags}; bring it to one form, for example with core.resize.Bicubic")
        y, cb, cr = (engine.upload(np.asarray(frame[plane])[None, None]) for plane in range(3))
        return ycbcr_to_rgb(
            (y, cb, cr),
            matrix=layout.matrix,
            depth=layout.depth,
            full_range=layout.full_range,
            chroma_location=layout.chroma_location,
        )

    def _on_device(self, engine: Engine) -> bool:
        return engine.unpacks and self.layout is not None

    def check(self, props: Mapping[str, Any], frame: int) -> None:
        """Refuse a frame whose properties have changed into something that cannot be read as the signal.

        Raises:
            InputError: the frame is interlaced, or of another transfer, or tagged where frame 0 was not.
        """
        if self.signal == "features":
            check_features(self.name, props, f" at frame {frame}")
            return
        _check(self.name, self.signal, props, self.force, f" at frame {frame}")
        for key, value in self.assumed.items():
            found = _code(props, key, _UNSPECIFIED)
            if found not in (_UNSPECIFIED, value):
                raise InputError(
                    f"{self.name}: clip has {key}={found} at frame {frame} but none at frame 0, where {value} was assumed; "
                    f"tag the whole clip with core.std.SetFrameProps(clip, {key}=...)"
                )


def is_constant(clip: vs.VideoNode) -> bool:
    """Whether all frames of a clip have one format and one size; zimg ends the process where the size varies."""
    varies = clip.format is None or clip.format.color_family == vs.UNDEFINED  # the one before R55, the other since
    return not varies and clip.width > 0 and clip.height > 0


def open_source(
    name: str, clip: vs.VideoNode, signal: str, *, force: bool = False, known: bool = False, quiet: bool = False
) -> ClipSource:
    """Check a clip and prepare its float planes.

    Args:
        name: filter that asks; messages start with it.
        clip: constant format and size.
        signal: `sdr`: anything SDR, brought to BT.709 primaries and a BT.1886 signal, light preserved. `hdr`: PQ, BT.2020.
            `linear`: RGBS. `mask`: one grey plane, 0 to 1 or all codes of an integer format. `features`: what `align` or
            `modulate` gave.
        force: take a clip tagged PQ or HLG for SDR.
        known: the clip was made by this package and carries `signal`: its frame 0 is not asked for.
        quiet: what is assumed is not logged: another filter reads the same clip and says it.

    Raises:
        InputError: variable format or size, interlaced, already HDR (for `sdr`), or not PQ (for `hdr`).
    """
    if not isinstance(clip, vs.VideoNode):
        raise InputError(f"{name}: clip is a {type(clip).__name__}; give a vapoursynth.VideoNode")
    if not is_constant(clip):
        raise InputError(
            f"{name}: clip has variable format or size; make it constant first, for example with core.resize.Bicubic"
        )
    if signal == "features":
        channels = parts.CHANNELS[signal]
        if clip.format.id != vs.GRAYS or clip.height % channels:
            found = f"{clip.format.name}, {clip.width}x{clip.height}"
            raise InputError(
                f"{name}: clip is {found}; give the features that align or modulate made, {channels} in a GRAYS clip"
            )
        return ClipSource(clip, clip, {}, name, signal, force)
    if signal == "linear" and clip.format.id != vs.RGBS:
        raise InputError(f"{name}: clip is {clip.format.name}; give linear light in RGBS, {_LINEAR}")
    if known or signal == "linear":  # whose frame 0 would be the networks' work
        return ClipSource(clip, clip, {}, name, signal, force)
    if clip.format.sample_type == vs.INTEGER and clip.format.bits_per_sample > 16:
        raise InputError(f"{name}: clip is {clip.format.name}; at most 16 bits can be read, convert it with core.std.Expr first")
    if signal == "mask":
        return ClipSource(clip, _mask(name, clip), {}, name, signal, force)
    if clip.format.color_family == vs.GRAY and _first_properties(name, clip).get("_Matrix") == vs.MATRIX_RGB:
        # A plane of RGB, by ShufflePlanes: it has no matrix, and all codes.
        clip = clip.std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=vs.RANGE_FULL)
    props = _first_properties(name, clip)
    _check(name, signal, props, force, "")
    assumed = _assume(name, clip, props, quiet)
    arguments: dict[str, Any] = {_RESIZE_ARGUMENT[key]: value for key, value in assumed.items()}
    if signal == "sdr":
        # A frame property outweighs an argument of resize: a wrong tag has to be replaced.
        wrong = force and _code(props, "_Transfer", _UNSPECIFIED) in HDR_TRANSFERS
        readable = clip.std.SetFrameProps(_Transfer=vs.TRANSFER_BT709) if wrong else clip
        planes = readable.resize.Bicubic(
            format=vs.RGBS, transfer=vs.TRANSFER_BT709, primaries=vs.PRIMARIES_BT709, **_CATMULL_ROM, **arguments
        )
    else:
        planes = clip.resize.Bicubic(format=vs.RGBS, **_CATMULL_ROM, **arguments)
    _try_conversion(name, clip, planes, {**props, **assumed})
    layout = _layout(clip.format, {**props, **assumed}) if signal == "sdr" else None
    return ClipSource(clip, planes, assumed, name, signal, force, layout)


def _try_conversion(name: str, clip: vs.VideoNode, planes: vs.VideoNode, props: Mapping[str, Any]) -> None:
    """Refuse tags that contradict the clip (YUV tagged as RGB) or that nothing knows, before any frame is asked for.

    zimg says so only when it converts: a corner of frame 0 is enough for it.
    """
    try:
        planes[0].std.CropAbs(min(planes.width, 16), min(planes.height, 16)).get_frame(0).close()
    except vs.Error as error:
        tags = ", ".join(f"{prop}={props[prop]}" for prop, _ in TAGS.values() if prop in props)
        why = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{name}: clip is {clip.format.name} with {tags}, which cannot be read ({why}); "
            "say what it is with matrix=, transfer=, primaries= or range="
        ) from None


def retag(name: str, clip: vs.VideoNode, tags: Mapping[str, str | int | None]) -> vs.VideoNode:
    """`clip` with the frame properties that the user says outweigh its own.

    Args:
        name: filter that asks; messages start with it.
        clip: any clip.
        tags: key of `TAGS` to a name of that table, a code point of H.273, or None for what the clip says itself.

    Raises:
        InputError: a tag or its value is unknown.
    """
    properties: dict[str, int] = {}
    for tag, value in tags.items():
        if value is None:
            continue
        prop, names = TAGS[tag]
        if isinstance(value, str) and value in names:
            properties[prop] = names[value]
        elif not isinstance(value, str) and int(value) in names.values():
            properties[prop] = int(value)
        else:
            raise InputError(f"{name}: unknown {tag} {value!r}; choose one of {', '.join(names)}")
    return clip.std.SetFrameProps(**properties) if properties else clip


def _first_properties(name: str, clip: vs.VideoNode) -> Mapping[str, Any]:
    try:
        props: Mapping[str, Any] = clip.get_frame(0).props
        return props
    except vs.Error as error:
        raise InputError(f"{name}: frame 0 of the clip cannot be had ({str(error).strip().splitlines()[-1]})") from None


def _mask(name: str, clip: vs.VideoNode) -> vs.VideoNode:
    """GRAYS, 0 to 1."""
    if clip.format.color_family != vs.GRAY:
        remedy = "give one grey plane, for example core.std.ShufflePlanes(mask, 0, vs.GRAY)"
        raise InputError(f"{name}: mask is {clip.format.name}; {remedy}")
    if clip.format.sample_type == vs.INTEGER:
        return clip.std.Expr(f"x {(1 << clip.format.bits_per_sample) - 1} /", format=vs.GRAYS)
    return clip.std.Expr("x 0 max 1 min", format=vs.GRAYS)


def read_planes(frame: vs.VideoFrame) -> NDArray[np.float32]:
    """(1, C, H, W) copy of a float frame; see `color.arrays.tame`."""
    return tame(np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)])[None])


def _layout(video_format: vs.VideoFormat, props: Mapping[str, Any]) -> PlaneLayout | None:
    """The layout of planes that `ycbcr_to_rgb` can unpack to `sdr`, None for all others."""
    matrix = _MATRICES.get(_code(props, "_Matrix", _UNSPECIFIED))
    location = _CHROMA_LOCATIONS.get(_code(props, "_ChromaLocation", vs.CHROMA_LEFT))
    if (
        matrix is None
        or location is None
        or video_format.color_family != vs.YUV
        or video_format.sample_type != vs.INTEGER
        or max(video_format.subsampling_w, video_format.subsampling_h) > 1
        or _code(props, "_Transfer", _UNSPECIFIED) not in _BT1886_TRANSFERS
        or _code(props, "_Primaries", _UNSPECIFIED) != vs.PRIMARIES_BT709
    ):
        return None
    full_range = _code(props, "_Range", vs.RANGE_LIMITED) == vs.RANGE_FULL
    return PlaneLayout(matrix, video_format.bits_per_sample, full_range, location)


_MATRICES = {int(vs.MATRIX_BT709): "bt709", int(vs.MATRIX_BT470_BG): "bt601", int(vs.MATRIX_ST170_M): "bt601"}
_CHROMA_LOCATIONS: dict[int, ChromaLocation] = {
    int(vs.CHROMA_LEFT): "left",
    int(vs.CHROMA_CENTER): "center",
    int(vs.CHROMA_TOP_LEFT): "top_left",
    int(vs.CHROMA_TOP): "top",
}
_BT1886_TRANSFERS = {int(vs.TRANSFER_BT709), int(vs.TRANSFER_BT601), int(vs.TRANSFER_BT2020_10), int(vs.TRANSFER_BT2020_12)}

TAGS: dict[str, tuple[str, dict[str, int]]] = {
    "matrix": ("_Matrix", {"rgb": 0, "709": 1, "470bg": 5, "170m": 6, "240m": 7, "ycgco": 8, "2020ncl": 9}),
    "transfer": ("_Transfer", {"709": 1, "470m": 4, "470bg": 5, "601": 6, "240m": 7, "linear": 8, "srgb": 13, "2020_10": 14}),
    "primaries": ("_Primaries", {"709": 1, "470m": 4, "470bg": 5, "170m": 6, "240m": 7, "2020": 9, "st431-2": 11, "st432-1": 12}),
    "range": ("_Range", {"limited": 0, "full": 1}),
    "chroma_location": (
        "_ChromaLocation",
        {"left": 0, "center": 1, "top_left": 2, "top": 3, "bottom_left": 4, "bottom": 5},
    ),
}
"""What a user may say of a clip against its own tags: frame property, and names as `core.resize` has them for code points of
H.273 (tables 2 to 4 and figure 1)."""

_CATMULL_ROM = {"filter_param_a": 0.0, "filter_param_b": 0.5}
_ENUMS = {
    "_Matrix": vs.MatrixCoefficients,
    "_Transfer": vs.TransferCharacteristics,
    "_Primaries": vs.ColorPrimaries,
    "_Range": vs.Range,
}
_RESIZE_ARGUMENT = {"_Matrix": "matrix_in", "_Transfer": "transfer_in", "_Primaries": "primaries_in", "_Range": "range_in"}


def _code(props: Mapping[str, Any], key: str, default: int) -> int:
    """A property as the one number that it should be; `default` where it is missing, or text or a list."""
    value = props.get(key, default)
    return int(value) if isinstance(value, int | float) else int(default)


def check_features(name: str, props: Mapping[str, Any], where: str = "") -> None:
    """Refuse what is no features, or those of another stage than the one before.

    Raises:
        InputError: the properties of a frame say so.
    """
    found, wanted = props.get(FEATURE_CHANNELS), parts.CHANNELS["features"]
    if found != wanted:
        raise InputError(
            f"{name}: clip holds no features{where} ({FEATURE_CHANNELS} is {found}, not {wanted}); "
            "give it the result of align or modulate"
        )
    made_by, before = props.get(FEATURES_OF), STAGE_BEFORE.get(name)
    if before not in (None, made_by):
        raise InputError(f"{name}: clip holds the features of {made_by}{where}; give it the result of {before}")


def _check(name: str, signal: str, props: Mapping[str, Any], force: bool, where: str) -> None:
    if FEATURE_CHANNELS in props:
        raise InputError(
            f"{name}: clip holds features{where}, the result of align or modulate; give it the clip that they came of"
        )
    field = _code(props, "_FieldBased", 0)
    if field in _FIELDS:
        raise InputError(
            f"{name}: clip is interlaced{where} (_FieldBased={field}); deinterlace it first, for example with "
            "core.bwdif.Bwdif(clip, field=3), or where film was telecined with core.vivtc.VFM and core.vivtc.VDecimate"
        )
    transfer = _code(props, "_Transfer", _UNSPECIFIED)
    if signal == "sdr" and transfer in HDR_TRANSFERS and not force:
        raise InputError(
            f"{name}: clip is already HDR{where} ({HDR_TRANSFERS[transfer]}, _Transfer={transfer}); "
            "pass it by, or use force=True if the tag is wrong"
        )
    if signal == "linear" and transfer != vs.TRANSFER_LINEAR:
        raise InputError(f"{name}: clip is not linear light{where} (_Transfer={transfer}); give {_LINEAR}")
    if signal == "hdr" and transfer != vs.TRANSFER_ST2084:
        raise InputError(
            f"{name}: clip is not PQ{where} (_Transfer={transfer}); give it the result of feature_map or inverse_tone_map"
        )


def _assume(name: str, clip: vs.VideoNode, props: Mapping[str, Any], quiet: bool) -> dict[str, int]:
    """Properties that are missing, by the project's rule: up to 576 lines BT.601, else BT.709; logged once a filter."""
    standard = clip.height > SD_LINES
    lines_525 = clip.height <= NTSC_LINES
    rgb = clip.format.color_family == vs.RGB
    if rgb or standard:
        matrix, primaries = vs.MATRIX_BT709, vs.PRIMARIES_BT709
    elif lines_525:
        matrix, primaries = vs.MATRIX_ST170_M, vs.PRIMARIES_ST170_M
    else:
        matrix, primaries = vs.MATRIX_BT470_BG, vs.PRIMARIES_BT470_BG
    known_matrix = _code(props, "_Matrix", _UNSPECIFIED)
    if known_matrix != _UNSPECIFIED and not rgb:
        # A clip with a matrix but no primaries was tagged by a tool that knew the standard: both come from it.
        primaries = vs.ColorPrimaries(_PRIMARIES_OF_MATRIX.get(known_matrix, vs.PRIMARIES_BT709))
    defaults = {"_Matrix": matrix, "_Transfer": vs.TRANSFER_BT709, "_Primaries": primaries}
    if rgb:
        del defaults["_Matrix"]
    elif clip.format.sample_type == vs.INTEGER:
        defaults["_Range"] = vs.RANGE_LIMITED
    assumed = {key: int(value) for key, value in defaults.items() if _code(props, key, _UNSPECIFIED) == _UNSPECIFIED}
    if assumed and not quiet:
        what = ", ".join(f"{key}={value} ({_ENUMS[key](value).name})" for key, value in assumed.items())
        remedy = "where that is wrong, say what it is: matrix=, transfer=, primaries=, range= (--matrix ... of convert)"
        logger.warning("%s: clip is not fully tagged; assuming %s; %s", name, what, remedy)
    return assumed
