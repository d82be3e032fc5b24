"""Small random models of ICAM and FCPM, for the torch engine alone (their graphs: `engines/test_key_frame_graphs.py`)."""

from __future__ import annotations

import pytest

ICAM = {"channels": 16, "levels": [8, 8, 8, 16]}
FCPM = {"channels": 8}


@pytest.fixture(scope="session")
def key_frame_models(tmp_path_factory):
    """`key_frame_models(off)`: cards of ICAM and FCPM, their parameters `off` from where they start."""
    torch = pytest.importorskip("torch")
    from vs_hdrtv import export, weights
    from vs_hdrtv.networks import registry

    def make(off):
        cards = []
        for model, arguments in (("icam", ICAM), ("fcpm", FCPM)):
            torch.manual_seed(1)
            network = registry.create(model, **arguments).eval().requires_grad_(False)
            for parameter in network.parameters():
                parameter.add_(off * torch.randn(parameter.shape))
            with pytest.MonkeyPatch.context() as patch:  # the export takes minutes, and this engine does not read it
                patch.setattr(export, "graph_to_onnx", lambda network, path, **_: path.write_bytes(b"none"))
                folder = tmp_path_factory.mktemp(model)
                cards.append(weights.write(network, model, folder, model=model, licence="MIT", arguments=arguments))
        return tuple(cards)

    made = {}

    def cards(off):
        if off not in made:
            made[off] = make(off)
        return made[off]

    return cards
