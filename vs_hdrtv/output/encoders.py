"""The encoders that a file can be written with, as data: what each takes, how it is set, and which files it may go into."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..errors import InputError
from ..hdr10 import ContentLight, MasteringDisplay, Signalling, x265_params
from ..media import reason
from . import scheduling

REORDER_FRAMES = 4
"""Clips that are not longer get no B-frames: x265 4.x takes their delay from a frame that never comes, and gives garbage
as decoding time (`m_bframeDelayTime`)."""


@dataclass(frozen=True)
class Container:
    """A kind of output file.

    Attributes:
        format: FFmpeg's name of it.
        options: FFmpeg's options for it.
        subtitles: text subtitles that it cannot hold become this codec.
        attachments: it holds fonts and other files.
        decode_times: it stores when a frame is decoded, so that these must increase from frame to frame.
    """

    format: str
    options: Mapping[str, str]
    subtitles: str
    attachments: bool = False
    decode_times: bool = True


# faststart lets a browser play before the whole file is there. Chapters become a text track of their own in these.
_MP4 = Container("mp4", {"movflags": "+faststart"}, "mov_text")
CONTAINERS: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", {"movflags": "+faststart"}, "mov_text"),
    ".mkv": Container("matroska", {}, "subrip", attachments=True, decode_times=False),
    ".webm": Container("webm", {}, "webvtt", decode_times=False),
}
"""Output files by the end of their name."""


@dataclass(frozen=True)
class Quality:
    """An encoder's constant quality: the name of its option, the best and the smallest value, and the default."""

    option: str
    best: float
    smallest: float
    default: float


