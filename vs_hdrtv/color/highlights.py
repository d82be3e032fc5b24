"""Recovered highlights: blended into the light of the SDR frame they belong to, or added to an HDR picture made of it.

VITM-TC (Ye et al., CVPR 2023) repairs light where the SDR frame is over-exposed and leaves it elsewhere.
"""

from __future__ import annotations

from .arrays import Array, namespace, non_negative, unit
from .gamut import convert, luminance
from .transfer import REFERENCE_WHITE, bt1886_eotf, pq_eotf, pq_inverse_eotf

RIM_POWER = 16
"""Of the signal, how much a pixel counts for the ratio at the rim of the mask: of 95 % 0.44, of 90 % 0.19, of 80 % 0.03."""

INSIDE = 1e-4
"""What pixels inside the mask count: only where nothing outside is to be had, in a frame that is clipped throughout."""

SEEN, AREAS = 0.02, 32
"""Light above its own from which a pixel counts as recovered, and areas of the longer side in which shares are taken."""

SURE = 0.1
"""Mean weight of an area from which its own ratio is taken alone; below, ever more of the ratio around."""


def blend(sdr: Array, recovered: Array, mask: Array) -> Array:
    """Light of a frame, `recovered` where it is over-exposed: `(1 - mask) f^-1(sdr) + mask recovered`. VITM-TC, equation 1.

    Args:
        sdr: (N, 3, H, W) BT.1886 signal.
        recovered: (N, 3, H, W) `linear`.
        mask: (N, 1, H, W) `color.overexposure.overexposure_mask` of `sdr`.

    Returns:
        (N, 3, H, W) `linear`, exactly the light of `sdr` where the mask is 0, whatever `recovered` is there.
    """
    light = bt1886_eotf(sdr)
    # In this order it is the light itself, bit for bit, wherever that is what was recovered.
    return namespace(sdr).where(mask > 0, light + mask * (non_negative(recovered) - light), light)


def merge_highlights(hdr: Array, sdr: Array, recovered: Array, mask: Array, peak: float | None = None) -> Array:
    """HDR with recovered highlights: in BT.2020 light, `g max(H - f^-1(L), 0)` is added, which fades with the mask of H.

    H is `blend` of the frame, so that its difference to f^-1(L) is `mask (Y - f^-1(L))`: no step at the mask's edge. g is the
    ratio hdr / f^-1(L) at the rim of the mask (`rim_ratio`), so that what is added is as bright as what stands around it. It is
    added to `g f^-1(L)` as far as anything was recovered around a pixel (`_recovered_share`), to `hdr` elsewhere: what a stage
    has guessed of the light that was lost is not added to what is known of it.

    Args:
        hdr: (N, 3, H, W) PQ signal, BT.2020: what a stage made of `sdr`.
        sdr: (N, 3, H, W) BT.1886 signal.
        recovered: (N, 3, H, W) `linear`, blended.
        mask: (N, 1, H, W) `color.overexposure.overexposure_mask` of `sdr`.
        peak: cd/m2 that additions approach and do not pass, unchanged up to half of the way there; None for no limit but that
            of PQ. What `hdr` has itself stays.

    Returns:
        (N, 3, H, W) PQ signal, BT.2020; `hdr` itself, bit for bit, where the mask is 0 or nothing is added.
    """
    xp = namespace(hdr)
    light = convert(bt1886_eotf(sdr), "bt709", "bt2020")
    more = non_negative(convert(non_negative(recovered), "bt709", "bt2020") - light)  # (N, 3, H, W)
    added = xp.max(more, axis=-3, keepdims=True)  # (N, 1, H, W)
    if not bool(xp.any((mask > 0) & (added > 0))):
        return hdr
    known = _recovered_share(added, mask)  # (N, 1, H, W)
    changed = (mask > 0) & ((added > 0) | (known > 0))
    shown = pq_eotf(hdr)  # cd/m2
    gain = rim_ratio(shown, light, xp.max(sdr, axis=-3, keepdims=True), mask)
    wanted = added * gain
    kept = wanted if peak is None else _limited(wanted, non_negative(peak - xp.max(shown, axis=-3, keepdims=True)))
    # One factor for the three channels keeps the hue of what is added.
    factor = kept / xp.where(added > 0, added, xp.ones_like(added))
    base = shown + known * mask * (gain * light - shown)
    if peak is not None:  # what is brighter than that itself stays
        base = xp.where(xp.max(shown, axis=-3, keepdims=True) < peak, base, shown)
    return xp.where(changed, pq_inverse_eotf(base + more * factor), hdr)


