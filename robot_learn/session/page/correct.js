// Correct a robot while it moves: its plan and what it holds to be unsafe, pushes, and what it has learned from them.

import { element } from "/page/keys.js";
import { facts, say } from "/page/paint.js";
import { Chart, curve } from "/page/correct_plots.js";

const NAMES = { "plan": "its plan", "unsafe for sure": "surely unsafe", "unsafe perhaps": "perhaps unsafe" };
const PADS = { ArrowUp: 12, ArrowDown: 13, ArrowLeft: 14, ArrowRight: 15, w: 5, s: 4 }; // buttons of a standard gamepad
const SURE_MS = 3000, NOTED_MS = 4000;
const OVER = "the person is satisfied"; // nothing is taken back after that

export function mount(root, page) {
  root.className = "split";
  const view = element("div", { className: "view" }), side = element("div", { className: "side" });
  root.append(view, side);
  const scene = page.scene(view);
  const parts = build(view, side, scene);
  const memory = { sure: 0, sent: new Map(), tilt: new Set(), note: (text) => noted(parts.note, text) };
  const again = () => page.state$.value && draw(page, parts, page.state$.value, memory);
  page.state$.subscribe((state) => { measure(page, state, memory); again(); machine(root, state); });
  page.holds$.subscribe(again);
  page.live$.subscribe(() => page.state$.value?.system && going(page, parts, page.state$.value));
  page.gamepad((pad) => padded(page, pad, memory));
}

// --- What is there.

function build(view, side, scene) {
  const parts = { scene, pad: element("div", { className: "pad" }) };
  parts.message = element("div", { className: "message", role: "status" });
  parts.note = element("div", { className: "message", role: "status", hidden: true }); // what came of an undo
  parts.answers = element("div"); // here, and not among the keys below, which never move: one of them stops the robot
  const legend = element("div", { className: "over right" });
  for (const [body, text] of Object.entries(NAMES)) {
    const box = element("label", { className: `tag legend ${body.replaceAll(" ", "-")}` });
    const tick = element("input", { type: "checkbox", checked: true });
    tick.onchange = () => { scene.show(body, tick.checked); if (body === "plan") scene.show("plan end", tick.checked); };
    box.append(tick, element("span", { className: "swatch" }), text);
    legend.append(box);
  }
  view.append(legend, element("div", { className: "told" }, parts.message, parts.note, parts.answers), parts.pad);
  const card = (title, ...children) => element("section", { className: "card" }, element("h2", { textContent: title }), ...children);
  parts.ask = element("section", { className: "card ask", hidden: true });
  parts.wish = element("p");
  parts.facts = element("dl", { className: "facts" });
  parts.episodes = element("div", { className: "episodes" });
  parts.marks = element("p", { className: "dim small", hidden: true, textContent: "Episodes: ● passed, ○ not as wanted, ■ stopped by you. The number counts pushes." });
  parts.curve = element("div");
  parts.known = element("dl", { className: "facts" });
  parts.charts = element("div");
  parts.words = element("ol", { className: "list" });
  parts.end = element("section", { className: "card", hidden: true });
  parts.chartCard = card("What it holds to be unsafe", parts.charts);
  side.append(parts.end, parts.ask, card("What it shall learn", parts.wish, parts.facts, parts.episodes, parts.marks),
    card("What it knows", parts.curve, parts.known), parts.chartCard, card("What you said", parts.words));
  return parts;
}

// --- What changes.

