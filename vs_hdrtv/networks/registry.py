"""The networks by the name that a model card gives in `network`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..errors import InputError
from .dslnet import DSLNet
from .fcpm import FCPM
from .flow import Flow
from .hdcfm import HDCFM
from .hdcfm_mfi import HDCFMMFI
from .icam import ICAM
from .kpn_mfi import KPNMFI
from .pdcg import PDCG

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "hdcfm": HDCFM,
    "pdcg": PDCG,
    "dslnet": DSLNet,
    "kpn_mfi": KPNMFI,
    "hdcfm_mfi": HDCFMMFI,
    "flow": Flow,
    "icam": ICAM,
    "fcpm": FCPM,
}


def create(name: str, **arguments: Any) -> nn.Module:
    """A new network.

    Raises:
        InputError: `name` is not a key of `NETWORKS`.
    """
    if name not in NETWORKS:
        raise InputError(f"networks: unknown network {name!r}; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name](**arguments)
