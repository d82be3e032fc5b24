"""The order in which the parts of VITM-TC's networks are run, for torch modules and an engine's graphs alike. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..color.arrays import Array, namespace

type Parts = Mapping[str, Callable[..., Array]]
"""Part -> what runs it."""

RECOVER = ("encode", "correct", "collect", "fuse", "condense", "descend", "aggregate", "reconstruct")
"""Parts of ICAM that `recover` runs."""

PROPAGATE = ("merge", "backward", "forward", "residual")
"""Parts of FCPM that `propagate` runs."""

KEYS = 5
"""Key frames that a frame is merged from."""


def recover(run: Parts, sdr: Array, references: Iterable[tuple[Array, Array]]) -> Array:
    """ICAM: a key frame, its references folded in one after another (section 3.3).

    One reference is held at a time, and of each former one the condensed features at 1/16.

    Args:
        run: the parts `RECOVER`.
        sdr: the key frame (N, 3, H, W).
        references: each (N, 3, H, W) with the initial flow (N, 2, H, W) to it; none is fine.

    Returns:
        Linear (N, 3, H, W).
    """
    features = fused = run["encode"](sdr)
    condensed = []
    for reference, flow in references:
        there = run["encode"](reference)
        aligned = run["collect"](fused, there, run["correct"](features, there, flow))
        fused = run["fuse"](fused, aligned)
        condensed.append(run["condense"](aligned))
    deep = run["descend"](fused)
    for each in condensed:
        deep = run["aggregate"](deep, each)
    return run["reconstruct"](fused, deep)


def propagate(
    run: Parts,
    frames: Sequence[Array],
    keyframes: Sequence[Array],
    keys_of: Sequence[Sequence[int]],
    key_flow: Callable[[int, int], Array],
    flow: Callable[[int, int], Array],
    channels: int,
) -> Iterator[Array]:
    """FCPM: all frames of a segment from its key frames (section 3.4).

    Args:
        run: the parts `PROPAGATE`.
        frames: sdr, each (N, 3, H, W).
        keyframes: recovered, linear, each (N, 3, H, W).
        keys_of: for each frame, `KEYS` numbers of `keyframes`, nearest first.
        key_flow: (frame, key frame) to the corrected flow (N, 2, H, W) from the one to the other.
        flow: (frame, other frame) to the same.
        channels: of the states.

    Yields:
        Linear (N, 3, H, W) of each frame.
    """
    merged = []
    for t, (frame, keys) in enumerate(zip(frames, keys_of, strict=True)):
        flows = {key: key_flow(t, key) for key in dict.fromkeys(keys)}
        merged.append(run["merge"](frame, *(keyframes[key] for key in keys), *(flows[key] for key in keys)))
    if not merged:
        return
    n, _, height, width = merged[0].shape
    like = {"dtype": merged[0].dtype, "device": getattr(merged[0], "device", None)}
    xp = namespace(merged[0])
    nothing, still = xp.zeros((n, channels, height // 2, width // 2), **like), xp.zeros((n, 2, height, width), **like)
    last = len(merged) - 1
    later = [nothing] * len(merged)
    for t in range(last, -1, -1):
        if t == last:
            later[t] = run["backward"](merged[t], merged[t], nothing, still)
        else:
            later[t] = run["backward"](merged[t], merged[t + 1], later[t + 1], flow(t, t + 1))
    earlier = nothing
    for t, each in enumerate(merged):
        earlier = run["forward"](each, merged[max(t - 1, 0)], earlier, flow(t, t - 1) if t else still)
        yield run["residual"](each, earlier, later[t])
