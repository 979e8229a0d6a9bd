#!/usr/bin/env python3
"""Writes tests/vectors/statistics.txt: rows of numbers and what numpy and scipy say of them.

    python3 -m venv venv && venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    venv/bin/python tools/vectors/statistics.py > tests/vectors/statistics.txt
"""
import itertools
import sys

import numpy
import scipy
import scipy.stats


def line(key, values):
    print(key, *(repr(float(v)) for v in values))


def summary(name, values):
    values = numpy.array(values, dtype=float)
    half = len(values) // 2
    print("summary", name)
    line("values", values)
    line("median", [numpy.median(values)])
    line("p10", [numpy.percentile(values, 10)])
    line("p90", [numpy.percentile(values, 90)])
    line("range", [values.min(), values.max()])
    if len(values) >= 4:
        line("halves", [numpy.median(values[:half]), numpy.median(values[-half:])])
    else:
        print("halves")
    if len(values) >= 5:
        # the raw deviation: scipy's own scale is 1 / 1.482602...
        deviation = scipy.stats.median_abs_deviation(values)
        print("outliers", *(int(abs(v - numpy.median(values)) > 3.5 * 1.4826 * deviation) for v in values))
    else:
        print("outliers", *([0] * len(values)))


def exact_ratio(a, b, confidence):
    """Percentiles of the whole bootstrap distribution, every resample of both counted."""
    medians = [numpy.median(r) for r in itertools.product(a, repeat=len(a))]
    above = [numpy.median(r) for r in itertools.product(b, repeat=len(b))]
    ratios = numpy.divide.outer(numpy.array(above), numpy.array(medians)).ravel()
    tail = (1 - confidence) / 2 * 100
    return numpy.percentile(ratios, [tail, 100 - tail])


def ratio(name, a, b, exact):
    print("ratio", name)
    line("a", a)
    line("b", b)
    got = scipy.stats.bootstrap(
        (numpy.array(b), numpy.array(a)),
        lambda x, y, axis=-1: numpy.median(x, axis=axis) / numpy.median(y, axis=axis),
        n_resamples=200000, method="percentile", confidence_level=0.95, batch=20000,
        rng=numpy.random.default_rng(1))
    line("scipy", [got.confidence_interval.low, got.confidence_interval.high])
    if exact:
        line("exact", exact_ratio(a, b, 0.95))
    else:
        print("exact")


print("# numpy", numpy.__version__, "scipy", scipy.__version__, "tools/vectors/statistics.py")
rng = numpy.random.default_rng(7)
summary("one", [3.25])
summary("two", [4, 1])
summary("three", [4, 1, 9])
summary("four", [4, 1, 9, 2.5])
summary("five", [10, 10.5, 9.75, 10.25, 14])
summary("equal", [2] * 6)
summary("equal_but_one", [2, 2, 2, 2, 2, 2.001])
summary("even", rng.normal(100, 3, 20))
summary("odd", rng.lognormal(2, 0.4, 33))
summary("drifting", numpy.linspace(10, 13, 15) + rng.normal(0, 0.05, 15))
summary("tail", numpy.concatenate([rng.normal(50, 1, 40), [90, 20, 300]]))
summary("large_offset", 1e9 + rng.normal(0, 1e-3, 12))
ratio("same", rng.normal(100, 2, 12).tolist(), rng.normal(100, 2, 12).tolist(), False)
ratio("slower", rng.normal(100, 2, 15).tolist(), rng.normal(110, 2, 9).tolist(), False)
ratio("small", [10, 11, 12.5, 10.2], [12, 11.5, 14], True)
ratio("fours", [10, 10.4, 11, 9.7], [12.5, 12.4, 13, 12.1], True)
sys.stdout.flush()
