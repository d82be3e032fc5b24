"""Nodes of the papers' stages: whole networks, DSLNet's parts, over-exposure."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from . import clips, host, inputs, work
from .core import InputError, overexposure, stages, weights

CATEGORY = f"{inputs.CATEGORY}/stages"


def _card(name: str) -> Any:
    return weights.find_model(host.model_path(name))


class FeatureMap(io.ComfyNode):
    """HDCFM and its like."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvFeatureMap",
            display_name="Feature Map",
            category=CATEGORY,
            description="SDR to HDR by a network: HDCFM, or any other that reads SDR alone.",
            search_aliases=["HDCFM", "HME", "HM", "DYCT", "SDR to HDR network", "DSLNet"],
            inputs=[
                inputs.sdr_images(),
                inputs.model("hdcfm", reads=("sdr",)),
                inputs.sdr_space(),
                inputs.steady(),
                inputs.scene_cuts(),
                inputs.precision(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(cls, images: Any, model: str, color_space: str, steady: int, scenes: str, precision: str) -> Any:
        """Convert."""
        sdr = work.sdr_clip("Feature Map", images, color_space)
        return io.NodeOutput(work.apply(stages.feature_map(_card(model), None, steady), sdr, scenes, precision))


class PredictKernels(io.ComfyNode):
    """KPN-MFI."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvPredictKernels",
            display_name="Predict Kernels",
            category=CATEGORY,
            description="SDR to HDR by a kernel for every pixel and colour, predicted from three frames (KPN-MFI).",
            search_aliases=["KPN-MFI", "kernel prediction", "SDR to HDR network"],
            inputs=[
                inputs.sdr_images(),
                inputs.model("kpn_mfi", network="kpn_mfi"),
                inputs.sdr_space(),
                inputs.steady(),
                inputs.scene_cuts(),
                inputs.precision(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(cls, images: Any, model: str, color_space: str, steady: int, scenes: str, precision: str) -> Any:
        """Convert."""
        sdr = work.sdr_clip("Predict Kernels", images, color_space)
        stage = stages.feature_map(_card(model), None, steady, "predict_kernels")
        return io.NodeOutput(work.apply(stage, sdr, scenes, precision))


class OverexposureMask(io.ComfyNode):
    """M_H."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvOverexposureMask",
            display_name="Over-exposure Mask",
            category=CATEGORY,
            description="Where SDR pictures are over-exposed: what Generate Over-exposed fills.",
            search_aliases=["clipped highlights", "blown out", "overexposure"],
            inputs=[
                inputs.sdr_images(alpha=False),
                io.Float.Input(
                    "threshold",
                    default=overexposure.THRESHOLD,
                    min=0.0,
                    max=0.999,
                    step=0.005,
                    tooltip="Of the largest of R, G and B (BT.1886 signal): the mask rises from 0 there to 1 at white.",
                ),
                inputs.sdr_space(),
            ],
            outputs=[io.Mask.Output(display_name="mask")],
        )

    @classmethod
    def execute(cls, images: Any, threshold: float, color_space: str) -> Any:
        """Find it."""
        sdr = work.sdr_clip("Over-exposure Mask", images, color_space)
        found = work.frames(clips.apply(stages.mask_overexposed(threshold), {"sdr": sdr}))
        return io.NodeOutput(torch.cat([torch.from_numpy(frame[:, 0]) for frame in found]))  # (B, H, W)


class GenerateOverexposed(io.ComfyNode):
    """PDCG."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvGenerateOverexposed",
            display_name="Generate Over-exposed",
            category=CATEGORY,
            description="New content where SDR was over-exposed, by a generative network (PDCG). Other pixels stay as they are.",
            search_aliases=["PDCG", "highlight reconstruction", "inpaint highlights"],
            inputs=[
                inputs.hdr_images("hdr"),
                inputs.sdr_images(),
                inputs.model("pdcg", reads=("hdr", "sdr")),
                inputs.hdr_space("hdr_color_space"),
                inputs.sdr_space(),
                inputs.steady(),
                inputs.scene_cuts(),
                inputs.precision(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(
        cls,
        hdr: Any,
        images: Any,
        model: str,
        hdr_color_space: str,
        color_space: str,
        steady: int,
        scenes: str,
        precision: str,
    ) -> Any:
        """Fill."""
        name = "Generate Over-exposed"
        given = {"hdr": work.hdr_clip(name, hdr, hdr_color_space, "hdr"), "sdr": work.sdr_clip(name, images, color_space)}
        clip = clips.apply(stages.generate_overexposed(_card(model), None, steady), given, scenes)
        return io.NodeOutput(work.images(clip, precision))


class Align(io.ComfyNode):
    """DMFA of DSLNet."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvAlign",
            display_name="Align",
            category=CATEGORY,
            description="Each frame and its neighbours as one set of features, brought into line by a deformable convolution "
            "(DSLNet). "
            "Computed when Enhance asks for it.",
            search_aliases=["DSLNet", "DMFA", "LDOE", "deformable alignment"],
            inputs=[
                inputs.sdr_images(),
                inputs.model("dslnet", network="dslnet"),
                inputs.sdr_space(),
                inputs.steady(),
                inputs.scene_cuts(),
            ],
            outputs=[inputs.Aligned.Output(display_name="aligned")],
        )

    @classmethod
    def execute(cls, images: Any, model: str, color_space: str, steady: int, scenes: str) -> Any:
        """Plan."""
        sdr = work.sdr_clip("Align", images, color_space)
        return io.NodeOutput(clips.apply(stages.network_part("align", _card(model), steady), {"sdr": sdr}, scenes))


