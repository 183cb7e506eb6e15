"""`robot-learn data list|show|export|import|actions`: datasets, looked at and carried elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from robot_learn.cli.output import OptionalInt, OptionalPath, OptionalText, put, put_json, say, table
from robot_learn.errors import UserError

DatasetName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]


@dataclass(frozen=True)
class DataList:
    """List the datasets on this machine."""

    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from robot_learn.data import layout

        rows = []
        for name in layout.names(self.root):
            told = layout.metadata(layout.find(name, self.root))
            ours = told.get(layout.OURS, {})
            rows.append(
                {
                    "dataset": name,
                    "episodes": int(told.get("total_episodes", 0)),
                    "steps": int(told.get("total_steps", 0)),
                    "success": ours.get("success_rate"),
                    "return": ours.get("returns", {}).get("mean"),
                    "images": "x".join(map(str, ours["images"][:2])) if ours.get("images") else "-",
                    "MB": float(told.get("dataset_size") or 0.0),
                }
            )
        if self.json:
            put_json(rows)
        elif rows:
            put(table(rows))
        else:
            put(f"no dataset in {layout.data_root(self.root)}; `robot-learn collect TASK` makes one")
        return 0


@dataclass(frozen=True)
class DataShow:
    """Show how a dataset came about, and how good it is to learn from."""

    dataset: DatasetName
    """Its name, or the path of its folder."""
    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from robot_learn.data import store
        from robot_learn.data.manifest import describe
        from robot_learn.data.quality import quality

        dataset = store.load(self.dataset, self.root, in_memory=0)
        manifest = {"task": dataset.task, **dataset.manifest, **describe(dataset)}
        stored = dataset.manifest.get("hash")
        if stored is not None and stored != manifest["hash"]:
            raise UserError(f"dataset {self.dataset}: its numbers are not those of its manifest (hash {stored})")
        measured = quality(dataset)
        if self.json:
            put_json({"manifest": manifest, "quality": measured.to_json()})
            return 0
        put(manifest_text(self.dataset, manifest))
        put("")
        put(table([{"quality": name.replace("_", " "), "": value} for name, value in measured.to_json().items()]))
        return 0


@dataclass(frozen=True)
class DataExport:
    """Write a dataset as LeRobot's: parquet and mp4."""

    dataset: DatasetName
    """Its name, or the path of its folder."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """A new folder."""
    fps: OptionalInt = None
    """Frames in a second of the robot's time; by default what the manifest says."""
    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""

    def run(self) -> int:
        from robot_learn.data import lerobot, store

        dataset = store.load(self.dataset, self.root)
        told = dataset.manifest
        fps = self.fps or round(told.get("fps") or 1.0 / told.get("control_dt", 0.1))
        lerobot.write(dataset, self.folder, instruction=str(told.get("instruction", dataset.task)), fps=fps)
        put(f"{self.folder}: {dataset.num_episodes} episodes, {dataset.num_steps:,} frames at {fps} a second")
        return 0


