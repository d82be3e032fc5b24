"""`vs-hdrtv info`: what a file holds, in a few lines or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import media
from ..hdr10 import ContentLight, MasteringDisplay
from .console import duration, say

if TYPE_CHECKING:
    from av.container import InputContainer

NAME = "info"

# Code points of H.273 (tables 2, 3 and 4), those that video files carry.
PRIMARIES = {1: "BT.709", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020", 11: "DCI-P3", 12: "P3-D65"}
TRANSFERS = {1: "BT.709", 4: "gamma 2.2", 5: "gamma 2.8", 6: "BT.601", 8: "linear", 13: "sRGB", 14: "BT.2020 (10 bit)"}
TRANSFERS |= {15: "BT.2020 (12 bit)", 16: "PQ (ST 2084)", 18: "HLG"}
MATRICES = {0: "RGB", 1: "BT.709", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020 non-constant", 10: "BT.2020 constant"}
MATRICES |= {14: "ICtCp"}
RANGES = {1: "limited", 2: "full"}  # AVColorRange
CHROMA = {1: "left", 2: "centre", 3: "top-left", 4: "top", 5: "bottom-left", 6: "bottom"}  # AVChromaLocation
UNSAID = {0, 2}
"""Code points that say nothing: reserved and unspecified."""

COMPATIBLE = {1: "HDR10", 2: "SDR", 4: "HLG", 6: "HDR10 of UHD Blu-ray"}
"""`dv_bl_signal_compatibility_id`: what other players see."""

PQ = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("file", type=Path, metavar="FILE", help="any file that FFmpeg can read")
    parser.add_argument("--scan", action="store_true", help="look at the pictures for interlacing and pulldown (reads FILE)")
    parser.add_argument("--json", action="store_true", help="the same facts as one JSON object, for scripts")


def run(arguments: argparse.Namespace) -> int:
    """Describe a file on standard output.

    Returns:
        Exit code 0.

    Raises:
        InputError: it cannot be read.
    """
    with media.open_media(arguments.file, NAME) as container:
        facts = describe(container, arguments.file)
    if arguments.scan:
        facts["scan"] = _scan(arguments.file)
    if arguments.json:
        say(json.dumps(facts, indent=2, ensure_ascii=False))
        return 0
    for line in lines(facts):
        say(line)
    return 0


def describe(container: InputContainer, path: Path) -> dict[str, Any]:
    """All that is known of a file, of values that JSON has.

    Raises:
        InputError: a video stream cannot be decoded.
    """
    return {
        "file": str(path),
        "format": container.format.long_name or container.format.name,
        "bytes": path.stat().st_size,
        "seconds": container.duration / 1e6 if container.duration else None,
        "chapters": len(container.chapters()),
        "streams": [_stream(container, stream) for stream in container.streams],
    }


def _scan(path: Path) -> dict[str, Any]:
    """What the pictures of the first video stream show, whatever it is tagged as."""
    from ..scan import recognise

    found = recognise(media.open_source(path, NAME).clip)
    return {"kind": found.kind, "field_order": found.field_order, "evidence": found.evidence, "advice": found.advice}


def _stream(container: InputContainer, stream: Any) -> dict[str, Any]:
    from av.stream import Disposition

    context = stream.codec_context
    facts = {
        "index": stream.index,
        "type": stream.type,
        "codec": context.codec.canonical_name if context is not None else getattr(stream, "name", None) or None,
        "language": None if (language := stream.metadata.get("language", "und")) == "und" else language,
        "title": stream.metadata.get("title"),
    }
    if stream.type == "video" and stream.disposition & Disposition.attached_pic:
        return facts | {"type": "cover", "width": stream.width, "height": stream.height}
    more = _KINDS.get(stream.type)
    if context is None and stream.type in _DECODED:
        return facts | {"type": f"{stream.type} that cannot be decoded"}  # a codec that nobody knows, a damaged header
    return facts if more is None else facts | more(container, stream)


def _audio(_: InputContainer, stream: Any) -> dict[str, Any]:
    return {"rate": stream.rate, "layout": stream.layout.name}


def _attachment(_: InputContainer, stream: Any) -> dict[str, Any]:
    return {"codec": None, "name": stream.name, "mimetype": stream.mimetype}


def _video(container: InputContainer, stream: Any) -> dict[str, Any]:
    frame: Any = media.first_frame(container, stream, NAME)
    said = {"stream": media.stream_hdr10(container, stream), "container": media.container_hdr10(stream)}
    dolby, timing = media.dolby_vision(stream), media.timing(container, stream)
    aspect = stream.sample_aspect_ratio
    rgb = frame.format.name.startswith("gb")
    return {
        "profile": stream.profile or None,
        "width": frame.width,
        "height": frame.height,
        "pixel_aspect": f"{aspect.numerator}:{aspect.denominator}" if aspect else "1:1",
        "rotation": frame.rotation,
        "pixel_format": frame.format.name,
        "frames": timing.frames,
        "rate": f"{timing.average.numerator}/{timing.average.denominator}" if timing.average else None,
        "frames_per_second": float(timing.average) if timing.average else None,
        "variable_rate": timing.variable,
        "interlaced": bool(frame.interlaced_frame),
        "primaries": _code(PRIMARIES, frame.color_primaries),
        "transfer": _code(TRANSFERS, frame.color_trc),
        "matrix": _code(MATRICES, frame.colorspace, UNSAID - {0} if rgb else UNSAID),
        "range": RANGES.get(frame.color_range),
        "chroma_location": CHROMA.get(frame.chroma_location),
        "hdr10": {origin: _hdr10(*facts) for origin, facts in said.items()} | {"differ": _differ(*said.values())},
        "dynamic_metadata": media.dynamic_metadata(stream, frame),
        "dolby_vision": None if dolby is None else asdict(dolby),
    }


_DECODED = {"video", "audio"}
_KINDS: dict[str, Callable[[InputContainer, Any], dict[str, Any]]] = {"video": _video, "audio": _audio, "attachment": _attachment}
"""Type of a stream -> what else is known of it."""


def _code(names: dict[int, str], code: int, unsaid: set[int] = UNSAID) -> dict[str, Any] | None:
    return None if code in unsaid else {"code": code, "name": names.get(code, f"code {code}")}


def _hdr10(display: MasteringDisplay | None, light: ContentLight | None) -> dict[str, Any]:
    shown: dict[str, Any] | None = None
    if display is not None:
        points = zip(("red", "green", "blue", "white"), (*display.primaries, display.white), strict=True)
        shown = {name: [round(x, 5), round(y, 5)] for name, (x, y) in points}
        shown |= {"min_luminance": round(display.min_luminance, 4), "max_luminance": round(display.max_luminance, 4)}
    return {
        "mastering_display": shown,
        "content_light": None if light is None else {"max_cll": light.max, "max_fall": light.average},
    }


def _differ(stream: media.Hdr10, container: media.Hdr10) -> list[str]:
    """What both state, and not the same."""
    (display, light), (other_display, other_light) = stream, container
    found = []
    if display is not None and other_display is not None and not media.same_display(display, other_display):
        found.append("mastering_display")
    if light is not None and other_light is not None and light != other_light:
        found.append("content_light")
    return found


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """The facts of `describe` for people: a word, then what there is to say."""
    length = "" if facts["seconds"] is None else f", {_length(facts['seconds'])}"
    yield f"file      {facts['file']}: {facts['format']}{length}, {facts['bytes']} bytes"
    for stream in facts["streams"]:
        yield from _LINES.get(stream["type"], _other_lines)(stream)
    if facts["chapters"]:
        yield f"chapters  {facts['chapters']}"
    if scan := facts.get("scan"):
        order = f", {scan['field_order']} field first" if scan["field_order"] else ""
        advice = f"; {scan['advice']}" if scan["advice"] else ""
        yield f"pictures  look {scan['kind']}{order} ({scan['evidence']}){advice}"


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _audio_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"audio     {facts['codec'] or 'unknown'}, {facts['rate']} Hz, {facts['layout']}{_named(facts)}"


def _attachment_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"attached  {facts['name'] or 'without a name'}{_also(facts['mimetype'])}"


def _cover_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"cover     {facts['codec']}, {facts['width']}x{facts['height']}"


def _other_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"{facts['type']:<9} {facts['codec'] or 'unknown'}{_named(facts)}"


def _video_lines(facts: dict[str, Any]) -> Iterator[str]:
    profile = f" {facts['profile']}" if facts["profile"] else ""
    shape = f", pixel aspect {facts['pixel_aspect']}" if facts["pixel_aspect"] != "1:1" else ""
    turned = f", rotated by {facts['rotation']} degrees" if facts["rotation"] else ""
    size = f"{facts['width']}x{facts['height']}{shape}{turned}"
    yield f"video     {facts['codec']}{profile}, {size}, {facts['pixel_format']}{_named(facts)}"
    yield f"rate      {_rate(facts)}, {facts['frames']} frame{'s' * (facts['frames'] != 1)}"
    names = {key: facts[key]["name"] if facts[key] else "not said" for key in ("primaries", "transfer", "matrix")}
    tags = [f"{key} {name}" for key, name in names.items()]
    tags += [f"{facts['range']} range" if facts["range"] else "range not said"]
    yield f"colour    {', '.join(tags)}, chroma {facts['chroma_location'] or 'location not said'}"
    yield f"scan      {'interlaced' if facts['interlaced'] else 'progressive'}"
    yield from _hdr10_lines(facts)
    for name in facts["dynamic_metadata"]:
        yield f"dynamic   {name}{_dolby(facts['dolby_vision']) if name.startswith('Dolby') else ''}"


def _rate(facts: dict[str, Any]) -> str:
    if facts["rate"] is None:
        return "no frame rate"
    if facts["variable_rate"]:
        return f"variable, average {facts['frames_per_second']:.3f} frames/s"
    return f"{facts['rate']} = {facts['frames_per_second']:.3f} frames/s"


def _hdr10_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Each fact with where it is stated: once where stream and container agree, else as each has it."""
    hdr10 = facts["hdr10"]
    for key, word, show in (("mastering_display", "mastering", _display), ("content_light", "light", _light)):
        stated = {origin: hdr10[origin][key] for origin in ("stream", "container") if hdr10[origin][key] is not None}
        if key in hdr10["differ"]:
            for origin, fact in stated.items():
                yield f"{word:<10}{show(fact)} ({origin})"
            yield f"differ    stream and container state a different {key.replace('_', ' ')}; players may follow either"
        elif stated:
            alone = " only" if len(stated) == 1 else ""
            yield f"{word:<10}{show(next(iter(stated.values())))} ({' and '.join(stated)}{alone})"
        elif key == "content_light" and (facts["transfer"] or {}).get("code") == PQ:
            yield f"{word:<10}MaxCLL and MaxFALL unknown"


def _display(fact: dict[str, Any]) -> str:
    xy = ", ".join(f"{name} ({fact[name][0]:.4f}, {fact[name][1]:.4f})" for name in ("red", "green", "blue", "white"))
    return f"{fact['min_luminance']:g} to {fact['max_luminance']:g} cd/m2, {xy}"


def _light(fact: dict[str, Any]) -> str:
    return f"MaxCLL {fact['max_cll']}, MaxFALL {fact['max_fall']} cd/m2"


def _dolby(fact: dict[str, Any] | None) -> str:
    if fact is None:
        return ""
    compatible = COMPATIBLE.get(fact["compatibility"])
    return f", level {fact['level']}" + (f", other players see {compatible}" if compatible else ", for Dolby Vision players only")


def _named(facts: dict[str, Any]) -> str:
    return _also(facts["language"]) + _also(facts["title"])


def _also(text: str | None) -> str:
    return f", {text}" if text else ""


_LINES: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "video": _video_lines,
    "audio": _audio_lines,
    "attachment": _attachment_lines,
    "cover": _cover_lines,
}
"""Type of a stream -> its lines."""
