"""SDR/HDR pairs from scene light: exposure, gamut, operator, look, 8-bit 4:2:0, compression; the HDR master at SDR's level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..color.arrays import Array, constant, mix_channels, namespace, on_host, precise
from ..color.gamut import conversion_matrix, convert, luminance
from ..color.tone_curves import bt2390_eetf, bt2408
from ..color.transfer import REFERENCE_WHITE, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf
from ..errors import InputError
from . import compression, operators
from .renditions import gain_mapped, level, rendition, usable_pixels

MASTER_PEAK = 1000.0
"""cd/m2 of the HDR masters' shoulder unless `Variety.peaks` says otherwise."""

PEAKS = (600.0, 4000.0)
"""cd/m2 between which a random peak is drawn, evenly in stops: consumer displays to mastering monitors."""

GAMUT_EXPANSION = 0.6
"""Largest share of the way from BT.709 to BT.2020 primaries that a scene's colours are moved."""

KEPT = (0.2, 0.9)
"""How much of the SDR version's grade a rendition keeps below the highlights (geometric mean with scene light)."""

PHONES = 0.5
"""Share of pairs with a gain map whose SDR picture is `operators.phone`'s."""

GAIN_MAP = "gain_map"
"""In the operator's place, of pairs with one."""

Light = Array
"""Planar pictures (..., 3, H, W), numpy or torch on any device: what is made of them is of the same kind, there."""


@dataclass(frozen=True)
class Pair:
    """A training or test pair, both (3, H, W) float32: `sdr` in [0, 1] and `hdr` PQ BT.2020 in [0, 1]."""

    sdr: Array
    hdr: Array
    operator: str


