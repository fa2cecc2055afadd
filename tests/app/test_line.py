"""The waiting line by itself; how growths keep to it is in test_py."""

from __future__ import annotations

from app.line import Line


def test_the_line_counts_who_is_ahead():
    line = Line()
    for run in "abc":
        line.join(run)
    line.enter("a")
    assert line.place("c")["ahead"] == 2
    line.leave("a")
    line.leave("b")
    assert line.place("c")["ahead"] == 0
