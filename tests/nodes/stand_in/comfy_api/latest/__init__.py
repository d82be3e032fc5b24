"""Stand-in for ComfyUI's V3 API: declarations are kept, nothing is drawn, nothing is queued."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import torch


class ComfyExtension:
    pass


class _Socket:
    def __init__(self, id=None, **declared):
        self.id, self.declared = id, declared
        unknown = set(declared) - KNOWN
        assert not unknown, f"ComfyUI knows no {unknown}"


KNOWN = {"display_name", "optional", "tooltip", "default", "min", "max", "step", "options", "display_mode"}


def _kind(name):
    return type(name, (), {"io_type": name, "Input": type("Input", (_Socket,), {}), "Output": type("Output", (_Socket,), {})})


@dataclass
class Schema:
    node_id: str
    display_name: str
    category: str
    inputs: list
    outputs: list
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)
    is_output_node: bool = False


class ComfyNode:
    hidden = None

    @classmethod
    def GET_SCHEMA(cls):
        return cls.define_schema()


class NodeOutput:
    def __init__(self, *args, ui=None):
        self.args, self.ui = args, ui

    def __getitem__(self, index):
        return self.args[index]


io = SimpleNamespace(
    Schema=Schema,
    ComfyNode=ComfyNode,
    NodeOutput=NodeOutput,
    Custom=_kind,
    NumberDisplay=enum.Enum("NumberDisplay", {"number": "number", "slider": "slider"}),
    Hidden=enum.Enum("Hidden", {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}),
    FolderType=enum.Enum("FolderType", {"input": "input", "output": "output", "temp": "temp"}),
    **{name: _kind(name) for name in ("Image", "Video", "Audio", "Mask", "String", "Int", "Float", "Combo")},
)


class _Shown:
    def __init__(self, value, cls=None):
        self.value = value


class SavedResult(dict):
    def __init__(self, filename, subfolder, type):
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)


ui = SimpleNamespace(PreviewImage=_Shown, PreviewText=_Shown, PreviewVideo=_Shown, SavedResult=SavedResult)


class VideoInput:
    pass


class VideoFromFile(VideoInput):
    def __init__(self, file):
        self.file = file

    def get_stream_source(self):
        return self.file

    def get_components(self):
        with av.open(self.file) as file:
            frames = [torch.from_numpy(frame.to_ndarray(format="rgb24")) / 255 for frame in file.decode(video=0)]
        return VideoComponents(images=torch.stack(frames), frame_rate=Fraction(24))

    def save_to(self, path, format=None, codec=None, metadata=None):
        Path(path).write_bytes(Path(self.file).read_bytes())


class VideoFromComponents(VideoInput):
    def __init__(self, components):
        self.components = components

    def get_components(self):
        return self.components


@dataclass
class VideoComponents:
    images: torch.Tensor
    frame_rate: Fraction
    audio: dict | None = None


Input = SimpleNamespace(Video=VideoInput)
InputImpl = SimpleNamespace(VideoFromFile=VideoFromFile, VideoFromComponents=VideoFromComponents)
Types = SimpleNamespace(
    VideoComponents=VideoComponents,
    VideoCodec=SimpleNamespace(AUTO="auto", H264="h264"),
    VideoContainer=SimpleNamespace(AUTO="auto", MP4="mp4"),
)

__all__ = ["ComfyExtension", "Input", "InputImpl", "Types", "io", "ui"]