function draw(page, parts, state, memory) {
  page.title(state.title ?? page.what);
  if (!state.system) return;
  const asked = state.question && !state.question.thinking;
  const tone = state.phase === "over" ? "good" : state.phase === "paused" ? "warn" : "";
  page.phase(state.phase === "over" ? "over" : asked ? "it asks you" : state.phase, asked ? "warn" : tone);
  page.keys(actions(page, state, memory, () => draw(page, parts, state, memory)), { pad: parts.pad, answers: parts.answers });
  message(parts.message, state);
  // Only what differs is drawn again: ten plans come a second.
  const fresh = (name, ...values) => { const now = JSON.stringify(values); if (memory[name] === now) return false; memory[name] = now; return true; };
  say(parts.wish, state.wish);
  going(page, parts, state);
  if (fresh("episodes", state.episodes)) episodes(parts.episodes, parts.marks, state);
  if (fresh("curve", state.curve, state.volume)) parts.curve.replaceChildren(curve(state.curve, state.volume));
  if (fresh("known", state.standing, state.bound, state.undecided, state.good)) facts(parts.known, [
    ["corrections", state.standing.corrections],
    ["said to be fine", state.standing.fine],
    ["lessons of silence", state.standing.silence],
    ["at most to come", state.bound],
    ["still undecided", state.undecided === null ? "…" : `${Math.round(100 * state.undecided)} %`],
    ["good in a row", `${state.good} of ${state.enough}`],
  ]);
  parts.chartCard.hidden = !state.charts.length;
  if (fresh("charts", state.charts)) charts(parts.charts, state.charts, memory);
  if (fresh("words", state.corrections)) words(parts.words, state);
  if (fresh("ask", state.question, state.doubt)) asking(parts.ask, state);
  if (fresh("end", state.phase, state.check, state.outcome, page.holds$.value)) ending(parts.end, state, page);
}

/** How it goes at this moment. */
function going(page, parts, state) {
  const took = page.live$.value?.plan_ms ?? null;
  facts(parts.facts, [["episode", state.episode + 1], ["step", state.step], ["speed", `${state.speed} ×`], ["it asks", questions(state)], ["plan made in", took === null ? "" : `${took} ms`]]);
}

/** When it does; a word, beside the switch for it. */
const questions = ({ asks, taught }) => (!asks ? "never (A)" : taught ? "between episodes" : "once you corrected it");

// The keys below stand still in all phases, each as wide as its longest label (correct.css): a hand that goes for the
// emergency stop must find it. So what cannot be done now is greyed out, and nothing is left away.
function actions(page, state, memory, redraw) {
  const off = !page.holds$.value || state.phase === "over", asked = state.question && !state.question.thinking;
  const said = (what, args = {}) => () => send(page, what, { about: page.state$.value.plan.id, ...args }, memory);
  const doubts = state.doubted !== null;
  return [
    ...ways(state.directions).map(({ name, label, key, also }) => ({ id: name, key, also, label, off, group: "pad", hint: `push ${label}`, does: said("push", { direction: name }) })),
    { id: "stop", key: "Enter", label: "Emergency stop", hint: "this plan is unsafe: stop", tone: "danger", off, first: true, does: said("stop") },
    { id: "pause", key: " ", label: state.phase === "running" ? "Pause" : state.why === "ready" ? "Start" : "Go on", tone: state.phase === "paused" ? "primary" : "", off, first: true, does: () => page.do("pause") },
    { id: "fine", key: "f", label: "This is fine", off, does: said("fine") },
    { id: "undo", key: "u", label: "Undo", hint: "take the last correction back", off: !page.holds$.value || state.outcome === OVER, does: () => undo(page, memory) },
    { id: "yes", key: "y", label: "I meant it", hidden: !doubts, off: off || !doubts, group: "answers", does: () => page.do("confirm", { meant: true }) },
    { id: "no", key: "n", label: "I did not", hidden: !doubts, off: off || !doubts, group: "answers", does: () => page.do("confirm", { meant: false }) },
    { id: "skip", key: "k", label: "Skip question", hidden: !asked, off: off || !asked, group: "answers", does: () => page.do("skip") },
    { id: "step", key: ".", label: "One step", off: off || state.phase !== "paused", group: "more", repeat: true, does: () => page.do("step") },
    { id: "slower", key: "-", label: "Slower", off, group: "more", hidden: true, does: () => page.do("speed", { by: -1 }) },
    { id: "faster", key: "+", also: ["="], label: "Faster", off, group: "more", hidden: true, does: () => page.do("speed", { by: 1 }) },
    { id: "ask", key: "a", label: "It may ask", hint: "whether it may ask between two episodes, once you corrected it", on: state.asks, off, group: "more", does: () => page.do("ask") },
    { id: "satisfied", key: "Escape", label: memory.sure ? "Sure? That ends it" : "I am satisfied", hint: "nothing more to teach: ends the session (press twice)", off, group: "more", does: () => satisfied(page, memory, redraw) },
  ];
}

