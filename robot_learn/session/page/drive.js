// Drive: an arm and who is at its wheel; or a recording of one.

import { element, shown } from "/page/keys.js";
import { facts, say, seldom } from "/page/paint.js";

const MODES = {
  starting: ["connecting", ""], connecting: ["connecting", ""], idle: ["ready", ""], driving: ["driving", "good"],
  "waiting for the hand": ["hold the switch to begin", "warn"], "going to the start": ["going to the start", "good"],
  keeping: ["writing it down", ""], gone: ["not connected", "danger"], freed: ["given free", "warn"],
};
const MOVES = [
  ["forward", "w", "Forward", ["ArrowUp"]], ["back", "s", "Back", ["ArrowDown"]], ["left", "a", "Left", ["ArrowLeft"]],
  ["right", "d", "Right", ["ArrowRight"]], ["up", "r", "Up", ["PageUp"]], ["down", "f", "Down", ["PageDown"]],
];
const TURNS = [["roll left", "j", "Roll left"], ["roll right", "l", "Roll right"]];
const STOPS = { soft: "soft stop", emergency: "emergency stop" };
const READ_MS = 200; // between two figures that a person reads
const ENDING = 5; // s before the limit of time, told aloud
const START_BUTTON = 9, SOUTH = 0, EAST = 1; // of a gamepad in the standard layout

export function mount(root, page) {
  root.className = "split";
  const view = element("section", { className: "view" }), side = element("aside", { className: "side" });
  root.append(view, side);
  page.scene(view);
  let shows = null;
  page.state$.subscribe((state) => {
    if (!state || !state.kind) return;
    if (shows?.kind !== state.kind) {
      side.replaceChildren();
      view.querySelectorAll(".over, .timeline").forEach((part) => part.remove());
      shows = state.kind === "recording" ? recording(view, side, page) : arm(view, side, page);
      shows.kind = state.kind;
      page.live$.subscribe((live) => live && shows.live(live));
    }
    root.dataset.kind = state.kind;
    shows.state(state, root);
  });
}

// --- An arm.

