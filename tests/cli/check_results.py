"""Checks a document of --json: by the schema, and against itself; then a CSV and a trace of the same run.

usage: check_results.py SOURCE FILE [--csv FILE] [--trace FILE] [--configurations N] [--counted N]
                        [--failed N] [--operators] [--partial]
"""
import argparse
import csv
import json
import statistics

import jsonschema

parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("file")
parser.add_argument("--csv")
parser.add_argument("--trace")
parser.add_argument("--configurations", type=int)
parser.add_argument("--counted", type=int)
parser.add_argument("--failed", type=int, default=0)
parser.add_argument("--operators", action="store_true")
parser.add_argument("--partial", action="store_true")
asked = parser.parse_args()

CLOSE = 2e-4  # ms: numbers are rounded to a tenth of a microsecond


def close(a, b, within=CLOSE):
    assert abs(a - b) <= within, (a, b)


def check_series(series, count=None):
    if series is None:
        return
    values = series["values"]
    assert count is None or len(values) == count, (len(values), count)
    close(series["median"], statistics.median(values))
    assert series["min"] == min(values) and series["max"] == max(values)
    assert series["min"] <= series["p10"] <= series["median"] <= series["p90"] <= series["max"]
    assert all(i < len(values) for i in series["outliers"])
    assert (series["drift"] is None) == (len(values) < 4)


