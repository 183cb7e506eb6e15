// A run's robot, its reward term by term, a sentence about it, the edit that comes of it, and a preview of that.

import { element } from "/page/keys.js";
import { percent, svg } from "/page/curve.js";
import { Terms, colourOf, short } from "/page/terms.js";

const PLACEHOLDER = "It is too hasty: it should move slowly and then hold still.";
const JOBS = { asking: "The model is writing", training: "Training", measuring: "Measuring and filming" };

export function mount(root, page) {
  for (const href of ["/page/compare.css", "/page/comment.css"]) document.head.append(element("link", { rel: "stylesheet", href }));
  root.className = "split comment";
  new Comment(root, page);
}

class Comment {
  constructor(root, page) {
    Object.assign(this, { page, state: null, other: null, moved: {}, busy: false });
    this.now = new Pane(page), this.beside = new Pane(page);
    this.view = element("section", { className: "view" }, this.now.box);
    this.side = element("aside", { className: "side" });
    this.cards = Object.fromEntries(["job", "say", "weights", "rounds", "model"].map((name) => [name, element("section", { className: `card ${name}` })]));
    this.side.append(...Object.values(this.cards));
    root.append(this.view, this.side);
    this.side.hidden = true; // until there is a run to say something about
    this.makeSay();
    page.state$.subscribe((state) => { this.state = state; this.draw(); });
  }

  round(number) { return this.state.rounds.find((each) => each.number === number); }
  get measured() { return this.state?.program && this.state.rounds.find(({ number }) => number === this.state.current)?.state === "measured"; }

  async act(name, args = {}) {
    if (this.busy) return;
    this.busy = true;
    try { return await this.page.do(name, args); } catch { /* shown as a message */ } finally { this.busy = false; this.draw(); }
  }

  draw() {
    const { state } = this;
    if (!state?.rounds) return;
    this.side.hidden = false;
    if (this.other !== null && !this.round(this.other)?.video) this.other = null;
    this.page.title(`Comment ${state.task}`);
    this.page.phase(...this.phase());
    this.drawPanes();
    this.drawJob();
    this.drawSay();
    this.drawWeights();
    this.drawRounds();
    this.drawModel();
    this.page.keys(this.actions());
  }

  phase() {
    const { job, trouble, proposal, preview, choice } = this.state;
    if (trouble) return ["needs you", "warn"];
    if (job) return [job.mail ? "waiting for the mailbox" : `${JOBS[job.what].toLowerCase()} …`, ""];
    if (preview?.busy !== undefined) return ["previewing …", ""];
    if (proposal) return [`round ${proposal.round}: accept it?`, "warn"];
    if (choice) return [`round ${choice.round}: keep it?`, "warn"];
    return [`round ${this.state.current}`, ""];
  }

  // --- Films and plots.

  drawPanes() {
    const { state } = this, { proposal, preview, timing } = state;
    const shown = state.shown === null ? null : this.round(state.shown);
    this.now.show({
      title: shown ? (shown.number ? `Round ${shown.number}` : "The run itself") : "The run",
      text: shown ? outcome(shown) : "",
      video: shown?.video, traces: shown?.traces, timing, weights: shown?.weights,
      blank: shown ? "No film: this machine cannot draw." : "It is measured and filmed first, on seeds that no result is reported on.",
    });
    const order = state.program?.terms.map(({ name }) => name);
    const beside = this.besidePane(proposal, preview);
    this.view.classList.toggle("editing", Boolean(proposal) && this.other === null);
    this.view.classList.toggle("beside", Boolean(beside));
    if (beside) { if (this.beside.show({ ...beside, order })) this.together(); if (!this.beside.box.isConnected) this.view.append(this.beside.box); } else { this.beside.clear(); this.beside.box.remove(); }
  }

  /** Once the film beside can be seen, both begin at their beginning. */
  together() {
    this.beside.video.addEventListener("canplay", () => { for (const { video } of [this.now, this.beside]) video.currentTime = 0; }, { once: true });
  }

