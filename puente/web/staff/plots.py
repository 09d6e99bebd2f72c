"""Plots as SVG, drawn here and not in the browser: they need no JavaScript, print well, and are read aloud as their title says.

Nothing is said by colour alone: each bar has its name and its share in words above it, and the average is a line with a label.
"""

from markupsafe import Markup, escape

from puente.printing.reports import Bar, Plot

WIDTH, ROW, BAR, TOP = 320, 44, 12, 6


def bars(plot: Plot, name: str, *, rtl: bool) -> Markup:
    """Bars below each other. `name` is unique on the page; in a language from the right they begin at the right."""
    height = TOP + len(plot.bars) * ROW + (22 if plot.average is not None else 0)
    drawn = Markup().join(_bar(bar, TOP + number * ROW, rtl) for number, bar in enumerate(plot.bars))
    described = "; ".join(f"{bar.name}: {bar.said}" for bar in plot.bars)
    return Markup(
        '<svg class="plot" role="img" viewBox="0 0 {width} {height}" aria-labelledby="{name}-title {name}-desc"{turned}>'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{described}</desc>{drawn}{average}</svg>'
    ).format(
        width=WIDTH, height=height, name=name, title=plot.title, described=described, drawn=drawn,
        average=_average(plot, height, rtl), turned=Markup(' direction="rtl"') if rtl else "",
    )  # fmt: skip


def _bar(bar: Bar, y: int, rtl: bool) -> Markup:
    width = round(WIDTH * min(bar.share or 0, 1), 1)
    near, far = (WIDTH, 0) if rtl else (0, WIDTH)
    said, name = escape(bar.said), escape(_shortened(bar.name))
    return Markup(
        '<text x="{near}" y="{text}">{name}</text><text x="{far}" y="{text}" text-anchor="end">{said}</text>'
        '<rect class="whole" x="0" y="{y}" width="{all}" height="{high}"/><rect class="part" x="{x}" y="{y}" width="{width}" '
        'height="{high}"/>'
    ).format(
        near=near, far=far, text=y + 15, name=name, said=said, y=y + 22, all=WIDTH, high=BAR,
        x=round(WIDTH - width, 1) if rtl else 0, width=width,
    )  # fmt: skip


def _average(plot: Plot, height: int, rtl: bool) -> Markup:
    if plot.average is None:
        return Markup()
    share = min(plot.average, 1)
    x = round(WIDTH * (1 - share if rtl else share), 1)
    return Markup(
        '<line class="average" x1="{x}" x2="{x}" y1="{top}" y2="{foot}"/><text x="{edge}" y="{label}">{said}</text>'
    ).format(x=x, top=TOP + 18, foot=height - 24, edge=WIDTH if rtl else 0, label=height - 5, said=plot.average_said)


def _shortened(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"
