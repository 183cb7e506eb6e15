// Two films, which is the better one? Or of four: the best, then the worst.

import { element } from "/page/keys.js";
import { Films } from "/page/films.js";
import { facts } from "/page/paint.js";
import { learningCurve, percent } from "/page/curve.js";

const SURE = [["1", "hardly", 0.33], ["2", "fairly", 0.67], ["3", "quite", 1]];
const SAMPLERS = {
  uniform: "any pair", disagreement: "where the model's members disagree", entropy: "where the model is unsure",
  "k-center": "unlike what was asked", "information-gain": "what tells the members apart",
};

export function mount(root, page) {
  document.head.append(element("link", { rel: "stylesheet", href: "/page/compare.css" }));
  root.className = "split compare";
  new Compare(root, page);
}

class Compare {
  constructor(root, page) {
    Object.assign(this, { page, state: null, best: null, unsure: null, busy: false, slow: false });
    this.question = element("p", { className: "question hidden" });
    this.waiting = element("div", { className: "waiting" }, element("p", { textContent: "Opening …" }));
    this.filmBox = element("div", { className: "films" });
    this.films = new Films(this.filmBox, (number) => this.pick(number));
    this.side = element("aside", { className: "side" });
    root.append(element("section", { className: "view" }, this.question, this.filmBox, this.waiting), this.side);
    this.cards = { progress: card(), model: card(), answers: card(), settings: card() };
    this.side.append(...Object.values(this.cards));
    page.state$.subscribe((state) => { this.state = state; this.draw(); });
    // The name reaches the server right after this; whoever it is then takes a seat.
    page.person$.subscribe(() => setTimeout(() => page.do("meet").catch(() => {})));
  }

  get you() { return this.page.person$.value.trim().replace(/\s+/g, " ") || "human"; }
  get seat() { return this.state?.people?.[this.you]; }
  get asked() { return this.seat?.question; }
  get several() { return (this.asked?.films.length ?? 2) > 2; }

  // --- What the person does.

  pick(number) {
    if (!this.asked?.ready || this.unsure || number >= this.asked.films.length) return;
    if (!this.several) { this.decide("choose", { label: number }, () => this.films.mark(number, "better")); return; }
    if (this.best === null) {
      this.best = number;
      this.films.mark(number, "best");
      this.draw();
    } else if (this.best === number) {
      this.best = null;
      this.films.mark(number, null);
      this.draw();
    } else {
      this.decide("order", { best: this.best, worst: number }, () => this.films.mark(number, "worst"));
    }
  }

  equal() { if (this.asked?.ready) this.decide("choose", { label: 0.5 }, () => this.asked.films.forEach((_, n) => this.films.mark(n, "equal"))); }

  /** Where it is asked how sure somebody is, wait for that. */
  decide(act, args, show) {
    show();
    // As the box says, also while the server is still being told.
    if (this.asksNow ?? this.state.confidence) { this.unsure = { act, args }; this.draw(); } else this.send(act, args);
  }

  sure(confidence) {
    const { act, args } = this.unsure;
    this.unsure = null;
    this.send(act, { ...args, confidence });
  }

  back() { this.unsure = this.best = null; this.unmark(); this.draw(); }
  unmark() { this.asked?.films.forEach((_, number) => this.films.mark(number, null)); }

  /** A second answer to the same question is none; everything else waits for its turn. */
  send(act, args = {}) {
    if (this.busy && ["choose", "order", "skip"].includes(act)) return;
    const before = this.busy ? this.sent : Promise.resolve();
    this.busy = true;
    this.sent = before.then(() => this.post(act, args));
  }

  async post(act, args) {
    this.busy = true;
    try {
      await this.page.do(act, { question: this.asked?.id, seconds: Number(this.films.seconds().toFixed(2)), ...args });
    } catch { this.unmark(); } finally {
      this.busy = false;
      this.best = this.unsure = null;
      this.draw();
    }
  }

  // --- What is shown.

  draw() {
    const { state, seat, asked } = this;
    if (!state?.people) return;
    this.page.title(`Compare ${state.dataset}`);
    if (asked?.id !== this.shownId) { this.best = this.unsure = null; this.shownId = asked?.id; }
    this.page.phase(this.phase(), seat?.result ? "good" : "");
    this.drawQuestion(asked);
    this.drawProgress(seat);
    this.drawModel(state.learning);
    this.drawAnswers(seat);
    this.drawSettings(state);
    this.page.keys(this.actions());
  }

