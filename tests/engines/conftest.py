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
    return weights.write(network, "random", tmp_path_factory.mktemp("model"), model="hdcfm", licence="MIT")


@pytest.fixture(scope="session")
def card_of_two(tmp_path_factory):
    """PDCG with seeded random weights: it reads `hdr` and `sdr`."""
    import torch

    from vs_hdrtv import weights
    from vs_hdrtv.networks.pdcg import PDCG

    torch.manual_seed(3)
    # The parameters' shapes are the registry's; a narrower network would not load.
    return weights.write(PDCG().eval(), "two", tmp_path_factory.mktemp("model"), model="pdcg", licence="MIT")
