"""Exported models for all tests of engines."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def card(tmp_path_factory):
    """HDCFM with seeded random weights."""
    import torch

    from vs_hdrtv import weights
    from vs_hdrtv.networks.hdcfm import HDCFM

    torch.manual_seed(3)
    network = HDCFM().eval()
    return weights.write(network, "random", tmp_path_factory.mktemp("model"), model="hdcfm", licence="MIT", steady=False)
