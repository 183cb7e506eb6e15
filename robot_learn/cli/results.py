"""`robot-learn results`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_learn.cli.output import put, put_json, say


@dataclass(frozen=True)
class Results:
    """Make the tables and the page of learning curves of `bench text2reward` from its results."""

    folder: Path = Path("benchmarks/results/text2reward")
    """The results, one JSON file each."""
    out: Path = Path("docs")
    """Where text2reward.md and text2reward.html are written."""
    json: bool = False
    """Print the counts as JSON and write nothing."""

    def run(self) -> int:
        from robot_learn.text2reward.page import page
        from robot_learn.text2reward.table import markdown, read_results, verdicts

        summaries = read_results(self.folder)
        if self.json:
            put_json(verdicts(summaries))
            return 0
        self.out.mkdir(parents=True, exist_ok=True)
        for name, text in (("text2reward.md", markdown(summaries)), ("text2reward.html", page(summaries))):
            (self.out / name).write_text(text, encoding="utf-8")
            say(f"written   {self.out / name}")
        for question, answer in verdicts(summaries).items():
            put(f"{answer:<28}  {question}")
        return 0