class Modulate(io.ComfyNode):
    """STFM of DSLNet."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvModulate",
            display_name="Modulate",
            category=CATEGORY,
            description="Features of Align, scaled and shifted by what the frame and its neighbours are like (DSLNet). "
            "Computed when "
            "Enhance asks for it.",
            search_aliases=["DSLNet", "STFM", "CME", "SME", "TME"],
            inputs=[
                inputs.Aligned.Input("aligned", tooltip="Of Align; the pictures that it was made of go along."),
                inputs.steady(),
            ],
            outputs=[inputs.Modulated.Output(display_name="modulated")],
        )

    @classmethod
    def execute(cls, aligned: clips.Clip, steady: int) -> Any:
        """Plan."""
        return io.NodeOutput(clips.apply(stages.network_part("modulate", _card_of(aligned, "Modulate"), steady), _given(aligned)))


class Enhance(io.ComfyNode):
    """LKQE of DSLNet."""

    @classmethod
    def define_schema(cls) -> Any:
        """Name, sockets and widgets."""
        return host.schema(
            node_id="VsHdrtvEnhance",
            display_name="Enhance",
            category=CATEGORY,
            description="Modulated features to HDR, by large kernels (DSLNet).",
            search_aliases=["DSLNet", "LKQE"],
            inputs=[
                inputs.Modulated.Input("modulated", tooltip="Features of Modulate; nothing is computed before this node."),
                inputs.precision(),
            ],
            outputs=[io.Image.Output(display_name="HDR PQ")],
        )

    @classmethod
    def execute(cls, modulated: clips.Clip, precision: str) -> Any:
        """Compute all three."""
        stage = stages.network_part("enhance", _card_of(modulated, "Enhance"))
        return io.NodeOutput(work.images(clips.apply(stage, {"features": modulated}), precision))


def _card_of(clip: Any, name: str) -> Any:
    """The model whose features a clip holds."""
    if not isinstance(clip, clips.Clip):
        raise InputError(f"{name}: features are a {type(clip).__name__}; connect {'Align' if name == 'Modulate' else 'Modulate'}")
    return clip.node.stage.card


def _given(aligned: clips.Clip) -> dict[str, clips.Clip]:
    """The features, and the pictures that they are made of."""
    sdr, frames = next((node, frames) for node, frames in aligned.sources.items() if node.signal == "sdr")
    return {"features": aligned, "sdr": clips.Clip(sdr, {sdr: frames}, aligned.cuts, aligned.alpha)}