def _recovered_share(added: Array, mask: Array) -> Array:
    """How much of what is over-exposed around a pixel was recovered: (N, 1, H, W) twice -> (N, 1, H, W), 1 from a half of it on.

    Around is a sixteenth to a thirty-second of the longer side, so that the darker spots of a recovered texture belong to it.
    """
    xp = namespace(mask)
    whole = xp.where(mask > 0, xp.ones_like(mask), xp.zeros_like(mask))
    sums, sizes = [xp.where(added > SEEN, whole, xp.zeros_like(mask)), whole], []
    while max(sums[0].shape[-2:]) > AREAS:
        sizes.append(sums[0].shape[-2:])
        sums = [_halved(each) for each in sums]
    there = sums[1] > 0
    share = unit(2 * sums[0] / xp.where(there, sums[1], xp.ones_like(sums[1])))
    for height, width in reversed(sizes):
        share = _doubled(share, height, width)
    return share


def _limited(wanted: Array, room: Array) -> Array:
    """What is added where `room` is left, (N, 1, H, W) each: `wanted` up to half of the room, then ever less, smoothly."""
    xp = namespace(wanted)
    half = room / 2
    scale = xp.where(half > 0, half, xp.ones_like(half))
    beyond = half * (1 - xp.exp(-non_negative(wanted - half) / scale))
    return xp.where(wanted < half, wanted, half) + beyond


def rim_ratio(shown: Array, light: Array, signal: Array, mask: Array) -> Array:
    """Luminance of `shown` over that of `light` at the rim of the mask, carried into it and over the whole frame.

    Sums of both over ever larger areas, halved in size level by level up to the whole frame; then down again, each area taking
    its own ratio as far as there are pixels in it that count, and for the rest that of the larger area around. So a small mask
    takes the ratio of the pixels beside it and a large one that of its rim, smoothly, in time that does not depend on its size.

    Args:
        shown: (N, 3, H, W) BT.2020 light in cd/m2.
        light: (N, 3, H, W) BT.2020 light relative to white.
        signal: (N, 1, H, W) largest channel of the SDR signal: bright pixels count more.
        mask: (N, 1, H, W); what is outside it counts.

    Returns:
        (N, 1, H, W), cd/m2 of light 1.
    """
    xp = namespace(shown)
    bright = xp.where(signal < 1, non_negative(signal), xp.ones_like(signal)) ** RIM_POWER
    weight = bright * xp.where(mask > 0, xp.full_like(mask, INSIDE), xp.ones_like(mask))
    sums = [weight * luminance(shown, "bt2020"), weight * non_negative(luminance(light, "bt2020")), weight]
    levels = [sums]
    while max(levels[-1][0].shape[-2:]) > 1:
        levels.append([_halved(each) for each in levels[-1]])
    ratio = xp.full_like(levels[-1][0], REFERENCE_WHITE)
    for numerator, denominator, weight in reversed(levels):
        known = denominator > 1e-12
        own = numerator / xp.where(known, denominator, xp.ones_like(denominator))
        share = weight / SURE
        share = xp.where(share < 1, share, xp.ones_like(share))
        if max(weight.shape[-2:]) == 1:
            share = xp.ones_like(share)
        around = _doubled(ratio, *weight.shape[-2:])
        ratio = xp.where(known, around + share * (own - around), around)
    return ratio


def _halved(picture: Array) -> Array:
    """Means of 2x2 pixels, an odd last row or column beside itself: (N, 1, H, W) -> (N, 1, ceil(H / 2), ceil(W / 2))."""
    xp = namespace(picture)
    if picture.shape[-2] % 2:
        picture = xp.concat([picture, picture[..., -1:, :]], axis=-2)
    if picture.shape[-1] % 2:
        picture = xp.concat([picture, picture[..., -1:]], axis=-1)
    rows = picture[..., ::2, :] + picture[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _doubled(picture: Array, height: int, width: int) -> Array:
    """Bilinear, `_halved` backwards: (N, 1, h, w) -> (N, 1, H, W); a picture of that size stays as it is."""
    xp = namespace(picture)
    count, channels, rows, columns = picture.shape
    if rows != height:
        above = xp.concat([picture[..., :1, :], picture[..., :-1, :]], axis=-2)
        below = xp.concat([picture[..., 1:, :], picture[..., -1:, :]], axis=-2)
        pairs = [0.75 * picture + 0.25 * above, 0.75 * picture + 0.25 * below]
        picture = xp.stack(pairs, axis=-2).reshape(count, channels, 2 * rows, columns)[..., :height, :]
    if columns != width:
        before = xp.concat([picture[..., :1], picture[..., :-1]], axis=-1)
        after = xp.concat([picture[..., 1:], picture[..., -1:]], axis=-1)
        pairs = [0.75 * picture + 0.25 * before, 0.75 * picture + 0.25 * after]
        picture = xp.stack(pairs, axis=-1).reshape(count, channels, height, 2 * columns)[..., :width]
    return picture
