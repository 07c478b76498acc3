"""The rows that are kept of what was scored, and the page that is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab import ledger
from lab.scenario import load_all

ROW = ledger.Row(
    scenario="healthy@bookworm",
    kernel="6.1.0",
    accel="tcg",
    date="2026-01-01",
    seconds=60,
    version="lastwords 0.1.0",
    proof={},
    counts={"found": 3, "missed": 1, "false": 0, "not covered": 0, "cannot know": 2},
    wrong={"missed": ["console: event panic"]},
)


def test_the_page_is_made_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text(Path(ledger.REPORT).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(ledger, "REPORT", str(page))
    ledger.write_report(ledger.rows(), load_all())
    assert page.read_text(encoding="utf-8") == (Path(__file__).parents[2] / "docs/accuracy.md").read_text(
        encoding="utf-8"
    ), "python -m lab score"


def test_a_row_is_replaced_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LEDGER", str(tmp_path / "ledger.jsonl"))
    scenarios = load_all()
    other = replace(ROW, scenario="oom-global@bookworm")
    assert ledger.keep([other, ROW, replace(ROW, scenario="gone")], scenarios) == [ROW, other]
    better = replace(ROW, counts={**ROW.counts, "missed": 0}, wrong={})
    assert ledger.keep([better], scenarios) == [better, other]
    assert ledger.rows() == [better, other]


def test_totals_and_complaints() -> None:
    second = replace(ROW, scenario="oom-global@bookworm", prediction=["a", "a"], problems=["disk: no"])
    text = ledger.report([ROW, second], 5)
    assert "6/8 (75 %)" in text and "2 of 5 scenarios run, 2 minutes" in text and "1/1 (100 %)" in text
    assert "- healthy@bookworm, console: event panic" in text
    assert ledger.complaints([ROW, second])[-1] == "oom-global@bookworm: disk: no"
