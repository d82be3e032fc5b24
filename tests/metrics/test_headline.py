import numpy as np
import pytest

from vs_hdrtv import weights
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import headline


class Engine:
    """BT.2408 a little too bright, in place of a network."""

    def __init__(self, extra):
        self.extra = np.float32(extra)

    def load(self, card, graph):
        return lambda *signals: bt2408(signals[-1]).astype(np.float32) + self.extra

    def upload(self, array):
        assert array.dtype == np.float32
        assert array.shape == (1, 3, headline.SIZE, headline.SIZE)
        return array

    def download(self, array):
        return array


def test_pictures_are_those_of_the_seed_and_of_every_kind():
    found, again = list(headline.generate()), list(headline.generate())
    assert len(found) == 2 * len(headline.SCENES)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.sdr, other.sdr)
        np.testing.assert_array_equal(one.hdr, other.hdr)
        assert one.sdr.shape == one.hdr.shape == (3, headline.SIZE, headline.SIZE)
        assert one.sdr.std() > 0.02
    bright = [(pair.sdr.max(axis=0) > 0.95).mean() for pair in found]
    assert max(bright) > 0.05 and min(bright) == 0  # what a second stage works on, and what it must leave alone


def test_written_and_checked(card, monkeypatch):
    monkeypatch.setattr(headline, "create", lambda name: Engine(0))
    assert headline.check(card) == "no headline in its card (vs-hdrtv weights measure writes it)"
    card = headline.write(card, {"sets": {"some": {"own": {"psnr_db": 40.5}}}})
    values = card.metrics["headline"]
    assert values["psnr_db"] == values["bt2408_psnr_db"]
    assert values["delta_e_itp"] == values["bt2408_delta_e_itp"]
    assert card.metrics["sets"] == {"some": {"own": {"psnr_db": 40.5}}}
    assert headline.check(card) == "headline {psnr_db:.2f} dB, dE_ITP {delta_e_itp:.2f} as in its card".format(**values)
    # What engines differ by passes; a network that computes something else does not.
    monkeypatch.setattr(headline, "create", lambda name: Engine(5e-5))
    headline.check(card)
    monkeypatch.setattr(headline, "create", lambda name: Engine(0.01))
    with pytest.raises(InputError, match=r"headline: own has .* its card says .*; the engine or its library"):
        headline.check(card)


def test_other_pictures_are_not_taken_for_another_network(card, monkeypatch):
    monkeypatch.setattr(headline, "create", lambda name: Engine(0))
    card = headline.write(card)
    text = card.path.read_text()
    card.path.write_text(text.replace("bt2408_psnr_db = ", "bt2408_psnr_db = 1"))
    with pytest.raises(InputError, match=r"the card of own is of other generated pictures .* weights measure") as error:
        headline.check(weights.find(card.path))
    assert "\n" not in str(error.value)
    card.path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("delta_e_itp")))
    with pytest.raises(InputError, match=r"its card says .* nan"):
        headline.check(weights.find(card.path))


def test_a_second_stage_gets_the_result_of_bt2408(card, monkeypatch):
    monkeypatch.setattr(headline, "create", lambda name: Engine(0))
    card.path.write_text(card.path.read_text().replace('reads = "sdr"', 'reads = ["hdr", "sdr"]'))
    second = weights.find(card.path)
    assert headline.measure(second) == headline.measure(card)
    card.path.write_text(card.path.read_text().replace('"hdr", "sdr"', '"features"'))
    with pytest.raises(InputError, match="own reads features and writes hdr; only sdr and hdr are known"):
        headline.measure(weights.find(card.path))


def test_what_makes_no_pictures_has_none(card, monkeypatch):
    monkeypatch.setattr(headline, "create", lambda name: pytest.fail("an engine was made"))
    before = card.path.read_text()
    card.path.write_text(
        before.replace('reads = "sdr"', 'reads = ["sdr", "reference"]').replace('writes = "hdr"', 'writes = "flow"')
    )
    found = headline.write(weights.find(card.path), {"own": {"end_point_px": 1.5}})
    assert found.metrics == {**weights.find(card.path).metrics, "own": {"end_point_px": 1.5}}
    assert headline.check(found) == "no headline, since it writes flow"


@pytest.mark.parametrize("name", [name for name in weights.names() if headline.is_for(weights.find(name))])
def test_shipped_cards_have_theirs(name):
    assert headline.check(weights.find(name)).endswith("as in its card"), "vs-hdrtv weights measure writes it"