@dataclass(frozen=True)
class Look:
    """What a stream says of its pictures.

    Attributes:
        signalling: colour.
        display: mastering display; None leaves it out.
        light: content light level where it is known before encoding.
        format: packing of the clip, a key of `Encoder.formats`.
        frames: length of the whole clip.
    """

    signalling: Signalling
    display: MasteringDisplay | None
    light: ContentLight | None
    format: str
    frames: int


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One way to encode.

    Attributes:
        codec: FFmpeg's name of the encoder.
        title: what the stream is, for people.
        tags: suffixes of the files that it may go into, and the code it goes by inside; None for the container's own choice.
        formats: packings that it takes, values of `format=` of the filters, with FFmpeg's name of the same samples; the first is
            the default.
        quality: None where it is fixed.
        speeds: presets, fastest first; empty where there is no choice.
        speed: the default one.
        smallest: width and height below which it is not called.
        options: FFmpeg options that depend on nothing.
        parameters: FFmpeg options that say what a `Look` says.
        device: what it runs on, where that may be missing.
    """

    codec: str
    title: str
    tags: Mapping[str, str | None]
    formats: Mapping[str, str] = field(default_factory=lambda: {"yuv420p10": "yuv420p10le"})
    quality: Quality | None = None
    speeds: tuple[str, ...] = ()
    speed: str = ""
    smallest: tuple[int, int] = (16, 16)
    options: Mapping[str, str]
    parameters: Callable[[Look], dict[str, str]] = lambda look: {}
    device: str | None = None


def _x265(look: Look) -> dict[str, str]:
    params = x265_params(look.signalling, look.display, look.light, look.format)
    params["log-level"] = "none"
    if look.frames <= REORDER_FRAMES:
        params["bframes"] = "0"
    return {"x265-params": ":".join(f"{name}={value}" for name, value in params.items())}


def _nvenc(look: Look) -> dict[str, str]:
    return {"bf": "0"} if look.frames <= REORDER_FRAMES else {}


def _planar(*formats: str) -> dict[str, str]:
    return {name: f"{name}le" for name in formats}


# Apple's players open HEVC in MP4 as hvc1 only.
_HEVC: dict[str, str | None] = {".mp4": "hvc1", ".m4v": "hvc1", ".mov": "hvc1", ".mkv": None}
_AV1: dict[str, str | None] = {".mp4": "av01", ".mkv": None, ".webm": None}
_NVENC = {"rc": "vbr", "b": "0", "tune": "hq", "forced-idr": "1"}
_NVENC_SPEEDS = tuple(f"p{number}" for number in range(1, 8))

ENCODERS: dict[str, Encoder] = {
    "x265": Encoder(
        codec="libx265",
        title="HEVC",
        tags=_HEVC,
        formats=_planar("yuv420p10", "yuv422p10", "yuv444p10", "yuv420p12", "yuv422p12", "yuv444p12"),
        quality=Quality("crf", 0, 51, 16),
        speeds=(
            *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
            *("slow", "slower", "veryslow", "placebo"),
        ),
        speed="medium",
        # 8 x 8 is refused by it, and from 34 to 48 pixels of width x265 4.3 writes past its buffers (seen with MALLOC_CHECK_).
        smallest=(64, 16),
        options={},
        parameters=_x265,
    ),
    "svt-av1": Encoder(
        codec="libsvtav1",
        title="AV1",
        tags=_AV1,
        quality=Quality("crf", 0, 63, 14),
        speeds=tuple(str(number) for number in range(13, -1, -1)),
        speed="6",
        options={},
    ),
    "nvenc-hevc": Encoder(
        codec="hevc_nvenc",
        title="HEVC",
        tags=_HEVC,
        formats={"yuv420p10": "p010le"},
        quality=Quality("cq", 1, 51, 20),
        speeds=_NVENC_SPEEDS,
        speed="p5",
        smallest=(145, 49),  # NV_ENC_CAPS_WIDTH_MIN, HEIGHT_MIN of HEVC
        options={**_NVENC, "profile": "main10"},
        parameters=_nvenc,
        device="an NVIDIA GPU with NVENC and its driver",
    ),
    "nvenc-av1": Encoder(
        codec="av1_nvenc",
        title="AV1",
        tags=_AV1,
        formats={"yuv420p10": "p010le"},
        quality=Quality("cq", 1, 63, 28),
        speeds=_NVENC_SPEEDS,
        speed="p5",
        smallest=(192, 128),  # NV_ENC_CAPS_WIDTH_MIN, HEIGHT_MIN of AV1
        options={**_NVENC, "highbitdepth": "1"},
        parameters=_nvenc,
        device="an NVIDIA GPU of the RTX 40 series or later with its driver",
    ),
    "prores": Encoder(
        codec="prores_ks",
        title="ProRes 422 HQ",
        tags={".mov": "apch", ".mkv": None},
        formats={"yuv422p10": "yuv422p10le"},
        options={"profile": "hq", "vendor": "apl0"},  # Final Cut Pro asks for Apple's own vendor code
    ),
    "ffv1": Encoder(
        codec="ffv1",
        title="FFV1 (lossless)",
        tags={".mkv": None},
        formats=_planar("yuv444p10", "yuv422p10", "yuv420p10", "yuv444p12", "yuv422p12", "yuv420p12"),
        # Version 3, checksums and every frame for itself, as archives want it (RFC 9043, section 4.3). The number of slices is
        # stated because FFmpeg takes it from the number of threads otherwise, and the bytes with it.
        options={"level": "3", "slices": "16", "slicecrc": "1", "g": "1"},
    ),
}
"""The encoders by the name that `--encoder` takes."""


@dataclass(frozen=True)
class Settings:
    """An encoder and what it is told.

    Attributes:
        name: key of `ENCODERS`.
        quality: value of its quality option; None where it has none.
        speed: one of its speeds; empty where it has none.
        format: packing of the clip.
    """

    name: str
    quality: float | None
    speed: str
    format: str

    @property
    def encoder(self) -> Encoder:
        """The encoder's entry."""
        return ENCODERS[self.name]

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the samples."""
        return self.encoder.formats[self.format]

    @property
    def title(self) -> str:
        """What the stream is, for people: `HEVC, 10-bit 4:2:0`."""
        sampling, depth = self.format.removeprefix("yuv").split("p")
        return f"{self.encoder.title}, {depth}-bit {':'.join(sampling)}"

    def options(self, look: Look) -> dict[str, str]:
        """FFmpeg options."""
        options = {**self.encoder.options, **self.encoder.parameters(look)}
        if self.encoder.quality is not None:
            options[self.encoder.quality.option] = f"{self.quality:g}"
        if self.speed:
            options["preset"] = self.speed
        return options

    def __str__(self) -> str:
        quality = "" if self.encoder.quality is None else f", {self.encoder.quality.option} {self.quality:g}"
        return f"{self.name}{quality}{f', speed {self.speed}' if self.speed else ''}"


def choose(
    suffix: str,
    name: str | None = None,
    quality: float | None = None,
    speed: str | None = None,
    packing: str | None = None,
    who: str = "encode",
) -> Settings:
    """Find out before any work whether an encoder takes these.

    Args:
        suffix: end of the output's name, a key of `CONTAINERS`.
        name: key of `ENCODERS`; None for the first that goes into such a file.
        quality: None for the encoder's default.
        speed: None for the encoder's default.
        packing: None for the encoder's default.
        who: the command on whose behalf, which a message starts with.

    Raises:
        InputError: one is unknown or out of range, the encoder does not go into such a file, or its device is not there.
    """
    suffix = suffix.lower()
    if suffix not in CONTAINERS:
        raise InputError(f"{who}: output ends in {suffix!r}; choose one of {', '.join(CONTAINERS)}")
    fitting = [entry for entry, encoder in ENCODERS.items() if suffix in encoder.tags]
    name = fitting[0] if name is None else name
    encoder = ENCODERS.get(name)
    if encoder is None:
        raise InputError(f"{who}: unknown encoder {name!r}; choose one of {', '.join(ENCODERS)}")
    if suffix not in encoder.tags:
        raise InputError(
            f"{who}: {suffix} cannot hold what {name} makes; write {' or '.join(encoder.tags)}, or choose {', '.join(fitting)}"
        )
    packing = next(iter(encoder.formats)) if packing is None else packing
    if packing not in encoder.formats:
        raise InputError(f"{who}: format is {packing!r}; {name} takes {', '.join(encoder.formats)}")
    settings = Settings(name, _quality(name, encoder, quality, who), _speed(name, encoder, speed, who), packing)
    if encoder.device is not None:
        _check_device(settings, who)
    return settings


def _quality(name: str, encoder: Encoder, value: float | None, who: str) -> float | None:
    known = encoder.quality
    if known is None:
        if value is not None:
            raise InputError(f"{who}: crf is {value:g}; {name} has no such setting, leave it out")
        return None
    if value is None:
        return known.default
    if not known.best <= value <= known.smallest:
        raise InputError(f"{who}: crf is {value:g}; choose {known.best:g} (best) to {known.smallest:g} (smallest) for {name}")
    return value


def _speed(name: str, encoder: Encoder, value: str | None, who: str) -> str:
    if value is None:
        return encoder.speed
    if not encoder.speeds:
        raise InputError(f"{who}: speed is {value!r}; {name} has no such setting, leave it out")
    if value not in encoder.speeds:
        raise InputError(f"{who}: unknown speed {value!r}; choose one of {', '.join(encoder.speeds)} for {name}")
    return value


def _check_device(settings: Settings, who: str) -> None:
    """Open the encoder once: FFmpeg has no other way to ask whether the device is there."""
    import av

    av.logging.set_level(av.logging.PANIC)
    encoder = settings.encoder
    try:
        context: Any = av.CodecContext.create(encoder.codec, "w")
        context.width, context.height = (max(side, 256) for side in encoder.smallest)
        context.pix_fmt, context.time_base, context.framerate = settings.pixel_format, Fraction(1, 25), Fraction(25)
        with scheduling.kept():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{who}: {settings.name} needs {encoder.device}, and none answers ({reason(error)}); choose another --encoder"
        ) from None


def quiet() -> None:
    """Keep what encoders write to stderr by themselves to their errors; before the first of them is opened."""
    import av

    av.logging.set_level(av.logging.PANIC)
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes around FFmpeg's log
