"""`robot-learn bench video`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_learn.cli.output import Names, OptionalInt, OptionalText, put, put_json, say, table


@dataclass(frozen=True)
class BenchVideo:
    """Learn behaviours from videos of other bodies, with ablations and baselines, beside the paper's table."""

    behaviours: Names = ()
    """ant-walk, ant-jump, cheetah-run, hopper-flip, walker-hop, hopper-hop, humanoid-walk; by default all."""
    methods: Names = ()
    """ours, warm, no-grounding, no-gates, late-gates, one-model, no-keep-best, person, dtw, similarity, text2reward,
    reference, chance; by default all."""
    seeds: int = 1
    """Training seeds 0, 1, ... of each."""
    experts: bool = False
    """Only train and film the experts."""
    model: str = "recordings"
    """Who edits rewards: recordings[:FOLDER], openai:MODEL, anthropic:MODEL, mailbox:FOLDER."""
    vision_model: OptionalText = None
    """Who looks (the same)."""
    steps: int = 1_000_000
    """Of a full training."""
    expert_steps: int = 3_000_000
    """Of an expert's training."""
    iterations: int = 5
    """Of a loop, the first reward included."""
    alternatives: int = 4
    """Rewards that an iteration tries beside each other."""
    num_envs: OptionalInt = None
    """Worlds trained in at once (128)."""
    workers: OptionalInt = None
    """Cells at once; by default one a core."""
    out: Path = Path("benchmarks")
    """Where experts, runs and results are; what is there is kept and gone on with."""
    docs: Path = Path("docs")
    """Where video.md is written."""
    dry_run: bool = False
    """Run nothing: say what is open, and write the page anew from the results that are there."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        from robot_learn.cli.output import make_folder
        from robot_learn.imitation import bench
        from robot_learn.imitation import table as tables
        from robot_learn.imitation.cells import BEHAVIOURS, Budget, Models, cells
        from robot_learn.launcher import LocalProcesses

        models = Models(self.model, self.vision_model or self.model)
        budget = Budget(
            steps=self.steps,
            expert_steps=self.expert_steps,
            iterations=self.iterations,
            alternatives=self.alternatives,
            num_envs=self.num_envs,
            models=models,
        )
        place, wanted = bench.Place(self.out), cells(self.behaviours, self.methods, self.seeds)
        if self.experts:
            named = [BEHAVIOURS[name] for name in self.behaviours or BEHAVIOURS]
            films = bench.make_experts(named, place, budget, launcher=LocalProcesses(self.workers), say=say)
            put_json([str(path) for path in films])
            return 0
        if self.dry_run:
            for cell in wanted:
                put(f"{'done' if place.result(cell).exists() else 'open'}  {cell.key}")
        else:
            bench.run_cells(wanted, place, budget, launcher=LocalProcesses(self.workers), say=say)
        results = tables.read_results(self.out / bench.RESULTS)
        make_folder(self.docs)
        (self.docs / "video.md").write_text(tables.markdown(results), encoding="utf-8")
        say(f"written   {self.docs / 'video.md'}")
        if self.json:
            put_json({"rows": tables.rows(results), "verdicts": tables.verdicts(results)})
        else:
            put(table(tables.rows(results)))
        return 0