  phase() {
    if (!this.seat) return "";
    if (this.seat.result) return "done for now";
    return this.asked?.ready ? `question ${this.seat.answered + 1} of ${this.seat.target}` : "filming";
  }

  drawQuestion(asked) {
    const goal = this.state.goal ? ` at this: ${this.state.goal}` : "?";
    const then = this.best === null ? "Which of the four is the best" : "And which is the worst";
    this.question.replaceChildren(
      this.unsure ? "How sure are you?" : this.several ? `${then}${goal}` : `Which is better${goal}`,
      element("small", { textContent: this.unsure ? "1 hardly · 2 fairly · 3 quite · Esc back" : "click a film or press its number" }),
    );
    const showing = Boolean(asked?.ready);
    this.question.classList.toggle("hidden", !showing);
    this.waiting.classList.toggle("hidden", showing);
    if (showing) this.films.show(asked.films.map((name) => this.page.file(name)));
    else { this.films.clear(); this.drawWaiting(asked); }
  }

  drawWaiting(asked) {
    const { seat, state } = this;
    if (seat?.result) this.waiting.replaceChildren(this.result(seat));
    else if (state.film_trouble) {
      const again = button("Try again", () => this.page.do("meet"), "primary");
      this.waiting.replaceChildren(element("p", { textContent: `These moments cannot be filmed: ${state.film_trouble}` }), again);
    } else this.waiting.replaceChildren(element("p", { textContent: asked ? "Filming the next moments …" : "Looking for the next question …" }));
  }

  result(seat) {
    const { gold, truth, answered, abstained, ties, mean_confidence: confidence } = seat.result;
    const rows = [["answers", `${answered}`], ["equal", `${ties}`], ["skipped", `${abstained}`]];
    if (confidence !== null && confidence < 1) rows.push(["how sure, on average", percent(confidence)]);
    if (gold?.decided) rows.push(["right where the answer is known", `${Math.round(gold.accuracy * gold.decided)} of ${gold.decided} (${percent(gold.interval[0])} to ${percent(gold.interval[1])})`]);
    if (truth?.decided) rows.push(["agrees with the task's own reward", `${percent(truth.accuracy)} of ${truth.decided}`]);
    for (const { who, same, of } of this.state.agreement) if (who.includes(this.you)) rows.push([`agrees with ${who.find((name) => name !== this.you) ?? who[0]}`, `${same} of ${of}`]);
    const more = seat.exhausted && seat.answered < seat.target ? [element("p", { className: "dim", textContent: "Every pair of this dataset was asked." })] : [button("Go on", () => this.send("more"), "primary")];
    return element("section", { className: "card result" }, element("h2", { textContent: `Thank you, ${this.you}` }), table(rows), element("div", { className: "row-of" }, ...more, this.download()));
  }

  drawProgress(seat) {
    const bar = element("progress", { max: seat?.target ?? 1, value: seat?.answered ?? 0 });
    bar.setAttribute("aria-label", "Questions answered");
    const together = this.state.agreement.filter(({ who }) => who.includes(this.you)).map(({ who, same, of }) => [`same as ${who.find((name) => name !== this.you)}`, `${same} of ${of}`]);
    this.cards.progress.replaceChildren(
      element("h2", { textContent: `Answers of ${this.you}` }),
      element("div", {}, element("span", { className: "big", textContent: String(seat?.answered ?? 0) }), element("span", { className: "dim", textContent: ` of ${seat?.target ?? "–"}` })),
      bar, ...(together.length ? [table(together)] : []),
    );
  }

  drawModel({ curve, busy, trouble, foretold: [right, of] }) {
    const last = curve.at(-1);
    const rows = [["on held-out labels", last ? `${percent(last.accuracy)} of ${last.decided}` : "–"]];
    if (of) rows.push(["foretold, of pairs drawn", `${right} of ${of}`]);
    if (last?.of_each !== null && last?.of_each !== undefined) rows.push(["with a reward for each person", percent(last.of_each)]);
    const heading = element("h2", { textContent: "The reward that learns" }, element("span", { className: "state", textContent: busy ? "learning …" : last ? `from ${last.labels} labels` : "" }));
    const hint = element("p", { className: "dim", textContent: "It begins to learn after six answers." });
    this.cards.model.replaceChildren(heading, ...(last ? [learningCurve(curve), table(rows)] : [hint]), ...(trouble ? [element("p", { textContent: trouble })] : []));
    this.cards.model.dataset.points = curve.length;
  }