  besidePane(proposal, preview) {
    const { timing } = this.state;
    if (this.other !== null) {
      const round = this.round(this.other);
      return { title: round.number ? `Round ${round.number}` : "The run itself", text: outcome(round), video: round.video, traces: round.traces, timing, weights: round.weights, extra: [] };
    }
    const { choice } = this.state;
    if (choice) {
      const before = this.round(choice.before);
      return { title: `${before.number ? `Round ${before.number}` : "The run itself"}, before`, text: outcome(before), video: before.video, traces: before.traces, timing, weights: before.weights, extra: [], blank: "No film: this machine cannot draw." };
    }
    if (!proposal && !preview) return null;
    const pane = { title: proposal ? `Round ${proposal.round}, proposed` : "With these weights", text: "", timing, extra: proposal ? edit(proposal) : [] };
    if (preview?.busy !== undefined) return { ...pane, blank: `Planning with ${proposal ? "the new program" : "these weights"}: ${Math.min(preview.busy, preview.of)} of ${preview.of} s` };
    if (!preview) return { ...pane, blank: "Preview it: a planner shows in a quarter of a minute what this reward makes the robot do, before anything is trained." };
    const how = preview.success ? "succeeds" : preview.out_of_time ? "no success in the time there was" : "does not succeed";
    return { ...pane, text: `preview: ${how}, ${preview.steps} ${preview.steps === 1 ? "step" : "steps"}, planned in ${preview.seconds} s`, video: preview.video, traces: preview.traces, weights: preview.weights, blank: "No film: this machine cannot draw." };
  }

  // --- What is being done, and what is in the way.

  drawJob() {
    const { job, trouble, proposal, choice, current } = this.state, box = this.cards.job;
    const open = this.round(current), asked = open.state === "asked" && !job;
    box.hidden = !job && !trouble && !proposal && !choice && !asked;
    box.classList.toggle("trouble", Boolean(trouble));
    if (box.hidden) return;
    const shape = JSON.stringify([job?.what, job?.mail, trouble, proposal, choice, open]);
    if (shape === this.jobShown) { this.drawProgress(job); return; } // a button keeps the focus
    this.jobShown = shape;
    if (job) box.replaceChildren(element("h2", { textContent: job.mail ? "Waiting for a reply in the mailbox" : `${JOBS[job.what]} …` }), element("div", { className: "progress" }), ...(open.said ? [element("p", { className: "dim", textContent: `“${open.said}”` })] : []), ...(job.mail ? [element("p", { textContent: job.mail })] : []), row(button(job.what === "training" ? "Stop" : "Take it back", () => (job.what === "training" ? this.act("stop") : this.takeBack()))));
    else if (choice) this.drawChoice(choice, trouble);
    else if (trouble || asked) {
      const words = trouble ?? "This was said, and nobody has answered yet.";
      const again = button(open.state === "asked" ? "Ask again" : "Go on", () => this.act("again"), "primary");
      const back = this.state.can_undo && open.state !== "measured" ? [button("Take it back", () => this.takeBack())] : [];
      box.replaceChildren(element("h2", { textContent: open.said ? `“${open.said}”` : "In the way" }), element("p", { textContent: words }), row(...(open.state === "measured" ? [] : [again]), ...back));
    } else box.replaceChildren(element("h2", { textContent: `Round ${proposal.round}: ${proposal.said ? `“${proposal.said}”` : "from your preference"}` }), element("p", { textContent: "The model has edited the reward. Preview it, then accept it, which trains on it, or reject it." }), row(button("Preview", () => this.preview()), button("Accept", () => this.act("accept"), "primary"), button("Reject", () => this.act("reject"))));
    this.drawProgress(job);
  }

  /** Nobody goes on with what became worse unless they say so. */
  drawChoice({ round, before }, trouble) {
    const [now, then] = [round, before].map((number) => this.round(number).success);
    const words = `It succeeds in ${now[0]} of ${now[1]}, round ${before} in ${then[0]} of ${then[1]}. Watch both, then choose.`;
    this.cards.job.replaceChildren(element("h2", { textContent: `Round ${round} is worse than round ${before}` }), element("p", { textContent: words }), ...(trouble ? [element("p", { textContent: trouble })] : []), row(button("Keep this one", () => this.act("keep")), button(`Go back to round ${before}`, () => this.act("undo"))));
  }

  /** A sentence that nobody has answered; its words can be changed and said again. */
  async takeBack() {
    const { said } = this.round(this.state.current);
    if (await this.act("undo") && said && !this.text.value) { this.text.value = said; this.draw(); }
  }

  drawProgress(job) { if (job) this.cards.job.querySelector(".progress")?.replaceChildren(...progress(job)); }

  // --- A sentence.

