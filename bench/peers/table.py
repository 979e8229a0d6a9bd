"""A document of peers.py as a table in Markdown."""
from statistics import median

GIB = 2**30


def part_values(program, part, clock):
    """One value a run, or one a step; empty where the program does not show the part."""
    values = []
    for run in program["runs"]:
        found = run["parts"].get(part, [])
        found = found if isinstance(found, list) else [found]
        values += [span[clock] for span in found if clock in span]
    return values


def step_values(program, clock):
    """Steps after the first; where there is one step only, that one."""
    return part_values(program, "steps", clock) or part_values(program, "first", clock)


def middle(values):
    return median(values) if values else None


def seconds(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def gib(values):
    known = [value for value in values if value is not None]
    return f"{max(known) / GIB:.2f}" if known else "-"


def ratio(program, base, clock):
    mine, theirs = middle(step_values(program, clock)), middle(step_values(base, clock))
    return f"{mine / theirs:.2f}" if mine and theirs else "-"


def rows(document):
    base = [p for p in document["programs"] if p["name"].startswith("mikubench-cuda")]
    yield (["", "runs", "step, s", "step, CPU s", "decode, s", "decode, CPU s", "load, s", "text, s",
            "memory, GiB", "with files, GiB", "GPU, GiB"]
           + [f"{what} / ours {p['name'].removeprefix('mikubench-cuda ')}" for p in base
              for what in ("step", "step CPU")])
    for p in document["programs"]:
        yield [p["name"], str(len(p["runs"])),
               seconds(middle(step_values(p, "wall"))), seconds(middle(step_values(p, "cpu"))),
               seconds(middle(part_values(p, "decode", "wall"))), seconds(middle(part_values(p, "decode", "cpu"))),
               seconds(middle(part_values(p, "load", "wall"))), seconds(middle(part_values(p, "encode", "wall"))),
               gib(r["peak_anonymous_bytes"] for r in p["runs"]), gib(r["peak_rss_bytes"] for r in p["runs"]),
               gib(r["peak_gpu_bytes"] for r in p["runs"])] + [ratio(p, b, clock) for b in base for clock in ("wall", "cpu")]


def markdown(document):
    """Columns in which no program has anything are left out."""
    table = list(rows(document))
    keep = [i for i in range(len(table[0])) if i == 0 or any(row[i] != "-" for row in table[1:])]
    lines = ["| " + " | ".join(row[i] for i in keep) + " |" for row in table]
    lines.insert(1, "|---" * len(keep) + "|")
    return "\n".join(lines) + "\n"
