"""Video and report: a file that plays, a page that holds everything and trusts nothing."""

from __future__ import annotations

import base64
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_learn import plots
from robot_learn.errors import UserError
from robot_learn.evaluation import Episode, Evaluation, Trace
from robot_learn.report import ReportData, colour, flatten, gather, render_report, write_report
from robot_learn.runs import EVALUATION, PROMPT, REPLY, REPORT, REWARD, TRACE, VIDEO, Run
from robot_learn.video import SUCCESS_COLOUR, episode_frames, frame_timing, write_video

EVIL = '<script>alert("x")</script> & @BODY@'
PROGRAM = 'def reward(scene, action):\n    # near & <done>\n    return {"reach": -1.5 if True else 0}\n'
VOID = {"meta", "br", "path", "use", "rect", "line", "circle"}


class Page(HTMLParser):
    """Counts tags, checks that they close, and notes everything that the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def evaluation() -> Evaluation:
    rows = [Episode(2**30 + i, i != 3, i != 3, 7 if i != 3 else None, -2.0, 20) for i in range(10)]
    return Evaluation("toy/point", tuple(rows), True, 1.0)


def full(**changes: object) -> ReportData:
    trace = {"seed": 1, "control_dt": 0.1, "success_step": 2, "rewards": [0.0, 1.0], "terms": {EVIL: [0.0, 1.0]}}
    data = {
        "task": EVIL,
        "instruction": EVIL,
        "command": f"robot-learn run {EVIL}",
        "evaluation": evaluation().to_json(),
        "progress": [{"steps": 10.0 * i, "success_rate": 0.1 * i, "episode_return": -1.0 / (i + 1)} for i in range(5)],
        "trace": trace,
        "video": b"not really a video",
        "program": f"x = 1  # {EVIL}\n",
        "prompt": EVIL,
        "reply": EVIL,
        "config": {EVIL: EVIL},
        "versions": {EVIL: EVIL},
    }
    return ReportData(**data | changes)  # type: ignore[arg-type]


def test_the_page_is_whole_and_loads_nothing_from_outside() -> None:
    page = Page(render_report(full()))
    assert page.open == []
    for load in page.loads:
        assert load.startswith(("data:", "#")), load
    assert {"video", "svg", "details", "table"} <= set(page.tags)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", render_report(full()))


def test_no_text_of_a_run_becomes_markup() -> None:
    text = render_report(full())
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("main") == 1
    assert page.text.count(EVIL) >= 8
    assert text.count('<div class="hero') == 1  # a text that looks like a place of the page is not filled


def test_the_result_stands_on_top_with_its_interval() -> None:
    page = Page(render_report(full()))
    low, high = evaluation().success_interval
    assert "90%" in page.text
    assert (
        f"9 of 10 episodes, on starts never trained on, achieved the task at some step; 95% interval {low:.0%}"
        in page.text
    )
    assert f"95% interval {low:.0%} to {high:.0%}" in page.text
    assert page.text.index("90%") < page.text.index("Learning")


def test_what_a_run_does_not_have_is_left_out() -> None:
    page = Page(render_report(ReportData("toy/point", "Go.", "robot-learn run toy/point")))
    assert page.open == []
    assert not {"video", "svg", "details"} & set(page.tags)
    assert "Not evaluated yet" in page.text


def test_a_report_gathers_the_files_of_its_run(tmp_path: Path) -> None:
    run = Run.create(tmp_path, task="toy/point", seed=0, config={"train": {"gamma": 0.98}})
    assert gather(run, instruction="Go.", command="x").evaluation is None
    run.write_json(EVALUATION, evaluation().to_json())
    trace = Trace(5, [0.0, 1.0], {"reach": [0.0, 1.0]}, [False, True])
    run.write_json(TRACE, trace.to_json(0.1))
    for name, text in ((REWARD, PROGRAM), (PROMPT, "the prompt"), (REPLY, "the reply")):
        run.write_text(name, text)
    run.file(VIDEO).write_bytes(b"mp4")
    write_report(run, gather(run, instruction="Go.", command="robot-learn run toy/point"))
    text = run.read_text(REPORT)
    page = Page(text)
    for part in ("Go.", "the prompt", "the reply", "train.gamma", "0.98", "stable-baselines3", "def reward"):
        assert part in page.text
    assert base64.b64encode(b"mp4").decode() in text


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(), st.text("def \n\t()'\"#:=1x<&", max_size=60)))
def test_colouring_changes_no_character_of_any_program(program: str) -> None:
    assert unescape(re.sub(r"</?span[^>]*>", "", colour(program))) == program


def test_colouring_marks_what_a_reader_looks_for() -> None:
    marked = colour(PROGRAM)
    for piece in (
        '<span class="key">def</span>',
        '<span class="name">reward</span>',
        '<span class="num">1.5</span>',
        '<span class="com"># near &amp; &lt;done&gt;</span>',
    ):
        assert piece in marked


def test_plots_are_wellformed_and_say_what_they_show() -> None:
    terms = {f"term_{i}": [0.1 * i, 0.2] for i in range(12)}
    for svg in (
        plots.learning_curve([{"steps": 10, "success_rate": None, "episode_return": 1.0}]),
        plots.term_plot(terms, [1.0, 2.0], 0.05, 2),
    ):
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("width") is None
        assert plots.INK not in svg
    texts = " ".join(root.itertext())
    assert all(name in texts for name in terms)
    assert "success" in texts
    assert "success" not in " ".join(ElementTree.fromstring(plots.term_plot({}, [1.0], 0.05, None)).itertext())


def test_nested_settings_become_one_table() -> None:
    assert flatten({"a": {"b": {"c": [1, 2]}}, "d": "x", "e": None}) == {"a.b.c": "[1, 2]", "d": "x", "e": "null"}


def test_a_video_holds_its_frames_in_the_format_that_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    frames = [np.full((65, 97, 3), 10 * i, dtype=np.uint8) for i in range(12)]
    write_video(path, frames, fps=20.0)
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    decoded = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
    assert (meta["codec"], meta["size"], meta["fps"]) == ("h264", (96, 64), 20.0)
    assert meta["pix_fmt"].startswith("yuv420p")
    np.testing.assert_allclose(decoded, [10 * i for i in range(12)], atol=6)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frames"):
        write_video(tmp_path / "video.mp4", [], fps=20.0)
    frames = [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)]
    with pytest.raises(UserError, match=r"wanted frames \(64, 64, 3\)"):
        write_video(tmp_path / "video.mp4", frames, fps=20.0)
    assert list(tmp_path.iterdir()) == []


@given(st.floats(0.002, 0.2), st.floats(0.25, 4.0))
def test_frames_play_at_the_robots_pace(control_dt: float, speed: float) -> None:
    stride, fps = frame_timing(control_dt, speed=speed)
    assert stride * control_dt * fps == pytest.approx(speed)


def test_the_border_appears_with_the_first_success() -> None:
    frames = [np.full((60, 60, 3), 200, dtype=np.uint8) for _ in range(4)]
    trace = Trace(0, success=[False] * 5 + [True] * 3, frames=frames, frame_steps=[0, 2, 4, 6])
    clip = episode_frames(trace, fps=10.0)
    assert [tuple(frame[0, 0]) == SUCCESS_COLOUR for frame in clip[:4]] == [False, False, False, True]
    assert len(clip) == 4 + 7
    assert (frames[3] == 200).all()
    last_moment = Trace(0, success=[False] * 7 + [True], frames=frames, frame_steps=[0, 2, 4, 6])
    assert tuple(episode_frames(last_moment, fps=10.0)[3][0, 0]) == SUCCESS_COLOUR
