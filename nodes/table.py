"""The nodes, as ComfyUI is given them."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyExtension

from . import host, key_frames, looking, main_job, network_stages, saving

NODES: tuple[type[Any], ...] = (
    main_job.SdrToHdr,
    main_job.SdrToHdrVideo,
    main_job.InverseToneMap,
    looking.Convert,
    network_stages.FeatureMap,
    network_stages.PredictKernels,
    network_stages.OverexposureMask,
    network_stages.GenerateOverexposed,
    network_stages.Align,
    network_stages.Modulate,
    network_stages.Enhance,
    key_frames.EstimateFlow,
    key_frames.AlignReference,
    key_frames.RecoverKeyFrames,
    key_frames.PropagateKeyFrames,
    key_frames.MergeHighlights,
    looking.Preview,
    looking.LightLevel,
    looking.Scope,
    looking.Compare,
    saving.SaveHdr10Video,
    saving.SaveHdrImage,
)
"""A node is a class in one of the modules above and a line here; its help is `web/docs/<node_id>.md`."""


class Extension(ComfyExtension):
    """What `comfy_entrypoint` gives."""

    async def get_node_list(self) -> list[type[Any]]:
        """All nodes."""
        return list(NODES)


def extension() -> Extension:
    """See `comfy_entrypoint`."""
    host.offer_vhs_formats()
    return Extension()
