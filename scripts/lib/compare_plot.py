"""Plots as SVG that stands in a page by itself. Pure."""

import html as markup

COLOURS = {"durable": ("#2f6db3", "durable, and right"), "fleeting": ("#9aa4b1", "answers before it is durable"),
           "wrong": ("#c43c3c", "wrong: it oversold, lost, or did not come to its end"),
           "limit": ("#d7b23c", "the machine's limit")}
WIDTH, NAMES, FIGURES, ROW = 960, 260, 130, 26


def _text(x, y, text, anchor="start", colour="#1c2430"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{markup.escape(text)}</text>'


def _line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#1c2430" stroke-width="1.5"/>'


def _whisker(left, right, middle):
    return (_line(left, middle, right, middle) + _line(left, middle - 4, left, middle + 4)
            + _line(right, middle - 4, right, middle + 4))


def bars(rows, caption, colours=None):
    """`rows`: (name, Spread, kind); a bar to the median, with a whisker from the least to the most. `colours`: of the
    kinds, as COLOURS, which is used unless it is given."""
    colours = COLOURS if colours is None else colours
    if not rows:
        return f"<p>{markup.escape(caption)}: nothing was measured.</p>"
    most = max(value.most for _, value, _ in rows) or 1
    room = WIDTH - NAMES - FIGURES
    parts = []
    for index, (name, value, kind) in enumerate(rows):
        top = index * ROW
        middle = top + ROW / 2
        parts.append(_text(NAMES - 8, middle + 5, name, "end"))
        parts.append(f'<rect x="{NAMES}" y="{top + 4}" width="{room * value.median / most:.1f}" height="{ROW - 8}" '
                     f'fill="{colours[kind][0]}"/>')
        if value.least != value.most:
            parts.append(_whisker(NAMES + room * value.least / most, NAMES + room * value.most / most, middle))
        parts.append(_text(NAMES + room * value.most / most + 8, middle + 5, f"{value.median:,.0f}"))
    used = [kind for kind in colours if any(kind == of for _, _, of in rows)]
    bottom = len(rows) * ROW + 20
    for place, kind in enumerate(used):
        colour, meaning = colours[kind]
        parts.append(f'<rect x="{NAMES}" y="{bottom + place * 20 - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(NAMES + 20, bottom + place * 20, meaning, colour="#5a6472"))
    height = bottom + 20 * len(used)
    return (f'<figure><figcaption>{markup.escape(caption)}</figcaption><svg viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13" role="img">'
            f"{''.join(parts)}</svg></figure>")