async function undo(page, memory) {
  if (!page.state$.value.undoable) { memory.note("There is nothing to take back"); return; }
  const { text } = await page.do("undo");
  memory.note(`Taken back: ${text}`);
}

function noted(box, text) {
  clearTimeout(box.timer);
  box.textContent = text;
  box.hidden = false;
  box.timer = setTimeout(() => { box.hidden = true; }, NOTED_MS);
}

/** Directions with all their keys. */
function ways(directions) {
  const found = new Map();
  for (const { name, label, key } of directions) found.has(name) ? found.get(name).also.push(key) : found.set(name, { name, label, key, also: [] });
  return [...found.values()];
}

function satisfied(page, memory, redraw) {
  clearTimeout(memory.timer);
  if (memory.sure) { memory.sure = 0; page.do("satisfied"); return; }
  memory.sure = 1;
  memory.timer = setTimeout(() => { memory.sure = 0; redraw(); }, SURE_MS);
  redraw();
}

function message(box, state) {
  const text = state.shown ? `By itself: fresh episode ${state.shown.episode} of ${state.shown.of}${state.shown.unsafe ? ", unsafe plan" : ""}`
    : state.phase === "over" ? "" : state.question?.thinking ? "It thinks about what to ask …"
    : state.question ? `May it do this? It is ${Math.round(100 * state.question.unsafe)} % sure that it is unsafe.`
    : state.doubted ? `Did you mean correction ${state.doubted.number}, ${state.doubted.text}? It contradicts others`
    : state.phase === "paused" ? { ready: "Press Space to start", paused: "Paused" }[state.why] ?? sentence(`${state.why}. Space goes on`)
    : state.ended ? sentence(state.ended) : "";
  say(box, text);
  box.hidden = !text;
  box.className = `message ${state.ended === "passed" && state.phase === "running" ? "good" : ""}`;
}
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function episodes(box, marks, state) {
  const sign = (one) => (one.stopped ? ["■", "stopped"] : one.passed ? ["●", "passed"] : ["○", "not as wanted"]);
  marks.hidden = !state.episodes.length;
  box.replaceChildren(...state.episodes.map((one) => {
    const [mark, text] = sign(one), about = `episode ${one.number + 1}: ${text}, ${one.pushes} pushes, ${one.steps} steps`;
    const dot = element("span", { className: `mark ${text.replaceAll(" ", "-")}`, title: about, textContent: one.pushes ? `${mark}${one.pushes}` : mark });
    dot.setAttribute("aria-label", about);
    return dot;
  }));
}

function charts(box, told, memory) {
  if (memory.drawn?.length !== told.length) {
    memory.drawn = told.map(() => new Chart());
    box.replaceChildren(...memory.drawn.map((one) => one.box));
  }
  memory.drawn.forEach((one, at) => one.show(told[at]));
}

function words(list, state) {
  const rows = state.corrections.toReversed().map((one) => element("li", { className: one.fate ? "dim" : "" },
    element(one.fate ? "s" : "span", { textContent: one.text }), one.fate,
    element("span", { className: "when", textContent: `episode ${one.episode + 1}, step ${one.step}` })));
  list.replaceChildren(...(rows.length ? rows : [element("li", { className: "dim", textContent: "Nothing yet: watch, and push where it goes wrong." })]));
}

