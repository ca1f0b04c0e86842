"""Prints the result of a sale as one table."""

import sys

WIDTH = 83


def _row(name, *cells):
    return f"  {name:<24}" + "".join(f"{cell:>11}" for cell in cells)


def _number(value):
    return f"{value:,}"


def lines(result):
    """The table's lines for a result as sale.py makes it."""
    yield "-" * WIDTH
    columns = ("stock", "pending", "confirmed", "unsold", "oversold")
    yield _row("SKU", *columns)
    for sku in result["skus"]:
        yield _row(sku["sku"], *(_number(sku[key]) for key in columns))
    yield "-" * WIDTH
    yield _row("outcome", "requests")
    for reason, count in sorted(result["outcomes"].items(), key=lambda item: -item[1]):
        yield _row(reason, _number(count))
    yield "-" * WIDTH
    latency = result["latency_ms"]
    yield _row("latency in ms", "p50", "p99", "p99.9", "requests")
    for name, kind in (("of all", "all"), ("of reservations", "created")):
        figures = latency[kind]
        yield _row(name, *(f"{figures[key]:.2f}" for key in ("p50", "p99", "p99_9")), _number(figures["count"]))
    yield f"  {round(result['requests_per_second']):,} requests/s for {result['load_seconds']:.1f} s"
    yield "-" * WIDTH
    for finding in result["verification"]:
        yield f"  {'ok ' if finding['ok'] else 'BROKEN'} {finding['text']}"
    yield "-" * WIDTH


def print_report(result, out=sys.stdout):
    for line in lines(result):
        print(line, file=out)