  makeSay() {
    this.text = element("textarea", { placeholder: PLACEHOLDER, maxLength: 4000 });
    this.text.setAttribute("aria-label", "What should be different");
    this.text.onkeydown = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.say(); };
    this.text.oninput = () => this.drawSay();
    this.warm = element("input", { type: "checkbox" });
    this.begin = element("label", { className: "field" }, element("span", { textContent: "Begin with what it has learned" }), this.warm);
    this.send = button("Say it", () => this.say(), "primary");
    this.hint = element("p", { className: "dim" });
    this.cards.say.append(element("h2", { textContent: "What should be different?" }), this.text, this.begin, row(this.send), this.hint);
  }

  drawSay() {
    if (!this.state?.rounds) return;
    const preferred = this.preferred(), { missing } = this.state.model;
    this.cards.say.hidden = Boolean(this.state.proposal) || Boolean(this.state.choice) || this.round(this.state.current).state === "asked";
    this.text.disabled = this.begin.hidden = this.send.hidden = Boolean(missing);
    this.text.placeholder = missing ? "Off: sentences need a model." : PLACEHOLDER;
    this.send.disabled = Boolean(missing) || !this.measured || Boolean(this.state.job) || !(this.text.value.trim() || preferred);
    this.send.textContent = !this.text.value.trim() && preferred ? "Say only the preference" : "Say it";
    this.hint.textContent = missing ?? (this.measured ? (preferred ? `The model is told that you prefer round ${this.state.current} to round ${preferred}.` : "") : "Wait until this round is measured.");
    this.hint.hidden = !this.hint.textContent;
  }

  preferred() { return this.state.preferred_over?.join(", ") ?? ""; }

  async say() {
    if (this.send.disabled) return;
    const done = await this.act("say", { text: this.text.value, warm: this.warm.checked });
    if (done) { this.text.value = ""; this.text.blur(); this.other = null; this.draw(); } // sliders stay as they stand
  }

  // --- Weights.

  drawWeights() {
    const { program, proposal, choice, model } = this.state, box = this.cards.weights;
    box.hidden = !program || Boolean(proposal) || Boolean(choice) || !program.terms.length;
    if (box.hidden) return;
    const shape = JSON.stringify([program.terms, program.weights]);
    if (shape !== this.weightsShown) { this.weightsShown = shape; this.moved = {}; this.makeWeights(program); }
    this.weightsTitle.textContent = model.missing ? "Weigh its terms yourself" : "Or weigh its terms yourself";
    const changed = Object.keys(this.moved).length > 0;
    this.tryWeights.disabled = !changed || this.state.preview?.busy !== undefined;
    this.trainWeights.disabled = !changed || (Boolean(this.state.job) && !this.state.job.mail);
    this.resetWeights.disabled = !changed;
  }

  makeWeights({ terms, weights }) {
    const rows = terms.map(({ name }, number) => {
      const slider = element("input", { type: "range", min: -3, max: 3, step: 0.25, value: level(weights[name]) });
      slider.setAttribute("aria-label", `Weight of ${name}`);
      const value = element("span", { className: "num", textContent: `× ${short(weights[name])}` });
      slider.oninput = () => {
        const weight = amount(Number(slider.value), weights[name]);
        value.textContent = `× ${short(weight)}`;
        slider.setAttribute("aria-valuetext", `times ${short(weight)}`);
        if (weight === weights[name]) delete this.moved[name]; else this.moved[name] = weight;
        this.drawWeights();
      };
      const label = element("span", { className: "name", textContent: name });
      label.style.setProperty("--colour", colourOf(number));
      return element("div", { className: "weight" }, label, value, slider);
    });
    this.tryWeights = button("Preview", () => this.preview());
    this.trainWeights = button("Train with these", () => this.weigh(), "primary");
    this.resetWeights = button("Reset", () => { this.weightsShown = null; this.draw(); });
    this.weightsTitle = element("h2");
    this.cards.weights.replaceChildren(this.weightsTitle, ...rows, row(this.tryWeights, this.trainWeights, this.resetWeights));
  }

  preview() {
    this.other = null;
    if (this.state.proposal) this.act("preview");
    else if (Object.keys(this.moved).length) this.act("preview", { weights: this.moved });
  }

  async weigh() {
    if (this.trainWeights.disabled) return;
    await this.act("weigh", { weights: this.moved }); // the sliders are made anew when there are other weights
  }

  // --- Rounds.

  drawRounds() {
    const { rounds, current, shown, choice, can_undo: canUndo } = this.state;
    const shape = JSON.stringify([rounds, current, shown, choice, canUndo, this.other]);
    if (shape === this.roundsShown) return;
    this.roundsShown = shape;
    const list = rounds.map((each) => {
      const words = [each.over.length ? `preferred to round ${each.over.join(", ")}` : "", each.said ? `“${each.said}”${each.by ? ` (${each.by})` : ""}` : "", weightsOf(each)].filter(Boolean).join("; ");
      const one = element("button", { type: "button", className: each.kept ? "" : "left" }, element("strong", { textContent: each.number }), element("span", { textContent: each.state === "measured" ? (each.number === choice?.round ? "keep it?" : each.kept ? "" : "left") : each.state }), element("span", { className: "outcome", textContent: each.success ? `${each.success[0]} of ${each.success[1]}` : "" }), element("span", { className: "said", textContent: words || (each.parent === null ? "the run itself" : "") }));
      one.setAttribute("aria-current", String(each.number === (choice?.before ?? current)));
      one.setAttribute("aria-label", `Round ${each.number}${each.number === shown ? ", shown" : ": put beside"}`);
      one.disabled = each.number === shown || !each.video;
      one.onclick = () => { this.other = this.other === each.number ? null : each.number; this.draw(); };
      return element("li", {}, one);
    });
    const prefer = this.other === null ? [] : [element("p", { textContent: "Which behaves better?" }), row(...[shown, this.other].map((number) => button(`Round ${number}`, () => this.prefer(number))))];
    this.cards.rounds.replaceChildren(element("h2", { textContent: "Rounds" }), element("ul", { className: "round-list" }, ...list), ...prefer, row(Object.assign(button("Undo the last step", () => this.act("undo")), { disabled: !canUndo })));
  }

  async prefer(choice) {
    if (this.other === null) return;
    const [a, b] = [this.state.shown, this.other];
    if (await this.act("prefer", { a, b, choice })) { this.other = null; this.page.toast(`Round ${choice} goes on`, "note"); this.draw(); }
  }

  drawModel() {
    const { spec, missing } = this.state.model, shape = JSON.stringify([spec, missing]);
    if (shape === this.modelShown) return;
    this.modelShown = shape;
    const input = element("input", { value: spec, spellcheck: false, size: 24 });
    input.setAttribute("aria-label", "Model");
    const use = () => this.act("model", { spec: input.value });
    input.onkeydown = (event) => { if (event.key === "Enter") use(); };
    this.cards.model.replaceChildren(element("h2", { textContent: "Who edits" }), element("p", { textContent: spec }), element("details", { open: Boolean(missing) }, element("summary", { textContent: "Another model" }), row(input, button("Use it", use))));
  }

  actions() {
    const { state } = this, { proposal, preview, job, choice } = state;
    const found = [{ id: "pause", key: " ", label: this.now.paused ? "Play" : "Pause", group: "playback", does: () => { this.now.toggle(); this.beside.toggle(this.now.paused); this.draw(); } }];
    if (this.other !== null) return [...found,
      { id: "first", key: "1", label: `Round ${state.shown} is better`, group: "answer", does: () => this.prefer(state.shown) },
      { id: "second", key: "2", label: `Round ${this.other} is better`, group: "answer", does: () => this.prefer(this.other) },
      { id: "close", key: "Escape", label: "Close", group: "end", does: () => { this.other = null; this.draw(); } }];
    const trying = preview?.busy !== undefined;
    if (proposal) found.push(
      { id: "preview", key: "p", label: "Preview", off: trying, group: "answer", does: () => this.preview() },
      { id: "accept", key: "a", label: "Accept and train", tone: "primary", off: Boolean(job), group: "answer", does: () => this.act("accept") },
      { id: "reject", key: "r", label: "Reject", group: "answer", does: () => this.act("reject") });
    else if (choice) found.push(
      { id: "keep", key: "k", label: "Keep this one", group: "answer", does: () => this.act("keep") },
      { id: "back", key: "b", label: `Go back to round ${choice.before}`, group: "answer", does: () => this.act("undo") });
    else found.push(
      { id: "say", key: "t", label: "Say something", off: !this.measured || Boolean(state.model.missing), group: "answer", does: () => this.text.focus() },
      { id: "preview", key: "p", label: "Preview weights", off: trying || !Object.keys(this.moved).length, group: "answer", does: () => this.preview() });
    found.push({ id: "undo", key: "u", label: "Undo", off: !state.can_undo, group: "end", hint: "Take the last step back", does: () => this.act("undo") });
    return found;
  }
}

