"""What the pages of comparisons are made of: style, tables and numbers. Pure."""

import html as markup

from compare_figures import Spread

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; color: #1c2430 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: #5a6472; padding: .3em 0 }
th, td { padding: .3em .6em; border-bottom: 1px solid #dde2e8; text-align: right; vertical-align: top }
th:first-child, td:first-child, td.text { text-align: left } thead th { border-bottom: 2px solid #9aa4b1 }
td.bad { background: #fbdcdc; color: #8f1010; font-weight: 600 } td.weak { color: #8a5a00 } p.note { color: #5a6472 }
svg { max-width: 100%; height: auto } li { margin: .2em 0 }
"""


def number(value, digits=0):
    if isinstance(value, Spread):
        value = value.median
    return "-" if value is None else f"{value:,.{digits}f}"


def ranged(value, digits=0):
    """The median, and from where to where if there were several rounds."""
    if value is None or value.least == value.most:
        return number(value, digits)
    return f"{number(value, digits)} ({number(value.least, digits)} to {number(value.most, digits)})"


def cell(text, kind=""):
    """`kind`: of STYLE's classes."""
    return f'<td class="{kind}">{markup.escape(text)}</td>' if kind else f"<td>{markup.escape(text)}</td>"


def table_of(caption, header, rows):
    """`rows`: each a list of cells."""
    head = "".join(f"<th>{markup.escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (f"<table><caption>{markup.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
            "</table>")
