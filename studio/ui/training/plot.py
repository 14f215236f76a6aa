"""The curve of the loss."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from studio.services.training.views import Point
from studio.ui.text import _


def loss_plot(points: Sequence[Point]) -> alt.LayerChart | alt.FacetChart:
    """Draw the loss of each update, and over it the smoothed one."""
    raw, smooth = _("loss"), _("smoothed")
    rows = [{"step": point.step, raw: point.loss, smooth: point.smoothed} for point in points]
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=alt.X("step:Q", title=_("Step")))
    tips = [alt.Tooltip("step:Q"), alt.Tooltip(f"{raw}:Q", format=".4f"), alt.Tooltip(f"{smooth}:Q", format=".4f")]
    scale = alt.Scale(zero=False)
    faint = base.mark_line(opacity=0.35, strokeWidth=1, point=len(points) == 1).encode(
        y=alt.Y(f"{raw}:Q", title=_("Loss"), scale=scale), tooltip=tips
    )
    bold = base.mark_line(strokeWidth=2, point=len(points) == 1).encode(
        y=alt.Y(f"{smooth}:Q", title=_("Loss"), scale=scale), tooltip=tips
    )
    return alt.layer(faint, bold).properties(height=240)