/** A film with its plot, and what stands below. */
class Pane {
  constructor(page) {
    Object.assign(this, { page, paused: false });
    this.heading = element("h2");
    this.video = element("video", { muted: true, playsInline: true, loop: true, autoplay: true, preload: "auto" });
    this.video.onclick = () => this.toggle();
    this.blank = element("div", { className: "blank" });
    this.plot = element("div", { className: "plotted" });
    this.below = element("div", { className: "pane" });
    this.box = element("article", { className: "pane" }, this.heading, this.video, this.blank, this.plot, this.below);
    this.terms = new Terms(this.plot, this.video);
  }

  show({ title, text, video, traces, timing, weights, order, blank = "", extra = [] }) {
    this.heading.replaceChildren(title, element("small", { textContent: text || " " }));
    const source = video ? this.page.file(video) : "";
    this.video.hidden = !source;
    this.blank.hidden = Boolean(source);
    this.blank.textContent = blank;
    const changed = source !== this.source;
    if (changed) {
      this.source = source;
      if (source) { this.video.src = source; if (!this.paused) this.video.play().catch(() => {}); } else this.video.removeAttribute("src");
    }
    this.plot.hidden = !traces;
    this.terms.load(traces ? this.page.file(traces) : "", timing, weights, order);
    const shape = JSON.stringify(extra.map((part) => part.outerHTML));
    if (shape !== this.extra) { this.extra = shape; this.below.replaceChildren(...extra); }
    return changed && Boolean(source);
  }

