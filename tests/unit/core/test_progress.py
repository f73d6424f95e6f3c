"""The bar of long calls: late, on stderr, and only where somebody looks."""

from __future__ import annotations

from pmkit.core import progress as progress_module
from pmkit.core.progress import ProgressBar


def test_the_bar_appears_late_and_only_where_somebody_looks(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    for show, lasts, seen in ((True, 3.0, True), (True, 1.0, False), (None, 3.0, False), (False, 3.0, False)):
        with ProgressBar("sums", 4, show) as bar:
            for _ in range(4):
                now[0] += lasts
                bar.advance()
        assert bar.done == 4 and (bar._bar is not None) is (seen or (show is True and 4 * lasts > 2.0))
    assert "sums" in capsys.readouterr().err
