"""Time series in promtool's notation. A timeline is a list of (value, seconds), one part after the other; the value of a
counter is its growth per second."""

STEP_S = 5
HEALTHY_S, FAULT_S, AFTER_S = 120, 420, 240  # a fault is longer than the "for" of any alert but one
FAULT_ENDS_S = HEALTHY_S + FAULT_S
END_S = FAULT_ENDS_S + AFTER_S
GONE = "gone"  # the target does not answer, or shows it no more: Prometheus marks the series as stale


def steady(value):
    return [(value, END_S)]


def during(healthy, fault):
    return [(healthy, HEALTHY_S), (fault, FAULT_S), (healthy, AFTER_S)]


def cut(timeline, at_s, gone_s):
    """The timeline with a gap."""
    parts, now = [], 0
    for value, seconds in timeline:
        before = min(seconds, max(0, at_s - now))
        inside = max(0, min(now + seconds, at_s + gone_s) - max(now, at_s))
        parts += [(value, before), (GONE, inside), (value, seconds - before - inside)]
        now += seconds
    return [part for part in parts if part[1] > 0]


def is_counter(name):
    return "_total{" in name or "_bucket{" in name


def is_clock(name):
    """When something happened last. The value is 1 while it happens, and 0 while it does not."""
    return "_computed_timestamp_seconds{" in name


def notation(name, timeline):
    """A counter begins anew after a gap."""
    said, value, now = [], 0, 0
    for part, seconds in timeline:
        samples = seconds // STEP_S
        began, now = now, now + seconds
        if part == GONE:
            said.append(f"stale _x{samples - 1}" if samples > 1 else "stale")
            value = 0
        elif is_clock(name):
            said.append(f"{began}+{part * STEP_S}x{samples - 1}")
        elif is_counter(name):
            said.append(f"{value}+{part * STEP_S}x{samples - 1}")
            value += part * STEP_S * samples
        else:
            said.append(f"{part}{'' if part < 0 else '+'}{'-0' if part < 0 else '0'}x{samples - 1}")
    return " ".join(said)