  clear() { this.source = this.extra = null; this.video.removeAttribute("src"); this.video.load(); }

  toggle(paused = !this.video.paused) {
    this.paused = paused;
    if (paused) this.video.pause(); else if (this.source) this.video.play().catch(() => {});
  }
}

/** What an edit changes: its terms by name, and its lines. */
function edit({ diff, terms, weights, notes }) {
  const names = ["kept", "added", "dropped"].flatMap((kind) => terms[kind].map((name) => element("span", { className: kind, textContent: { kept: "", added: "+ ", dropped: "− " }[kind] + name })));
  const sign = { same: "", add: "+", drop: "−", gap: "⋯" };
  const lines = diff.map(({ op, old, new: fresh, text }) => element("div", { className: op }, element("span", { className: "no", textContent: fresh ?? old ?? "" }), element("span", { className: "sign", textContent: sign[op] }), element("span", { textContent: text })));
  const parts = [element("div", { className: "names" }, ...names), element("div", { className: "diff", role: "table", ariaLabel: "What changed in the program" }, ...lines)];
  if (Object.keys(weights).length) parts.push(element("p", { className: "dim", textContent: weightsOf({ weights }) }));
  if (notes.length) parts.push(element("p", { className: "dim", textContent: notes.join("\n") }));
  return parts;
}

function outcome({ success, steps }) {
  const trained = steps ? `, trained ${steps.toLocaleString("en")} steps` : "";
  return success ? `succeeds in ${success[0]} of ${success[1]}${trained}` : "";
}

function weightsOf({ weights }) {
  const changed = Object.entries(weights).filter(([, weight]) => weight !== 1);
  return changed.length ? `weights: ${changed.map(([name, weight]) => `${name} ×${short(weight)}`).join(", ")}` : "";
}

function progress({ what, training, seconds }) {
  if (what !== "training" || !training?.total) return [element("progress"), element("p", { className: "dim num", textContent: `${seconds} s` })];
  const { steps, total, curve } = training, last = curve.at(-1)?.[1];
  const known = curve.filter(([, success]) => success !== null);
  const line = svg("svg", { class: "plot", viewBox: "0 0 300 60", role: "img", "aria-label": `Success in training ${percent(last ?? null)}` }, svg("line", { class: "axis", x1: 0, x2: 300, y1: 58, y2: 58 }), svg("polyline", { class: "curve", points: known.map(([at, success]) => `${(300 * at) / total},${58 - 54 * success}`).join(" ") }));
  return [element("progress", { max: total, value: steps }), element("p", { className: "dim num", textContent: `${steps.toLocaleString("en")} of ${total.toLocaleString("en")} steps, success ${percent(last ?? null)}` }), line];
}

// Sliders go by octaves, from an eighth to eight times; the far left is none at all.
const level = (weight) => (weight <= 0 ? -3 : Math.max(-2.75, Math.min(3, Math.log2(weight))));
const amount = (at, before) => (level(before) === at ? before : at <= -3 ? 0 : Number((2 ** at).toPrecision(3)));
const row = (...children) => element("div", { className: "row-of" }, ...children);
const button = (text, does, className = "plain") => element("button", { type: "button", textContent: text, className, onclick: does });