@dataclass(frozen=True, kw_only=True)
class Variety:
    """What else varies from pair to pair, each as the share of pairs, [0, 1]; all 0 is what the first recipes were trained on.

    Attributes:
        peaks: the master's peak is anywhere in `PEAKS` instead of `MASTER_PEAK`.
        gamut: the scene has colours outside BT.709, which its SDR version clips.
        compression: the SDR version went through an encoder of `compression.CODECS` at a random quality.
        perspective: the view of a panorama is that of a camera in it (`camera`), not a flat crop.
        video: the picture is a frame of an HDR clip, where the data have any.
        films: the pair comes from a data set of one's own films, where the data have one beside stills.
        renditions: the master keeps part of the grade that the SDR version has (`rendition`).
        blacks: the master is as black where the SDR version is black.
        graphics: the pair is a drawing (`graphics`).
        local: the operator is `operators.local_tone_map`, beside its turn among the others.
        blends: the operator is a mix of two, bent at random: what lies between the families that there are.
        gain_maps: SDR is meant to be seen as it is, by a phone's local tone mapping or any operator, and HDR is `gain_mapped`.
    """

    peaks: float = 0.0
    gamut: float = 0.0
    compression: float = 0.0
    perspective: float = 0.0
    video: float = 0.0
    films: float = 0.0
    renditions: float = 0.0
    blacks: float = 0.0
    graphics: float = 0.0
    local: float = 0.0
    blends: float = 0.0
    gain_maps: float = 0.0

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            InputError: one is outside [0, 1].
        """
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise InputError(f"variety: {name} is {share}; give a share of pairs from 0 to 1")


PLAIN = Variety()


def make_pair(
    view: Array,
    rng: np.random.Generator,
    operator: str | None = None,
    look: float = 1.0,
    variety: Variety = PLAIN,
    primaries: str = "bt709",
) -> Pair:
    """SDR/HDR pair from one view.

    Args:
        view: (H, W, 3) linear light, H and W even; a tensor on some device gives a pair there.
        rng: every random choice comes from it.
        operator: name in `operators.OPERATORS`; None draws one of those that training may see.
        look: strength of the random grade (contrast, saturation, white balance, black) on the SDR side, [0, 1].
        variety: peaks, gamuts and compression.
        primaries: of the view.

    Raises:
        InputError: the view is black.
    """
    xp = namespace(view)
    if _is_photograph(operator, rng, variety):
        return _photograph(precise(xp.moveaxis(view, -1, 0)), rng, look, variety, primaries)
    name = operator or random_operator(rng, variety)
    exposed = expose(precise(xp.moveaxis(view, -1, 0)), rng, primaries)  # (3, H, W)
    hdr_light, sdr_light = gamuts(exposed, primaries, rng, variety)
    shown = _grade(_toned(sdr_light, rng, name, PLAIN if operator else variety), rng, look)
    hdr_light = _graded(hdr_light, shown, rng, variety)
    sdr = deliver(bt1886_inverse_eotf(shown)[None], rng, variety)[0]
    hdr = master(hdr_light, sdr, peak=random_peak(rng, variety), primaries="bt2020")
    return Pair(xp.astype(sdr, xp.float32), xp.astype(hdr, xp.float32), name)


def _photograph(view: Light, rng: np.random.Generator, look: float, variety: Variety, primaries: str) -> Pair:
    """A pair as phones and colourists make it, of (3, H, W) light.

    SDR is meant to be seen as it is, HDR has more light where it is bright. `PHONES` of them are a phone's, the SDR pictures of
    the others are any operator's.
    """
    xp = namespace(view)
    scene, sdr_light = gamuts(expose(view, rng, primaries), primaries, rng, variety)
    shown = _grade(operators.finished(_taken(sdr_light, rng, variety), rng), rng, look)
    sdr = deliver(bt1886_inverse_eotf(shown)[None], rng, variety)[0]
    hdr = pq_inverse_eotf(gain_mapped(scene, shown, rng) * REFERENCE_WHITE)  # a gain map has its own peak
    return Pair(xp.astype(sdr, xp.float32), xp.astype(hdr, xp.float32), GAIN_MAP)


def _is_photograph(operator: str | None, rng: np.random.Generator, variety: Variety) -> bool:
    return operator is None and bool(variety.gain_maps) and rng.random() < variety.gain_maps


def _taken(light: Light, rng: np.random.Generator, variety: Variety) -> Light:
    """The SDR light of `_photograph` before it is finished, of (3, H, W) light."""
    show = operators.phone if rng.random() < PHONES else operators.OPERATORS[random_operator(rng, variety)]
    return show(light, rng)


def _toned(light: Light, rng: np.random.Generator, name: str, variety: Variety) -> Light:
    """(3, H, W) light by an operator, or by a mix of it and another one."""
    toned = operators.OPERATORS[name](light, rng)
    if variety.blends and rng.random() < variety.blends:
        toned = operators.blend(toned, operators.OPERATORS[random_operator(rng, variety)](light, rng), rng)
    return toned


def make_frames(
    light: Light,
    rng: np.random.Generator,
    operator: str | None = None,
    look: float = 1.0,
    variety: Variety = PLAIN,
    primaries: str = "bt709",
) -> tuple[Light, Light, str]:
    """SDR and HDR of the frames of one clip: one operator with one draw of its parameters, one grade, one level, one encoder.

    With a gain map, one gain for one light in all frames.

    Args:
        light: (N, 3, H, W) linear light as exposed (`expose`), H and W even.
        rng: every random choice comes from it.
        operator: as for `make_pair`.
        look: as for `make_pair`.
        variety: as for `make_pair`.
        primaries: of the light.

    Returns:
        `sdr` and `hdr`, (N, 3, H, W), and the operator's name.
    """
    photographed = _is_photograph(operator, rng, variety)
    name = GAIN_MAP if photographed else operator or random_operator(rng, variety)
    hdr_light, sdr_light = gamuts(light, primaries, rng, variety)
    seed = int(rng.integers(2**63))

    def frames(tone: Callable[[Light, np.random.Generator], Light]) -> Light:
        return namespace(light).stack([tone(frame, np.random.default_rng(seed)) for frame in sdr_light])

    if photographed:
        taken = frames(lambda frame, same: _taken(frame, same, variety))
        shown = _grade(operators.finished(taken, rng), rng, look)
        hdr = pq_inverse_eotf(gain_mapped(hdr_light, shown, rng) * REFERENCE_WHITE)
        return deliver(bt1886_inverse_eotf(shown), rng, variety), hdr, name
    mixed = PLAIN if operator else variety
    shown = frames(lambda frame, same: _grade(_toned(frame, same, name, mixed), same, look))
    hdr_light = _graded(hdr_light, shown, rng, variety)
    sdr = deliver(bt1886_inverse_eotf(shown), rng, variety)
    return sdr, master(hdr_light, sdr, peak=random_peak(rng, variety), primaries="bt2020"), name


def gamuts(light: Light, primaries: str, rng: np.random.Generator, variety: Variety) -> tuple[Light, Light]:
    """Scene light (..., 3, H, W) in BT.2020, and in BT.709 with what lies outside clipped to 0.

    Expansion moves the scene's primaries a random part of the way to those of BT.2020 (white stays): its colours were recorded
    in a gamut that has them, SDR shows the nearest that it has.
    """
    matrix = conversion_matrix(primaries, "bt2020")
    if variety.gamut and rng.random() < variety.gamut:
        share = rng.uniform(0, GAMUT_EXPANSION)
        matrix = (1 - share) * matrix + share * np.eye(3)
        wide = mix_channels(matrix, light)
    else:
        wide = convert(light, primaries, "bt2020")
        if primaries == "bt709":
            return wide, light
    return wide, namespace(light).maximum(convert(wide, "bt2020", "bt709"), 0)


def random_operator(rng: np.random.Generator, variety: Variety) -> str:
    """One of the operators that training may see."""
    if variety.local and rng.random() < variety.local:
        return operators.local_tone_map.__name__
    return str(rng.choice(operators.TRAINED))


def _graded(light: Light, shown: Light, rng: np.random.Generator, variety: Variety) -> Light:
    """What of the SDR version's grade the master has."""
    kept = rng.uniform(*KEPT) if variety.renditions and rng.random() < variety.renditions else 0.0
    blacks = bool(variety.blacks) and rng.random() < variety.blacks
    return rendition(light, shown, kept, blacks) if kept or blacks else light