@dataclass(frozen=True)
class DataImport:
    """Take over a dataset of LeRobot's, or a folder of videos that shows a task being done."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """A LeRobotDataset (3.0 or 2.x), or a folder of videos."""
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """Of the dataset here."""
    camera: OptionalText = None
    """Which pictures, where there are several cameras; none for no pictures."""
    images: int = 128
    """Pictures that are larger are shrunk to so many pixels square."""
    task: OptionalText = None
    """Its task here, e.g. metaworld/drawer-open; by default what the dataset says."""
    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""

    def run(self) -> int:
        from robot_learn.data import lerobot, lerobot_import, store, videos
        from robot_learn.data.manifest import describe
        from robot_learn.data.writer import DatasetWriter

        if self.images < 8:
            raise UserError(f"--images {self.images}: wanted 8 pixels or more")
        if not self.folder.is_dir():
            raise UserError(f"there is no folder {self.folder}")
        told: dict[str, Any] = {"imported_from": "videos"}
        if (self.folder / lerobot.INFO).exists() or not videos.files(self.folder):
            theirs = lerobot_import.open_folder(self.folder, camera=self.camera, size=self.images)
            told, episodes = theirs.manifest | {"instruction": theirs.instruction()}, theirs.episodes()
        else:
            episodes = videos.episodes(self.folder, size=self.images)
        task = self.task or told.get("task") or told.get("instruction") or self.name
        settings = {"imported_from": told["imported_from"], "folder": self.folder.name, "images": self.images}
        with DatasetWriter(self.name, self.root, task=task, settings=settings) as writer:
            there = writer.num_episodes  # after an interrupt
            for number, episode in enumerate(episodes):
                if number >= there:
                    writer.add(episode)
                    say(f"episode   {number}: {len(episode)} steps")
        own = {key: value for key, value in told.items() if key not in ("task", "settings")}
        writer.tell(**own | describe(store.load(writer.name, self.root, in_memory=0)))
        put(manifest_text(writer.name, writer.manifest))
        return 0


@dataclass(frozen=True)
class DataActions:
    """Fill in the actions of episodes that were only watched, by inverse dynamics learned where they are known."""

    watched: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="WATCHED")]
    """A dataset; actions that it has are not looked at."""
    labelled: Annotated[str, tyro.conf.arg(name="from", metavar="LABELLED")]
    """A dataset with actions, of the same robot."""
    out: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """Name of the dataset with actions."""
    inputs: Literal["observations", "features"] = "observations"
    """What a state is; features are principal components of the pictures, where there are no numbers."""
    updates: int = 10_000
    """Of the network, at most."""
    seed: int = 0
    """Of the network and of the episodes that are held out."""
    root: OptionalPath = None
    """Where datasets lie; by default what ROBOT_LEARN_DATA names, or ./datasets."""
    json: bool = False
    """Print the held-out error as JSON."""

    def run(self) -> int:
        from robot_learn.data import layout, store
        from robot_learn.data.features import fit_components, with_features
        from robot_learn.data.inverse_dynamics import InverseConfig, learn

        if (layout.data_root(self.root) / layout.full_name(self.out)).exists():
            raise UserError(f"dataset {self.out!r} is there already: choose another --out")
        watched, labelled = store.load(self.watched, self.root), store.load(self.labelled, self.root)
        if self.inputs == "features":
            if watched.images is None or labelled.images is None:
                raise UserError("--inputs features: both datasets want pictures")
            encoder = fit_components(watched.images, labelled.images, seed=self.seed)
            watched, labelled = with_features(watched, encoder), with_features(labelled, encoder)
        config = InverseConfig(updates=self.updates, seed=self.seed)
        model = learn(
            labelled,
            config,
            inputs=self.inputs,
            on_check=lambda update, loss: say(f"{update:>7,} updates   held-out loss {loss:.4f}"),
        )
        filled = model.fill(watched)
        far = filled.manifest["inverse_dynamics"]["far"]
        say(f"far       {far:.1%} of the watched steps are unlike the data with actions; there it guesses")
        folder = store.save(filled, self.out, self.root)
        if self.json:
            put_json({"dataset": str(folder), "far": far, "held_out": model.held_out.to_json()})
            return 0
        rows = zip(model.held_out.error, model.held_out.explained, strict=True)
        put(table([{"action": i, "error": float(e), "explained": float(x)} for i, (e, x) in enumerate(rows)]))
        put(f"{folder}: {watched.num_episodes} episodes; figures are of {model.held_out.episodes} held-out episodes")
        return 0


def manifest_text(name: str, manifest: Mapping[str, Any]) -> str:
    """A manifest for a person."""
    returns, length = manifest["returns"], manifest["episode_length"]
    shares = ", ".join(f"{source} {share:.0%}" for source, share in manifest["sources"].items())
    lines = [
        f"dataset   {name}: {manifest['episodes']:,} episodes, {manifest['steps']:,} steps of {manifest['task']}",
        f"sources   {shares}",
        f"length    {length['mean']:.4g} steps on average, {length['min']} to {length['max']}",
        f"success   {manifest['success_rate']:.1%} of the episodes",
        f"return    {returns['mean']:.4g} on average; quartiles {', '.join(f'{q:.4g}' for q in returns['quartiles'])}",
    ]
    if manifest.get("images"):
        lines.append(f"images    {manifest['images'][0]} x {manifest['images'][1]}, one a frame")
    for which, anchor in (manifest.get("anchors") or {}).items():
        told = f"return {anchor['mean_return']:.4g}, success {anchor['success_rate']:.0%}"
        lines.append(f"anchor    {which}: {told} ({anchor['policy']}, {anchor['episodes']} episodes)")
    if "medium" in manifest:
        lines.append(f"medium    chance acts in {manifest['medium']['epsilon']:.1%} of the steps")
    if "generator" in manifest:
        lines.append(f"made by   {manifest['generator']} {manifest['generator_version']}, commit {manifest['commit']}")
    return "\n".join([*lines, f"hash      {manifest['hash']}"])
