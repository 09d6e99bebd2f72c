"""Plots as SVG, drawn here and not in the browser: they need no JavaScript, print well, and are read aloud as their title says.

Nothing is said by colour alone: each bar has its name and its share in words above it, and the average is a line with a label.
"""

from markupsafe import Markup

from puente.printing.reports import Bar, Plot

WIDTH, ROW, BAR, TOP, FOOT = 320, 46, 12, 6, 22


def bars(plot: Plot, name: str, *, rtl: bool) -> Markup:
    """Bars below each other. `name` is unique on the page; in a language from the right they begin at the right."""
    height = TOP + len(plot.bars) * ROW + (FOOT if plot.average is not None else 0)
    drawn = [_bar(bar, TOP + number * ROW, plot.average, rtl) for number, bar in enumerate(plot.bars)]
    described = "; ".join(f"{bar.name}: {bar.said}" for bar in plot.bars)
    foot = Markup('<text x="{x}" y="{y}">{said}</text>').format(x=WIDTH if rtl else 0, y=height - 5, said=plot.average_said)
    return Markup(
        '<svg class="plot" role="img" viewBox="0 0 {width} {height}" aria-labelledby="{name}-title {name}-desc"{turned}>'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{described}</desc>{drawn}{foot}</svg>'
    ).format(
        width=WIDTH, height=height, name=name, title=plot.title, described=described, drawn=Markup().join(drawn),
        foot=foot if plot.average is not None else "", turned=Markup(' direction="rtl"') if rtl else "",
    )  # fmt: skip


def _bar(bar: Bar, y: int, average: float | None, rtl: bool) -> Markup:
    width = round(WIDTH * min(bar.share or 0, 1), 1)
    near, far = (WIDTH, 0) if rtl else (0, WIDTH)
    return Markup(
        '<text x="{near}" y="{text}">{name}</text><text x="{far}" y="{text}" text-anchor="end">{said}</text>'
        '<rect class="whole" x="0" y="{y}" width="{all}" height="{high}"/><rect class="part" x="{x}" y="{y}" width="{width}" '
        'height="{high}"/>{line}'
    ).format(
        near=near, far=far, text=y + 15, name=_shortened(bar.name), said=bar.said, y=y + 22, all=WIDTH, high=BAR,
        x=round(WIDTH - width, 1) if rtl else 0, width=width, line=_average(average, y + 22, rtl),
    )  # fmt: skip


def _average(average: float | None, y: int, rtl: bool) -> Markup:
    """A line across the bar, and across no word."""
    if average is None:
        return Markup()
    share = min(average, 1)
    x = round(WIDTH * (1 - share if rtl else share), 1)
    return Markup('<line class="average" x1="{x}" x2="{x}" y1="{top}" y2="{foot}"/>').format(x=x, top=y - 4, foot=y + BAR + 4)


def _shortened(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"
