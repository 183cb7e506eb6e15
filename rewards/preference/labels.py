"""Labels on disk: one line of JSON each, only ever added to, so that whatever stops a labelling loses nothing.

    {"id": "3:12+1|7:40+1", "first": [3, 12, 1], "second": [7, 40, 1], "label": 1.0, "confidence": 0.8,
     "source": "vlm:...", "teacher": "vlm:...", "prompt_hash": "...", "images": ["...", "..."], "dataset": "..."}

A segment is [episode, first step, steps]. A label of null is an answer, too: the teacher did not want to say. `teacher`
is who was asked, with all settings; `source` adds the model that replied, where one did.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rewards.preference.query import Answer
from robot_learn.errors import UserError
from robot_learn.types import Preference, Segment

PairKey = tuple[Segment, Segment]

_KEYS = ("first", "second", "label", "confidence", "teacher", "dataset")


@dataclass(frozen=True)
class Label:
    """One line: what one teacher said of one pair."""

    first: Segment
    second: Segment
    answer: Answer
    teacher: str
    dataset: str  # the dataset's hash

    @property
    def source(self) -> str:
        """Who said it: the teacher, and the model that replied where there is one."""
        return f"{self.teacher}:{self.answer.model}" if self.answer.model else self.teacher

    @property
    def pair(self) -> PairKey:
        return (self.first, self.second)

    @property
    def preference(self) -> Preference | None:
        """As reward models take it; None for an abstention."""
        said = self.answer
        if said.label is None:
            return None
        return Preference(
            self.first, self.second, said.label, self.source, said.confidence, said.prompt_hash, said.images
        )

    def line(self) -> str:
        said = self.answer
        entry = {
            "id": "|".join(f"{part.episode}:{part.start}+{part.length}" for part in self.pair),
            "first": [self.first.episode, self.first.start, self.first.length],
            "second": [self.second.episode, self.second.start, self.second.length],
            "label": said.label,
            "confidence": said.confidence,
            "source": self.source,
            "teacher": self.teacher,
            "model": said.model,
            "prompt_hash": said.prompt_hash,
            "images": list(said.images),
            "dataset": self.dataset,
        }
        return json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"


def read_labels(
    path: Path | str,
    *,
    dataset_hash: str | None = None,
    earlier: Sequence[str] = (),
    lengths: np.ndarray | None = None,
) -> tuple[Label, ...]:
    """The labels of a file. A last line that was cut off is left out; `LabelFile` puts it aside.

    Args:
        dataset_hash: of the dataset that they must be about.
        earlier: hashes that it had before episodes were added to it; labels from then hold.
        lengths: (E,) steps of its episodes, to check that every segment exists.

    Raises:
        UserError: it names file, line and key of what is wrong: no JSON, a key that is missing or holds something
            else, NaN, a segment that the dataset does not have, another dataset, or a source that contradicts itself.
    """
    path = Path(path)
    whole, _ = _split(_bytes(path))
    found = []
    for number, line in enumerate(whole.splitlines(), start=1):
        where = f"{path}, line {number}"
        label = _label(line, where)
        if dataset_hash is not None and label.dataset not in (dataset_hash, *earlier):
            raise UserError(
                f"{where}, key 'dataset': these labels are about another dataset ({label.dataset[:16]}), "
                f"wanted {dataset_hash[:16]}"
            )
        if lengths is not None:
            _check_segments(label, lengths, where)
        found.append(label)
    check_agreement(found, str(path))
    return tuple(found)


def preferences(labels: Iterable[Label]) -> list[Preference]:
    """What was said, abstentions left out."""
    return [preference for label in labels if (preference := label.preference) is not None]


def check_agreement(labels: Sequence[Label], path: str) -> None:
    """Raises:
    UserError: one source said two things of one pair, in whichever order; both lines are named.
    """
    said: dict[tuple[frozenset[Segment], str], tuple[int, Label]] = {}
    for number, label in enumerate(labels, start=1):
        key = (frozenset(label.pair), label.source)
        line, before = said.setdefault(key, (number, label))
        other = before.answer.label
        if other is not None and before.pair != label.pair:
            other = 1.0 - other
        if other != label.answer.label:
            raise UserError(
                f"{path}, line {number}, key 'label': {label.source} says {label.answer.label} of a pair of which it "
                f"said {other} in line {line}; delete one of the two"
            )


class LabelFile:
    """A file of labels that is added to: every label is on the disk before the next question is asked.

    A last line that was cut off (the machine went down while it was written) is moved to FILE.torn.
    """

    def __init__(
        self, path: Path | str, *, dataset_hash: str, earlier: Sequence[str] = (), lengths: np.ndarray
    ) -> None:
        """Raises:
        UserError: what lies there are no labels of this dataset, or the file cannot be written.
        """
        self.path = Path(path)
        self._dataset_hash = dataset_hash
        self._file: IO[bytes] | None = None
        self.labels: list[Label] = []
        self.torn = b""
        if self.path.exists():
            self.labels += read_labels(self.path, dataset_hash=dataset_hash, earlier=earlier, lengths=lengths)
            whole, self.torn = _split(_bytes(self.path))
            if self.torn:
                with self.path.with_name(f"{self.path.name}.torn").open("ab") as aside:
                    aside.write(self.torn + b"\n")
                    _sync(aside)
                os.truncate(self.path, len(whole))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
        except OSError as error:
            raise UserError(f"cannot write labels to {self.path}: {error.strerror}") from error

    def said(self, teacher: str) -> dict[PairKey, Answer]:
        """What a teacher has answered, by pair in the order in which it was asked."""
        return {label.pair: label.answer for label in self.labels if label.teacher == teacher}

    def add(self, first: Segment, second: Segment, answer: Answer, teacher: str) -> Label:
        """Store an answer.

        Raises:
            UserError: the disk is full.
        """
        assert self._file is not None
        label = Label(first, second, answer, teacher, self._dataset_hash)
        try:
            self._file.write(label.line().encode())
            _sync(self._file)
        except OSError as error:
            raise UserError(f"cannot write labels to {self.path}: {error.strerror}") from error
        self.labels.append(label)
        return label

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _label(line: bytes, where: str) -> Label:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not a label in JSON: {error}") from error
    if not isinstance(entry, dict):
        raise UserError(f"{where}: wanted a JSON object, came {line[:60]!r}")
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise UserError(f"{where}, key {missing[0]!r}: it is missing; a label has {', '.join(_KEYS)}")
    label = entry["label"]
    answer = Answer(
        None if label is None else _share(label, f"{where}, key 'label'"),
        _share(entry["confidence"], f"{where}, key 'confidence'"),
        _text(entry, "prompt_hash", where),
        tuple(str(image) for image in entry.get("images") or ()),
        _text(entry, "model", where),
    )
    first, second = (_segment(entry[key], f"{where}, key {key!r}") for key in ("first", "second"))
    found = Label(first, second, answer, _text(entry, "teacher", where), _text(entry, "dataset", where))
    if entry.get("source", found.source) != found.source:
        raise UserError(f"{where}, key 'source': wanted teacher:model, {found.source!r}, came {entry['source']!r}")
    return found


def _share(value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= 1:
        raise UserError(f"{where}: wanted a number from 0 to 1, came {value!r}")
    return float(value)


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise UserError(f"{where}, key {key!r}: wanted text, came {value!r}")
    return value


def _segment(value: Any, where: str) -> Segment:
    whole = isinstance(value, list) and len(value) == 3 and all(type(number) is int for number in value)
    if not whole or value[0] < 0 or value[1] < 0 or value[2] < 1:
        raise UserError(f"{where}: wanted [episode, first step, number of steps], came {value!r}")
    return Segment(*value)


def _check_segments(label: Label, lengths: np.ndarray, where: str) -> None:
    for key, segment in zip(("first", "second"), label.pair, strict=True):
        if segment.episode >= len(lengths):
            raise UserError(f"{where}, key {key!r}: there is no episode {segment.episode}, there are {len(lengths)}")
        if segment.start + segment.length > lengths[segment.episode]:
            raise UserError(
                f"{where}, key {key!r}: there is no step {segment.start + segment.length - 1} in episode "
                f"{segment.episode}, which has {lengths[segment.episode]}"
            )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"labels {path} cannot be read: {error.strerror}") from error


def _split(content: bytes) -> tuple[bytes, bytes]:
    """The lines that were written whole, and what follows the last line feed."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
