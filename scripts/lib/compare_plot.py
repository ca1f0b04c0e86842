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


CURVES = ("#2f6db3", "#3f9142", "#c43c3c", "#d7b23c", "#7a4fa3", "#5a6472")
LEFT, RIGHT, HEIGHT, FOOT = 70, 20, 220, 30
# More points than this are no longer seen; each stands for the largest value of its stretch.
MOST_POINTS = 900


def thinned(values, most=MOST_POINTS):
    """(place, value) of at most so many points; the largest of each stretch, so that no peak is lost."""
    step = max(1, -(-len(values) // most))
    return [(start, max(values[start:start + step])) for start in range(0, len(values), step)]


def _ticks(most):
    """Round numbers from 0 to at least `most`, about five of them."""
    step = 1
    while most / step > 5:
        step *= 10
    for finer in (0.2, 0.5):
        if most / (step * finer) <= 5:
            step *= finer
            break
    return [step * count for count in range(int(-(-most // step)) + 1)]


def _curve(points, colour, dashed):
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def curves(series, caption, marks=()):
    """`series`: (name, values by second, whether dashed); those of one name have one colour. `marks`: (second, text),
    as vertical lines."""
    seconds = max((len(values) for _, values, _ in series), default=0)
    if not seconds:
        return f"<p>{markup.escape(caption)}: nothing happened.</p>"
    ticks = _ticks(max(max(values, default=0) for _, values, _ in series) or 1)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT

    def place(second, value):
        return LEFT + wide * second / max(1, seconds - 1), 10 + high * (1 - value / ticks[-1])

    parts = []
    for tick in ticks:
        _, y = place(0, tick)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dde2e8"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{tick:,g}", "end", "#5a6472"))
    for second, text in marks:
        if second < seconds:
            x, _ = place(second, 0)
            parts.append(f'<line x1="{x:.1f}" y1="10" x2="{x:.1f}" y2="{10 + high}" stroke="#9aa4b1" '
                         'stroke-dasharray="2 3"/>')
            parts.append(_text(x + 4, 22, text, colour="#5a6472"))
    names = list(dict.fromkeys(name for name, _, _ in series))
    for name, values, dashed in series:
        colour = CURVES[names.index(name) % len(CURVES)]
        parts.append(_curve([place(*point) for point in thinned(values)], colour, dashed))
    bottom = 10 + high + FOOT
    parts.append(_text(LEFT, bottom - 12, "0 s", colour="#5a6472"))
    parts.append(_text(WIDTH - RIGHT, bottom - 12, f"{seconds - 1} s", "end", "#5a6472"))
    for number, name in enumerate(names):
        x = LEFT + number * 150
        parts.append(f'<rect x="{x}" y="{bottom}" width="12" height="12" fill="{CURVES[number % len(CURVES)]}"/>')
        parts.append(_text(x + 18, bottom + 11, name, colour="#5a6472"))
    height = bottom + 20
    return (f'<figure><figcaption>{markup.escape(caption)}</figcaption><svg viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13" role="img">'
            f"{''.join(parts)}</svg></figure>")
