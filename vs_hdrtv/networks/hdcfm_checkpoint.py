"""Names of the tensors in the published HDCFM checkpoint and here.

Facts about the released file (its tensor names), in the order in which they are applied; no code of the authors.
"""

from __future__ import annotations

import re

RENAMES: tuple[tuple[str, str], ...] = (
    (r"^module\.", ""),
    (r"^classifier\.downblocks\.(\d)\.conv\.", r"condition.convs.\1."),
    (r"^classifier\.downblocks\.(\d)\.norm\.", r"condition.norms.\1."),
    (r"^classifier\.global_vector\.1\.", "condition.global_vector."),
    (r"^classifier\.conv2\.0\.", "condition.local_map."),
    (r"^cond_(scale|shift)_first\.", r"first_global.\1."),
    (r"^cond_(scale|shift)_HR\.", r"middle_global.\1."),
    (r"^cond_(scale|shift)_last\.", r"last_global.\1."),
    (r"^conv_feat_first_(scale|shift)\.", r"first_local.\1."),
    (r"^conv_feat_HR_(scale|shift)\.", r"middle_local.\1."),
    (r"^conv_first\.0\.", "first.conv."),
    (r"^conv_first\.1\.", "first.context1."),
    (r"^conv_first\.2\.", "first.filter1."),
    (r"^conv_first\.3\.", "first.context2."),
    (r"^conv_first\.4\.", "first.filter2."),
    (r"^HRconv\.0\.", "middle.filter."),
    (r"^HRconv\.1\.", "middle.context."),
    (r"^HRconv\.2\.", "middle.conv."),
    (r"^conv_last\.0\.", "last.filter1."),
    (r"^conv_last\.1\.", "last.context1."),
    (r"^conv_last\.2\.", "last.filter2."),
    (r"^conv_last\.3\.", "last.context2."),
    (r"^conv_last\.4\.", "last.conv."),
    (r"channel_mul_conv\.0\.", "squeeze."),
    (r"channel_mul_conv\.1\.", "filter_in."),
    (r"channel_mul_conv\.2\.", "norm."),
    (r"channel_mul_conv\.4\.", "filter_out."),
    (r"channel_mul_conv\.5\.", "expand."),
    (r"spatial_branch\.0\.", "spatial_branch."),
    (r"channel_branch\.1\.", "channel_branch.0."),
    (r"channel_branch\.3\.", "channel_branch.2."),
)
"""Pattern in the published name -> replacement."""


def rename(name: str) -> str:
    """The name in `vs_hdrtv.networks.hdcfm.HDCFM` of a tensor of the published checkpoint."""
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
