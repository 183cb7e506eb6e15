// Reward terms along a video: one curve a term over the video's own time, a cursor that follows it, a click that seeks.

import { element } from "/page/keys.js";
import { svg } from "/page/curve.js";

const HEIGHT = 200, LEFT = 46, RIGHT = 8, TOP = 18, BOTTOM = 22;
const COLOURS = ["#3b7dd8", "#e8743b", "#2e9e5b", "#b45fd0", "#c8a415", "#1fa3b5", "#d64c6f", "#8a6d4b"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"]; // nothing depends on colour alone

export const colourOf = (number) => COLOURS[number % COLOURS.length];
const dashOf = (number) => DASHES[number % DASHES.length];

export class Terms {
  /** A plot in `box` of what is paid in `video`. */
  constructor(box, video) {
    Object.assign(this, { box, video, off: new Set(), episodes: [], names: [], order: [], length: 1, width: 640 });
    this.legend = element("div", { className: "legend" });
    this.plot = svg("svg", { class: "plot terms", height: HEIGHT, role: "slider", tabindex: "0", "aria-label": "Time in the video", "aria-valuemin": "0" });
    box.replaceChildren(this.plot, this.legend);
    this.plot.addEventListener("pointerdown", (event) => { this.plot.setPointerCapture(event.pointerId); this.#seek(event); });
    this.plot.addEventListener("pointermove", (event) => { if (event.buttons) this.#seek(event); });
    this.plot.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(([{ contentRect }]) => { if (contentRect.width && contentRect.width !== this.width) { this.width = contentRect.width; this.#draw(); } }).observe(box);
    this.#follow();
  }

  /** Take a trace, or several, in the order of the video. `timing` as the server says it. */
  async load(url, timing, weights = {}, order = []) {
    if (url === this.url) { this.weights = weights; return; }
    Object.assign(this, { url, weights, order });
    const found = url ? await (await fetch(url)).json() : [];
    if (url !== this.url) return;
    const traces = Array.isArray(found) ? found : [found.trace ?? found];
    let start = 0;
    this.episodes = traces.map((trace, number) => {
      const steps = trace.rewards.length;
      const seconds = (Math.floor((steps - 1) / timing.stride) + 1 + timing.hold) / timing.fps;
      const episode = { number, start, seconds, dt: trace.control_dt, steps, trace };
      start += seconds;
      return episode;
    });
    this.length = Math.max(start, 0.1);
    this.names = Object.keys(traces[0]?.terms ?? {});
    this.#draw();
  }

  /** The number of a term's colour: those in `order` have the same in every plot. */
  #number(name) {
    const known = this.order.indexOf(name);
    return known >= 0 ? known : this.order.length + this.names.filter((other) => !this.order.includes(other)).indexOf(name);
  }

  /** Where in the plot a second of the video is. */
  #x(seconds) { return LEFT + (seconds / this.length) * (this.width - LEFT - RIGHT); }

  #draw() {
    const shown = this.names.filter((name) => !this.off.has(name));
    const values = this.episodes.flatMap(({ trace }) => shown.flatMap((name) => trace.terms[name]));
    const low = values.reduce((a, b) => Math.min(a, b), 0), high = values.reduce((a, b) => Math.max(a, b), low + 1e-6);
    const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const parts = [svg("line", { class: "axis", x1: LEFT, x2: this.width - RIGHT, y1: y(0), y2: y(0) })];
    const ticks = [0, low, high].filter((value, number) => !number || Math.abs(y(value) - y(0)) > 12);
    for (const value of ticks) parts.push(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
    for (const episode of this.episodes) parts.push(...this.#frame(episode));
    this.names.forEach((name) => {
      if (this.off.has(name)) return;
      const number = this.#number(name);
      for (const { start, dt, trace } of this.episodes) {
        const points = trace.terms[name].map((value, step) => `${this.#x(start + dt * (step + 1)).toFixed(1)},${y(value).toFixed(1)}`);
        parts.push(svg("polyline", { class: "term", stroke: colourOf(number), "stroke-dasharray": dashOf(number), points: points.join(" ") }));
      }
    });
    this.cursor = svg("line", { class: "cursor", y1: TOP - 6, y2: HEIGHT - BOTTOM });
    this.plot.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.plot.replaceChildren(...parts, this.cursor);
    this.shownAt = null;
    this.#drawLegend();
  }

  /** The borders of an episode, its number, and where it succeeded. */
  #frame({ number, start, seconds, dt, trace }) {
    const name = this.episodes.length > 1 ? `episode ${number + 1}` : "";
    const parts = [svg("text", { x: this.#x(start) + 3, y: HEIGHT - 6 }, name)];
    if (number) parts.push(svg("line", { class: "axis border", x1: this.#x(start), x2: this.#x(start), y1: TOP - 6, y2: HEIGHT - BOTTOM + 8 }));
    else parts.push(svg("text", { x: this.width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `${this.length.toFixed(1)} s`));
    if (trace.success_step) {
      const at = this.#x(start + Math.min(seconds, dt * trace.success_step));
      parts.push(svg("line", { class: "success", x1: at, x2: at, y1: TOP - 6, y2: HEIGHT - BOTTOM }));
      parts.push(svg("text", { class: "success", x: at, y: TOP - 8, "text-anchor": "middle" }, "success"));
    }
    return parts;
  }

  #drawLegend() {
    this.values = new Map();
    this.legend.replaceChildren(...this.names.map((name) => {
      const number = this.#number(name);
      const key = svg("svg", { viewBox: "0 0 26 8", width: 26, height: 8, "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: colourOf(number), "stroke-width": 3, "stroke-dasharray": dashOf(number) }));
      const value = element("span", { className: "num value" });
      this.values.set(name, value);
      const weight = this.weights?.[name] ?? 1;
      const chip = element("button", { type: "button", className: "chip" }, key, `${name}${weight === 1 ? "" : ` ×${short(weight)}`}`, value);
      chip.setAttribute("aria-pressed", String(!this.off.has(name)));
      chip.title = "Show or hide this term";
      chip.onclick = () => { this.off.has(name) ? this.off.delete(name) : this.off.add(name); this.#draw(); };
      return chip;
    }));
  }

  #follow() {
    requestAnimationFrame(() => this.#follow());
    if (!this.cursor || !this.video) return;
    const now = Math.min(this.video.currentTime, this.length);
    if (now === this.shownAt) return;
    this.shownAt = now;
    const x = this.#x(now);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.plot.setAttribute("aria-valuenow", now.toFixed(2));
    this.plot.setAttribute("aria-valuemax", this.length.toFixed(2));
    const episode = this.episodes.findLast(({ start }) => start <= now);
    if (!episode) return;
    const step = Math.min(episode.steps - 1, Math.max(0, Math.round((now - episode.start) / episode.dt) - 1));
    for (const [name, value] of this.values) value.textContent = short(episode.trace.terms[name][step]);
  }

  #seek(event) {
    const box = this.plot.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width) * this.width;
    this.#go(((share - LEFT) / (this.width - LEFT - RIGHT)) * this.length);
  }

  #step(event) {
    const by = { ArrowLeft: -0.1, ArrowRight: 0.1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#go(this.video.currentTime + by);
  }

  #go(seconds) {
    this.video.pause();
    this.video.currentTime = Math.max(0, Math.min(this.length - 0.01, seconds));
  }
}

export function short(value) {
  if (value === undefined) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.01 || size >= 10000)) return value.toExponential(1);
  return String(Number(value.toFixed(size < 1 ? 3 : size < 100 ? 2 : 0)));
}