function arm(view, side, page) {
  const over = element("div", { className: "over" }), limits = element("div", { className: "over right" });
  const says = element("div", { className: "message", hidden: true });
  says.setAttribute("role", "status");
  view.append(over, limits, says);
  const wheel = card("At the wheel"), trouble = element("section", { className: "card ask", hidden: true });
  const status = card("The arm"), kept = card("Episodes"), said = card("What happened");
  const about = element("div", { className: "body" });
  side.append(trouble, wheel, status, kept, said);
  const seen = new Set(), speed = slider();
  wheel.body.append(about, speed);
  let state = null, pressed = new Map(), first = true, left = Infinity;

  function live(told) {
    figures(told);
    for (const id of told.did ?? []) answered(id);
    view.dataset.did = (told.did ?? []).join(" ");
  }

  const figures = seldom(READ_MS, (told) => {
    const still = state?.mode === "keeping"; // what was last measured is over
    table(status, [
      ["gripper opening", told.opening === null || told.opening === undefined ? "" : `${Math.round(1000 * told.opening)} mm`],
      ["fastest joint", still ? "" : number(told.speed, 2, "rad/s")],
      ["force", still ? "" : number(told.force, 1, "N")],
      ["commands in time", told.success_rate === null || told.success_rate === undefined ? "" : `${Math.round(100 * told.success_rate)} %`],
      ["latency", state?.simulated ? "" : number(1000 * told.latency, 1, "ms")],
      ["key to arm", told.delay_median === null ? "" : `${number(1000 * told.delay_median, 0, "ms")} (median)`],
      ["commands too late", told.late ? String(told.late) : "", "Periods of the controller in which this program was too slow to send a command, in this episode"],
    ]);
    const driving = state?.mode === "driving";
    left = driving && told.step ? (state.max_steps - told.step) * state.control_dt : Infinity;
    advise();
    over.replaceChildren(...(driving ? [tag(`step ${told.step ?? 0} of ${state.max_steps}${left < Infinity ? `, ${Math.ceil(left)} s left` : ""}`, left < ENDING ? "warn" : "")] : []), ...(told.success ? [tag("✓ achieved", "good")] : []));
    const named = driving ? [...new Set(told.limited ?? [])] : [];
    limits.replaceChildren(...named.map((name) => tag(`▽ limited by ${name}`)), ...(driving && told.refused ? [tag(`▲ refused: ${told.refused}`)] : []));
  });

  // From the key to the frame that shows that the arm does it.
  function answered(id) {
    const since = pressed.get(id);
    if (since === undefined) return;
    pressed.delete(id);
    const ms = performance.now() - since;
    view.dataset.keyToPage = ms.toFixed(1);
    page.timing(id, ms);
  }
  const press = (id) => () => { pressed.set(id, performance.now()); nudge(); };

  // Why keys move nothing, and what to press; nothing where they do.
  function advice(told) {
    const switches = told.simulated ? "" : `Hold ${shown("Shift")} and press `;
    if (told.gone) return "No arm is connected: the first card says why";
    if (told.mode === "freed") return page.holds$.value ? "Nobody was here, so the arm was given free. Connecting again …" : "Nobody was here, so the arm was given free. Take the controls, and it is connected again";
    if (!page.holds$.value) return "Another page has the controls, keys here move nothing. The two stops work";
    if (ill(told)) return told.state === "reflex" ? "The arm has stopped itself, keys move nothing: the first card says what to do" : "Keys move nothing: the first card says why";
    if (told.mode === "idle") {
      if (told.against && !told.simulated) return `Not where episodes begin. ${switches}G: it goes there slowly`;
      return `${ended(told)}${switches ? `${switches}Enter` : "Press Enter"} to start${told.episodes.length ? " the next one" : ": keys move nothing before"}`;
    }
    if (told.mode === "waiting for the hand" && !told.simulated) return `Let go of ${shown("Shift")} and hold it anew, and it begins`;
    if (told.mode === "keeping") return "Writing the episode down …";
    if (told.mode !== "driving") return "";
    if (told.held) return `${{ "page gone": "The page was gone, so the arm stands still. ", "controls moved": "You have the controls, the arm stands still. " }[told.why] ?? "On hold. "}Press P to go on`;
    return told.switch ? "" : told.simulated ? "The arm stands still until this page is heard again" : `${shown("Shift")} is open: the arm stops`;
  }

  function ended(told) {
    const last = told.newest && told.episodes.at(-1);
    if (!last) return "";
    return `${last.reason === "time limit" ? `The time was up (${Math.round(told.max_steps * told.control_dt)} s)` : `Ended: ${why(last)}`}. `;
  }

  function advise() {
    if (!state) return;
    const deaf = advice(state), ending = left < ENDING ? `${Math.max(0, Math.ceil(left))} s left, then the episode ends` : "";
    const text = deaf || ending;
    say(says, text);
    says.hidden = !text;
    view.parentElement.dataset.deaf = Boolean(deaf);
  }

  // A key that moves nothing shows why.
  function nudge() {
    if (view.parentElement.dataset.deaf !== "true") return;
    says.classList.remove("nudge");
    void says.offsetWidth; // so that it plays anew
    says.classList.add("nudge");
  }

  function taken(told, root) {
    state = told;
    const [phase, tone] = MODES[told.mode] ?? [told.mode, ""];
    const bad = ill(told);
    page.title(told.policy ? `Drive ${told.arm}` : `Drive ${told.arm} by hand`);
    const alone = told.mode === "driving" && told.simulated && !told.switch;
    page.phase(told.held || alone ? "held" : bad ? told.state.replace("_", " ") : phase, told.held || alone ? "warn" : bad ? "danger" : tone);
    Object.assign(root.dataset, { mode: told.mode, driver: told.driver, state: told.state, held: told.held, episodes: told.count, switch: told.switch });
    drawWheel(told);
    drawTrouble(told, bad);
    drawEpisodes(told);
    drawMessages(told);
    page.keys(actions(told, bad));
    advise();
  }

  function drawWheel(told) {
    const mine = page.holds$.value, stands = told.held || !told.switch;
    const who = stands ? "Nobody" : { policy: "The policy", person: mine ? "You" : "Another page", nobody: "Nobody" }[told.driver];
    const lines = [element("p", { className: "big", textContent: who })];
    if (told.task) lines.push(element("p", { className: "dim", textContent: `${told.instruction} (${told.task})` }));
    lines.push(element("p", {}, mark(told.switch, told.switch ? `the switch is held${mine ? "" : " by another page"}` : "the switch is open")));
    lines.push(element("p", { className: "dim", textContent: told.simulated
      ? "Simulated: Start holds the switch for you as long as this page is here. A key takes over, letting go gives back."
      : `Hold ${shown("Shift")}, the button below or a gamepad's shoulder, and it may move. Let go, and it stops.` }));
    speed.follow(told.speed);
    about.replaceChildren(...lines);
  }

  // Made once: it may be dragged while all around it is drawn anew.
  function slider() {
    const input = element("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: 1 }), says = element("span", { className: "num" });
    let waits = false;
    input.setAttribute("aria-label", "Speed");
    input.oninput = () => { waits = true; says.textContent = `${Math.round(100 * input.value)} %`; };
    input.onchange = () => page.do("speed", { value: Number(input.value) }).finally(() => { waits = false; });
    const label = element("label", { className: "row-of" }, element("span", { textContent: "Speed" }), input, says);
    label.follow = (value) => { if (!waits) { input.value = value; says.textContent = `${Math.round(100 * value)} %`; } };
    return label;
  }

  function drawTrouble(told, ill) {
    const parts = [];
    if (told.gone) parts.push(element("h2", { textContent: "No arm" }), element("p", { textContent: told.gone }), ...(told.help ? [element("p", { textContent: told.help })] : []), button("Connect again", "connect", () => page.do("connect")));
    else if (ill) {
      const last = told.episodes.at(-1);
      parts.push(element("h2", { textContent: `The arm has stopped itself: ${told.state.replace("_", " ")}` }));
      if (told.errors.length) parts.push(element("p", { textContent: told.errors.join(", ") }));
      if (last) parts.push(element("p", { textContent: last.explained }));
      if (told.state === "reflex") parts.push(button("I have looked, it is clear: recover", "recover", () => page.do("recover")));
    } else if (told.against && !told.simulated && told.mode === "idle") {
      parts.push(element("h2", { textContent: "Not where episodes begin" }), element("p", { textContent: told.against }), button("Go there slowly", "go", () => page.do("go")));
    }
    trouble.hidden = !parts.length;
    const shape = JSON.stringify([told.gone, told.state, told.errors, told.against, told.mode]);
    if (trouble.dataset.shape !== shape) { trouble.dataset.shape = shape; trouble.replaceChildren(...parts); }
  }

  function drawEpisodes(told) {
    const rows = told.episodes.toReversed().map((one) => {
      const row = element("li", { title: one.explained, className: one.discarded ? "discarded" : "" });
      const steps = one.corrected ? `you ${one.corrected} of ${one.steps}` : `${one.steps} steps`;
      // In a page of its own, and only where nobody drives: whoever leaves this page lets go of the arm.
      const when = told.mode === "idle" ? element("a", { href: address(told, one), target: "_blank", title: "Watch its recording, in a page of its own" }) : element("span");
      row.append(Object.assign(when, { className: "when", textContent: clock(one.at).slice(0, 5) }), mark(one.success, why(one)), element("span", { className: "dim", textContent: one.discarded ? "discarded" : steps }), element("span", { className: "when", textContent: `${one.seconds.toFixed(1)} s` }));
      return row;
    });
    const rate = told.count ? `${told.successes} of ${told.count} achieved` : rows.length ? "None that counts" : "None yet. Start one.";
    const parts = [element("p", { className: "num", textContent: rate })];
    const last = told.episodes.at(-1);
    if (last && last.folder === told.newest && told.mode === "idle" && page.holds$.value) parts.push(discarding(last));
    if (rows.length) parts.push(element("ul", { className: "list" }, ...rows));
    if (told.kept) {
      parts.push(element("p", { textContent: `${told.kept} steps in which you moved the arm are kept as demonstrations.${told.successes ? "" : " None of the episodes achieved the task: show that first."}` }));
      parts.push(element("p", { className: "dim", textContent: "When this session has ended, a policy learns from them; that takes some minutes:" }), element("code", { className: "dim", textContent: `robot-learn offline ${told.dataset} --algorithm bc` }));
    }
    kept.body.replaceChildren(...parts);
  }

  function address(told, one) {
    return `/?${new URLSearchParams({ activity: "drive", what: `recording:${told.place}/${one.folder}` })}`;
  }

  function discarding(last) {
    const made = button(last.discarded ? "Count it after all" : "Discard the newest", "discard", () => page.do("discard", { on: !last.discarded }));
    made.className = "quiet";
    made.title = "Until the next one starts. Its recording stays";
    return made;
  }

  function drawMessages(told) {
    for (const one of told.messages) {
      const name = `${one.at} ${one.number}`; // numbers begin anew with the server
      if (one.tone === "trouble" && !first && !seen.has(name) && one.text !== told.gone) page.toast(one.text); // no news is what was there before, nor what a card says
      seen.add(name);
    }
    first = false;
    said.hidden = !told.messages.length;
    said.body.replaceChildren(element("ul", { className: "list" }, ...told.messages.toReversed().map((one) => element("li", {}, element("span", { className: "when", textContent: clock(one.at) }), element("span", { textContent: `${one.tone === "trouble" ? "▲ " : ""}${one.text}` })))));
  }

  function actions(told, ill) {
    const mine = page.holds$.value !== false, ready = mine && told.mode === "idle" && !told.gone, drives = mine && told.mode === "driving";
    const list = [
      { id: "stop", key: " ", label: "Stop", tone: "danger", group: "halt", always: true, hint: "Stop softly, within all limits", does: () => page.do("stop", { kind: "soft" }) },
      { id: "emergency", key: "Escape", label: "Emergency", tone: "danger", group: "halt", always: true, hint: "Stop as fast as the arm can", does: () => page.do("stop", { kind: "hard" }) },
      { id: "start", key: "Enter", label: "Start", tone: "primary", group: "go", off: !ready || ill, does: () => page.do("start") },
      { id: "hold", key: "p", label: told.held ? "Go on" : "Hold", group: "go", off: !drives, on: told.held, hint: "Stand still; the episode waits", does: () => page.do("hold", { on: !told.held }) },
      { id: "switch", key: "Shift", label: "Hold to let it move", group: "move", hold: true, hidden: told.simulated, hint: "The dead-man switch" },
      ...MOVES.map(([id, key, label, also]) => ({ id, key, label, also, group: "move", hold: true, hint: `${label}: takes over while it is held`, does: press(id) })),
    ];
    if (told.turns) list.push(...TURNS.map(([id, key, label]) => ({ id, key, label, group: "move", hold: true, does: press(id) })));
    if (told.grips) list.push({ id: "open", key: "o", label: "Open", group: "grip", does: () => page.do("grip", { open: true }) }, { id: "close", key: "c", label: "Close", group: "grip", does: () => page.do("grip", { open: false }) });
    list.splice(4, 0, told.simulated
      ? { id: "reset", key: "n", label: "New start", group: "go", off: !ready, hint: "Another start of the world, without driving; Start draws one by itself after an episode", does: () => page.do("reset") }
      : { id: "go", key: "g", label: "Go to start", group: "go", off: !ready || ill, does: () => page.do("go") });
    return list;
  }

  page.gamepad?.(({ buttons }) => {
    if (buttons.includes(START_BUTTON)) page.do("stop", { kind: "soft" });
    if (state?.grips && buttons.includes(SOUTH)) page.do("grip", { open: false });
    if (state?.grips && buttons.includes(EAST)) page.do("grip", { open: true });
  });
  return { state: taken, live };
}

// --- A recording.

function recording(view, side, page) {
  const line = element("div", { className: "timeline card" });
  view.append(line);
  const status = card("The arm"), about = card("The recording");
  side.append(about, status);
  let state = null, scrubber = null, dragging = false;

  function taken(told, root) {
    const first = state === null || state.seconds !== told.seconds;
    state = told;
    page.title(`Recording ${told.arm.split("/").slice(-1)[0]}`);
    page.phase(told.playing ? "playing" : "paused", told.playing ? "good" : "");
    Object.assign(root.dataset, { mode: told.playing ? "playing" : "paused", speed: told.speed });
    if (first) drawLine();
    table(about, [["from", told.arm.split("/").slice(-2).join(" / ")], ["task", told.task], ["length", `${told.seconds.toFixed(2)} s`], ["ticks", String(told.ticks)], ["speed", `× ${told.speed}`]]);
    const at = told.speeds.indexOf(told.speed);
    page.keys([
      { id: "play", key: " ", label: told.playing ? "Pause" : "Play", tone: "primary", group: "go", first: true, on: told.playing, does: () => page.do("play", { on: !told.playing }) },
      { id: "back", key: "ArrowLeft", label: "Back 0.2 s", group: "go", repeat: true, does: () => page.do("seek", { by: -0.2 }) },
      { id: "on", key: "ArrowRight", label: "On 0.2 s", group: "go", repeat: true, does: () => page.do("seek", { by: 0.2 }) },
      { id: "begin", key: "Home", label: "To the start", group: "go", does: () => page.do("seek", { at: 0 }) },
      { id: "slower", key: "-", label: "Slower", group: "speed", off: at <= 0, does: () => page.do("speed", { value: told.speeds[at - 1] }) },
      { id: "faster", key: "+", also: ["="], label: "Faster", group: "speed", off: at >= told.speeds.length - 1, does: () => page.do("speed", { value: told.speeds[at + 1] }) },
    ]);
  }

  function drawLine() {
    scrubber = element("input", { type: "range", min: 0, max: state.seconds, step: 0.001, value: 0 });
    scrubber.setAttribute("aria-label", "Time");
    scrubber.oninput = () => { dragging = true; page.do("seek", { at: Number(scrubber.value) }).finally(() => { dragging = false; }); };
    const rows = [];
    if (state.who.length) rows.push(track("who acted", state.who.map((one) => ({ ...one, what: one.who, tone: one.who }))));
    const named = new Map();
    for (const one of state.events) named.set(one.what, [...(named.get(one.what) ?? []), one]);
    for (const [name, spans] of named) rows.push(track(name, spans));
    line.replaceChildren(element("div", { className: "clock num" }), scrubber, ...rows);
  }

  function track(name, spans) {
    const bar = element("div", { className: "track" });
    for (const one of spans) {
      const part = element("span", { className: `span ${one.tone ?? ""}`, title: `${one.what}, ${one.from.toFixed(2)} to ${one.to.toFixed(2)} s`, textContent: one.tone ?? "" });
      part.style.left = `${(100 * one.from) / state.seconds}%`;
      part.style.width = `max(2px, ${(100 * (one.to - one.from)) / state.seconds}%)`;
      bar.append(part);
    }
    return element("div", { className: "row" }, element("span", { className: "dim", textContent: name }), bar);
  }

  function live(told) {
    if (told.at === undefined || !scrubber) return;
    if (!dragging) scrubber.value = told.at;
    line.querySelector(".clock").textContent = `${told.at.toFixed(2)} s of ${state.seconds.toFixed(2)} s`;
    view.dataset.at = told.at.toFixed(3);
    table(status, [
      ["state", told.state], ["errors", (told.errors ?? []).join(", ")], ["limited by", (told.limited ?? []).join(", ")],
      ["gripper opening", told.opening === null ? "" : `${Math.round(1000 * told.opening)} mm`], ["fastest joint", number(told.speed, 2, "rad/s")],
      ["force", number(told.force, 1, "N")], ["commands in time", `${Math.round(100 * told.success_rate)} %`],
    ]);
  }
  return { state: taken, live };
}

// --- Parts.

function card(title) {
  const made = element("section", { className: "card" }), body = element("div", { className: "body" });
  made.append(element("h2", { textContent: title }), body);
  made.body = body;
  return made;
}

const table = (where, rows) => facts(where.body.querySelector(".facts") ?? where.body.appendChild(element("dl", { className: "facts" })), rows);
const ill = (told) => ["reflex", "user_stopped", "guiding", "recovering"].includes(told.state);
const why = (one) => (one.reason === "person stopped" ? STOPS[one.emergency ? "emergency" : "soft"] : one.reason);
const clock = (at) => new Date(1000 * at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const tag = (text, tone = "") => element("span", { className: `tag ${tone}`, textContent: text });
const mark = (good, text) => element("span", { className: good ? "yes" : "no", textContent: `${good ? "✓" : "○"} ${text}` });
const number = (value, digits, unit) => (value === null || value === undefined || Number.isNaN(value) ? "" : `${value.toFixed(digits)} ${unit}`);

function button(text, id, does) {
  const made = element("button", { className: "primary", textContent: text });
  made.dataset.act = id;
  made.onclick = does;
  return made;
}

const link = element("link", { rel: "stylesheet", href: "/page/drive.css" });
document.head.append(link);