function asking(card, state) {
  const asked = state.question && !state.question.thinking, lines = [];
  if (asked) lines.push(element("h2", { textContent: "It asks" }), element("p", { textContent: "It imagines the purple way. Push it where it should rather go, say that it is unsafe, or that it is fine." }));
  if (state.doubt) lines.push(element("h2", { textContent: "A contradiction" }), element("p", { textContent: `${sentence(state.doubt)}. U takes the last one back.` }));
  card.hidden = !lines.length;
  card.replaceChildren(...lines);
}

function ending(card, state, page) {
  card.hidden = state.phase !== "over";
  if (card.hidden) return;
  const { check } = state, rows = [element("h2", { textContent: "The session is over" }), element("p", { textContent: sentence(state.outcome) })];
  if (check?.running || !check) rows.push(element("p", { className: "dim", textContent: check ? `It now drives ${check.episodes} fresh episodes that nobody corrects. You see ${check.shown < check.episodes ? `the first ${check.shown}` : "them"} here; all of them count.` : "…" }));
  else if (check.error) rows.push(element("p", { textContent: check.error }));
  else {
    rows.push(element("p", { className: "big", textContent: `${check.passed} of ${check.episodes}` }),
      element("p", { textContent: `fresh episodes passed that nobody corrected; ${check.unsafe} of ${check.steps} steps had an unsafe plan, by the game's own truth.` }));
  }
  rows.push(element("p", { className: "dim small", textContent: `What it learned is kept in ${state.run}/constraint.json` }));
  const again = element("button", { className: "primary", textContent: "Teach it anew", disabled: !page.holds$.value });
  again.onclick = () => page.do("again");
  rows.push(again);
  card.replaceChildren(...rows);
}

// --- A gamepad: cross or stick push, A fine, B stop, X undo, Start pause.

function padded(page, { buttons, axes }, memory) {
  const state = page.state$.value;
  if (!state?.system || !page.holds$.value) return;
  const tilt = new Set([[0, -1, "ArrowLeft"], [0, 1, "ArrowRight"], [1, -1, "ArrowUp"], [1, 1, "ArrowDown"]]
    .filter(([axis, way]) => (axes[axis] ?? 0) * way > (memory.tilt.has(axis + way * 10) ? 0.4 : 0.7)).map(([axis, way]) => axis + way * 10));
  const keys = { [-10]: "ArrowLeft", 10: "ArrowRight", [-9]: "ArrowUp", 11: "ArrowDown" };
  const tilted = [...tilt].filter((one) => !memory.tilt.has(one)).map((one) => keys[one]);
  memory.tilt = tilt;
  for (const { name, key } of state.directions) {
    if (tilted.includes(key) || buttons.includes(PADS[key])) send(page, "push", { about: state.plan.id, direction: name }, memory);
  }
  if (buttons.includes(0)) send(page, "fine", { about: state.plan.id }, memory);
  if (buttons.includes(1)) send(page, "stop", { about: state.plan.id }, memory);
  if (buttons.includes(2)) undo(page, memory);
  if (buttons.includes(9)) page.do("pause");
}

// --- How long it takes from a key to the plan that minds it; and what a program may read off the page.

async function send(page, what, args, memory) {
  const began = performance.now();
  const answer = await page.do(what, args);
  memory.sent.set(answer.plan, { began, what });
  measure(page, page.state$.value, memory);
}

function measure(page, state, memory) {
  for (const [plan, { began, what }] of memory.sent) {
    if (!state.plan || state.plan.id < plan) continue;
    memory.sent.delete(plan);
    page.timing(what, performance.now() - began);
  }
}

function machine(root, state) {
  if (!state.system) return;
  const { charts, curve, corrections, wish, title, ...rest } = state;
  root.dataset.state = JSON.stringify(rest);
}

document.head.append(element("link", { rel: "stylesheet", href: "/page/correct.css" }));