def check_configuration(c, pictures):
    failed = c["error"] is not None
    batches = -(-c["count"] // c["batch"])
    samples = batches * c["runs"]["counted"]
    if asked.counted is not None and not failed:
        assert c["runs"]["counted"] == asked.counted
    for series in c["clocks"].values():
        check_series(series)
    for series in c["stages"].values():
        check_series(series)
    if samples == 0:
        assert c["step"] is None and c["clocks"]["sampling"] is None
        return
    check_series(c["clocks"]["sampling"], samples)
    check_series(c["clocks"]["picture"], samples)
    check_series(c["steps_per_s"], samples)
    check_series(c["step"]["all"], samples * c["steps"])
    assert len(c["step"]["values"]) == samples
    for i, steps in enumerate(c["step"]["values"]):
        assert len(steps) == c["steps"]
        assert sum(steps) <= c["clocks"]["sampling"]["values"][i] + CLOSE * (len(steps) + 1)
        assert c["stages"]["sample"]["values"][i] + CLOSE >= c["clocks"]["sampling"]["values"][i]
        assert c["clocks"]["picture"]["values"][i] + CLOSE >= c["stages"]["sample"]["values"][i]
    for rate, ms in zip(c["steps_per_s"]["values"], c["clocks"]["sampling"]["values"]):
        assert abs(rate * ms / 1000 / c["steps"] - 1) < 1e-3
    if batches == 1:
        parts = zip(*(c["stages"][s]["values"] for s in ("encode", "sample", "decode")), c["clocks"]["picture"]["values"])
        assert all(encode + sample + decode <= picture + 4 * CLOSE for encode, sample, decode, picture in parts)
    if not failed and c["runs"]["reason"] is None:
        check_series(c["clocks"]["file"], c["count"] * c["runs"]["counted"])
    assert c["stages"]["write"] == c["clocks"]["file"]
    assert c["memory"]["device_peak_bytes"] > 0 and c["memory"]["host_peak_bytes"] > 0
    assert (c["energy"]["joules_per_picture"] is None) == (c["energy"]["reason"] is not None)
    for k in range(c["steps"]):
        close(c["step"]["median"][k], statistics.median(v[k] for v in c["step"]["values"]))
    if not failed:
        assert [p["index"] for p in pictures] == list(range(c["count"]))
    check_operators(c)


def check_work(work, whole, ceiling):
    close(work["share"], work["total_ms"] / whole, 1e-3)
    if work["total_ms"] > 0.01:
        assert abs(work["gflops"] * work["total_ms"] * 1e6 / max(work["flops"], 1) - 1) < 0.02 or work["flops"] == 0
        reach = max(work["flops"] / ceiling["matrix_gflops"], work["bytes"] / ceiling["copy_gbytes"]) / 1e6
        assert abs(work["of_ceiling"] * work["total_ms"] - reach) <= 0.02 * reach
        compute = work["flops"] / ceiling["matrix_gflops"] > work["bytes"] / ceiling["copy_gbytes"]
        assert work["bound"] == ("compute" if compute else "memory")


def check_operators(c):
    assert (c["operators"] is not None) == asked.operators
    if not asked.operators:
        return
    table = c["operators"]
    assert c["ceiling"]["matrix_gflops"] > 0 and c["ceiling"]["copy_gbytes"] > 0
    close(sum(r["total_ms"] for r in table["rows"]), table["covered_ms"], CLOSE * len(table["rows"]))
    assert 0 < table["covered_ms"] <= table["picture_ms"] + CLOSE
    assert sorted((r["total_ms"] for r in table["rows"]), reverse=True) == [r["total_ms"] for r in table["rows"]]
    assert {"conv2d", "linear", "attention", "group_norm"} <= {r["name"] for r in table["rows"]}
    for row in table["rows"]:
        check_work(row, table["covered_ms"], c["ceiling"])
        assert len(row["shapes"]) == min(5, row["shapes_count"])
        assert sum(s["count"] for s in row["shapes"]) <= row["count"]
        for shape in row["shapes"]:
            check_work(shape, table["covered_ms"], c["ceiling"])


def check_csv(document):
    with open(asked.csv, newline="") as file:
        rows = list(csv.DictReader(file))
    for c in document["configurations"]:
        mine = [r for r in rows if r["key"] == c["key"]]
        for kind, group in (("stage", c["stages"]), ("clock", c["clocks"])):
            for name, series in group.items():
                found = [r for r in mine if (r["kind"], r["name"]) == (kind, name)]
                assert len(found) == (series is not None), (c["key"], name)
                for r in found:
                    assert int(r["values"]) == len(series["values"])
                    for key in ("median", "p10", "p90", "min", "max"):
                        close(float(r[key]), series[key])
    assert len({(r["key"], r["kind"], r["name"]) for r in rows}) == len(rows)


def check_nesting(events):
    """Complete events of one thread nest: none overlaps another's edge."""
    open_until = []
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        assert event["dur"] >= 0
        end = event["ts"] + event["dur"]
        while open_until and open_until[-1] <= event["ts"] + 1e-6:
            open_until.pop()
        assert not open_until or end <= open_until[-1] + 0.15, event
        open_until.append(end)


def check_trace(document):
    with open(asked.trace) as file:
        events = json.load(file)["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    names = {e["tid"] for e in events if e["name"] == "thread_name"}
    for thread in {e["tid"] for e in spans}:
        assert thread in names
        check_nesting([e for e in spans if e["tid"] == thread])
    for index, c in enumerate(document["configurations"]):
        mine = [e for e in spans if e["args"]["configuration"] == index]
        counted = [e for e in mine if e["args"]["kind"] == "counted"]
        steps = [e for e in counted if e["cat"] == "step"]
        told = [ms for sample in c["step"]["values"] for ms in sample]
        assert len(steps) == len(told)
        for event, ms in zip(sorted(steps, key=lambda e: e["ts"]), told):
            assert event["dur"] / 1000 <= ms + 1e-3  # the host's clock is read around the span
        for stage in ("encode", "decode"):
            durations = [e["dur"] / 1000 for e in counted if e["name"] == stage and e["cat"] == "stage"]
            values = c["stages"][stage]["values"]
            assert len(durations) == len(values)
            assert all(d <= v + 1e-3 for d, v in zip(durations, values))
        written = [e["dur"] / 1000 for e in counted if e["name"] == "write"]
        close(sum(written), sum(c["clocks"]["file"]["values"]), 1e-3 * (1 + len(written)))
        by_operator = [e for e in mine if e["cat"] == "operator"]
        assert {e["args"]["kind"] for e in by_operator} <= {"operators"}
        for row in (c["operators"] or {"rows": []})["rows"]:
            of_row = [e for e in by_operator if e["name"] == row["name"]]
            assert len(of_row) == row["count"]
            close(sum(e["dur"] for e in of_row) / 1000, row["total_ms"], 2e-4 * (1 + len(of_row)))
            close(sum(e["args"]["flops"] for e in of_row), row["flops"], 1e-6 * row["flops"] + 1)


with open(asked.source + "/bench/schema/results.schema.json") as file:
    schema = json.load(file)
with open(asked.file) as file:
    document = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(document)
configurations = document["configurations"]
if asked.configurations is not None:
    assert len(configurations) == asked.configurations, len(configurations)
    assert sum(c["error"] is not None for c in configurations) == asked.failed
    assert document["partial"] == (asked.failed > 0 or asked.partial)
    assert len({c["key"] for c in configurations}) == len(configurations)
    for c in configurations:
        check_configuration(c, [document["pictures"][i] for i in c["pictures"]])
assert [c["clocks"]["cold"] is not None for c in configurations].count(True) <= 1
assert document["environment"]["wall_ms"] >= sum(sum(c["clocks"]["picture"]["values"]) for c in configurations
                                                 if c["clocks"]["picture"])
for i, picture in enumerate(document["pictures"]):
    assert i in configurations[picture["configuration"]]["pictures"]
if asked.csv:
    check_csv(document)
if asked.trace:
    check_trace(document)
print("as wanted")
