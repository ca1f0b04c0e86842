"""Judges a finished sale: compares the client's answers with the ledger."""

import pathlib

from ledger_query import query

HERE = pathlib.Path(__file__).resolve().parent


def read_ids(path):
    """The ids in a file with lines of "reservation_id sku_id"."""
    return [line.split()[0] for line in pathlib.Path(path).read_text().splitlines() if line]


def read_totals(state):
    """Per SKU what the ledger says, as a list of dicts."""
    totals = []
    for sku, stock, reserved, unsold, amount, amount_due, pending in query(state, HERE / "sale_totals.sql"):
        totals.append(
            {
                "sku": sku,
                "stock": int(stock),
                "reserved": int(reserved),
                "pending": int(pending),
                "confirmed": int(reserved) - int(pending),
                "unsold": int(unsold),
                "oversold": max(0, int(reserved) - int(stock)),
                "amount_minor": int(amount),
                "amount_due_minor": int(amount_due),
            }
        )
    return totals


def read_reservation_ids(state):
    return [row[0] for row in query(state, HERE / "reservation_ids.sql")]


def judge(totals, verify, acknowledged, unknown, rows, demand):
    """The list of findings, each {ok, text}. `demand`: requests per SKU; `verify`: tranchectl's answer."""
    findings = []

    def find(ok, text):
        findings.append({"ok": bool(ok), "text": text})

    violations = verify.get("violations", [])
    broken = [t["sku"] for t in totals if t["stock"] != t["reserved"] + t["unsold"]]
    find(not broken, "stock = reserved + unsold for every SKU" + _names(broken))
    checked = f"{int(verify.get('skus_checked', 0)):,} SKUs, {int(verify.get('reservations_checked', 0)):,} reservations"
    find(not violations, f"the ledger's own rules hold ({checked})" + _violations(violations))
    find(not any(t["oversold"] for t in totals), "no unit sold twice")
    wrong = [t["sku"] for t in totals if t["amount_minor"] != t["amount_due_minor"]]
    find(not wrong, "the money matches the units" + _names(wrong))
    stranded = [t["sku"] for t in totals if t["unsold"] > 0 and demand.get(t["sku"], 0) >= t["stock"]]
    find(not stranded, "no unit left over where demand sufficed" + _names(stranded))
    findings += compare_ids(acknowledged, unknown, rows)
    return findings


def compare_ids(acknowledged, unknown, rows):
    """Every acknowledged reservation has its row, and every row its acknowledgement or at least an honest "unknown"."""
    distinct = set(acknowledged)
    lost = distinct - set(rows)
    unexplained = set(rows) - distinct - set(unknown)
    in_doubt = len(set(rows) & set(unknown) - distinct)
    findings = [
        {
            "ok": not lost and len(distinct) == len(acknowledged),
            "text": f"each of {len(acknowledged):,} acknowledged reservations has its row"
            + (f": {len(lost):,} have none, such as {min(lost)}" if lost else "")
            + (f": {len(acknowledged) - len(distinct):,} were acknowledged twice" if len(distinct) < len(acknowledged) else ""),
        },
        {
            "ok": not unexplained,
            "text": f"each of {len(rows):,} rows has its acknowledgement"
            + (f" ({in_doubt:,} whose caller was told that the outcome is unknown)" if in_doubt else "")
            + (f": {len(unexplained):,} have none, such as {min(unexplained)}" if unexplained else ""),
        },
    ]
    return findings


def _names(skus):
    return f": broken for {', '.join(skus[:5])}" if skus else ""


def _violations(violations):
    return "".join(f"\n     {v.get('rule')} {v.get('sku_id', '')}: {v.get('detail', '')}" for v in violations[:10])