def random_peak(rng: np.random.Generator, variety: Variety) -> float:
    """Peak of a master in cd/m2."""
    if variety.peaks and rng.random() < variety.peaks:
        low, high = PEAKS
        return float(low * (high / low) ** rng.random())
    return MASTER_PEAK


def deliver(sdr: Light, rng: np.random.Generator, variety: Variety) -> Light:
    """Frames (N, 3, H, W) of SDR signal as they reach people: 8-bit 4:2:0, and for a share of them compressed."""
    xp = namespace(sdr)
    if variety.compression and rng.random() < variety.compression:
        codec = str(rng.choice(list(compression.CODECS)))
        planes = [compression.to_planes(frame) for frame in sdr]
        planes = compression.through_codec(planes, codec, rng.uniform(*compression.CODECS[codec].quality))
        return xp.stack([constant(compression.from_planes(frame), sdr) for frame in planes])
    return xp.stack([to_8bit_420(frame) for frame in sdr])


def with_bars(pair: Pair, rng: np.random.Generator) -> Pair:
    """The pair with black bars: letterbox, pillarbox or a black rectangle somewhere, 0 in SDR and in HDR.

    Operators crush shadows, so that a network learns to lift black a little; what is black by intent must stay black.
    """
    height, width = pair.sdr.shape[-2:]
    mask = np.zeros((height, width), dtype=bool)
    kind = rng.integers(3)
    if kind == 2:
        y, x = int(rng.integers(height * 3 // 4)), int(rng.integers(width * 3 // 4))
        mask[y : y + int(rng.integers(height // 8, height // 2)), x : x + int(rng.integers(width // 8, width // 2))] = True
    else:
        side = (height, width)[kind]
        thickness = int(rng.integers(max(1, side // 24), side // 4))
        lines = mask if kind == 0 else mask.T
        lines[:thickness] = lines[side - thickness :] = True
    shown = constant(~mask, pair.sdr)  # (H, W), 0 or 1
    return Pair(pair.sdr * shown, pair.hdr * shown, pair.operator)


def master(light: Light, sdr: Light, peak: float = MASTER_PEAK, primaries: str = "bt709") -> Light:
    """HDR master (..., 3, H, W) of scene light at the level of its SDR version.

    The light is scaled until the median of log(HDR / BT.2408(SDR)) over pixels that the SDR did not clip is 0: no
    network can learn an absolute level that the SDR does not hold. Then a BT.2390 shoulder to `peak` on the largest channel.

    Args:
        light: linear, any scale; of one frame, or of the frames of a clip, which are scaled alike.
        sdr: signal of the same shape.
        peak: cd/m2.
        primaries: of the light.
    """
    reference = luminance(pq_eotf(bt2408(sdr)), "bt2020")
    xp = namespace(light)
    scene = luminance(light, primaries)
    usable = usable_pixels(xp.max(sdr, axis=-3, keepdims=True)) & (scene > 0)
    return shouldered(convert(light * level(reference, scene, usable, REFERENCE_WHITE), primaries, "bt2020"), peak)


def shouldered(light: Light, peak: float) -> Light:
    """PQ signal of light (..., 3, H, W), BT.2020, cd/m2, whose largest channel goes through a BT.2390 shoulder to `peak`."""
    xp = namespace(light)
    brightest = xp.max(light, axis=-3, keepdims=True)
    held = pq_eotf(bt2390_eetf(pq_inverse_eotf(brightest), peak))
    return pq_inverse_eotf(light * (held / xp.maximum(brightest, 1e-6)))


def to_8bit_420(sdr: Light) -> Light:
    """(3, H, W) signal through limited-range 8-bit Y'CbCr 4:2:0 (chroma averaged over 2x2, repeated back), BT.709."""
    return compression.from_codes(compression.to_codes(sdr))


def expose(light: Light, rng: np.random.Generator, primaries: str = "bt709") -> Light:
    """Scale light (..., 3, H, W) so that its log-average sits near mid-grey, as a camera or a colourist would, errors included.

    Raises:
        InputError: the view is black.
    """
    y = luminance(light, primaries)
    xp = namespace(light)
    brightest = float(xp.max(y))
    if not brightest > 0:
        raise InputError("pairs: the view is black; choose another one")
    floor = max(float(np.percentile(on_host(y), 1)), brightest * 1e-6)
    average = float(xp.exp(xp.mean(xp.log(xp.maximum(y, floor)))))
    # Night stays darker than day: the key follows the scene's own range a little.
    stops = np.clip(rng.normal(0.0, 0.9), -2.5, 2.0)
    return light * (0.16 * 2.0 ** float(stops) / average)


def _grade(light: Light, rng: np.random.Generator, look: float) -> Light:
    """Random grade of SDR light: contrast about mid-grey, saturation, white balance, black level."""
    contrast = 1 + look * rng.normal(0, 0.08)
    saturation = 1 + look * rng.normal(0, 0.10)
    balance = np.exp(look * rng.normal(0, 0.025, (3, 1, 1)))
    black = look * max(rng.normal(-0.001, 0.002), 0.0)
    y = luminance(light, "bt709")
    xp = namespace(light)
    light = xp.maximum(y + saturation * (light - y), 0) * constant(balance, light) / balance.max()
    light = 0.18 * (light / 0.18) ** contrast
    return xp.clip(black + (1 - black) * light, 0, 1)