  drawAnswers(seat) {
    const rows = (seat?.recent ?? []).map((one) => {
      const opinion = one.foretold === undefined ? (one.held ? "can be taken back" : "") : `model: ${one.foretold > 0.5 ? "second" : "first"} ${percent(Math.max(one.foretold, 1 - one.foretold))} ${one.right ? "✓" : "✗"}`;
      return element("li", {}, element("span", { textContent: one.said }), element("span", { className: "model", textContent: opinion }));
    }).reverse();
    const hint = "What the model thought shows up once an answer can no longer be taken back.";
    this.cards.answers.replaceChildren(element("h2", { textContent: "Your last answers" }), rows.length ? element("ul", { className: "list recent" }, ...rows) : element("p", { className: "dim", textContent: hint }));
  }

  drawSettings({ clips, sampler, samplers, confidence, labels }) {
    const shape = JSON.stringify([clips, sampler, confidence, labels]);
    if (shape === this.settingsShown) return;
    this.settingsShown = shape;
    const choice = element("select", { ariaLabel: "Which pairs are asked" }, ...samplers.map((name) => element("option", { value: name, textContent: SAMPLERS[name] ?? name, selected: name === sampler })));
    choice.onchange = () => { choice.blur(); this.page.do("set", { sampler: choice.value }); };
    const ask = element("input", { type: "checkbox", checked: confidence });
    ask.onchange = () => { ask.blur(); this.asksNow = ask.checked; this.page.do("set", { confidence: ask.checked }).finally(() => { this.asksNow = undefined; }); };
    const number = element("div", { className: "segmented", role: "group", ariaLabel: "Films at once" }, ...[2, 4].map((count) => {
      const one = button(String(count), () => this.page.do("set", { clips: count }), "");
      one.setAttribute("aria-pressed", String(count === clips));
      one.setAttribute("aria-label", `${count} films at once`);
      return one;
    }));
    this.cards.settings.replaceChildren(
      element("h2", { textContent: "How it asks" }),
      field("Films at once", number), field("Next pair", choice, "field tall"), field("Ask how sure I am", ask),
      element("div", { className: "row-of" }, this.download()),
    );
  }

  download() {
    const { count, file } = this.state.labels;
    return element("a", { href: this.page.file("labels.jsonl"), download: file, textContent: `Download ${count} labels`, className: "download" });
  }

  actions() {
    if (this.unsure) return [...SURE.map(([key, label, share]) => ({ id: `sure${key}`, key, label, does: () => this.sure(share) })), { id: "back", key: "Escape", label: "Back", does: () => this.back() }];
    const { seat } = this;
    if (seat?.result) return [{ id: "more", key: "Enter", label: "Go on", tone: "primary", off: seat.exhausted, does: () => this.send("more") }];
    const off = !this.asked?.ready;
    const names = this.several ? ["1", "2", "3", "4"] : ["First", "Second"];
    const numbers = names.map((label, number) => ({ id: `pick${number + 1}`, key: String(number + 1), label: this.several ? (this.best === null ? "best" : "worst") : label, off, group: "answer", hint: `Film ${number + 1}`, does: () => this.pick(number) }));
    return [
      ...numbers,
      { id: "equal", key: "=", also: ["0"], label: this.several ? "All equal" : "Equal", off, group: "answer", does: () => this.equal() },
      { id: "skip", key: "s", label: "Skip", off, group: "else", hint: "Say nothing about these", does: () => this.send("skip") },
      { id: "undo", key: "u", also: ["Backspace"], label: "Undo", off: !seat?.can_undo, group: "else", hint: "Take the last answer back, up to three", does: () => this.send("undo") },
      { id: "pause", key: " ", label: this.films.paused ? "Play" : "Pause", off, group: "playback", does: () => { this.films.pause(); this.draw(); } },
      { id: "slow", key: "w", label: "Slow", on: this.slow, off, group: "playback", hint: "Half as fast", does: () => { this.slow = !this.slow; this.films.speed(this.slow ? 0.5 : 1); this.draw(); } },
      { id: "finish", key: "e", label: "Done for now", group: "end", hint: "Settle all answers and see the result", does: () => this.send("finish") },
    ];
  }
}

const card = () => element("section", { className: "card" });
const field = (name, control, className = "field") => element("label", { className }, element("span", { textContent: name }), control);
const button = (text, does, className = "plain") => element("button", { type: "button", textContent: text, className, onclick: does });
const table = (rows) => facts(element("dl", { className: "facts" }), rows);
