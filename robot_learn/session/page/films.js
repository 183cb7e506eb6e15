// Films that play together: they start at once, wait for each other at the end, and begin again together.

import { element } from "/page/keys.js";

const REST = 450; // ms between two rounds
const APART = 0.05; // s: a film that is further from the first is put beside it

export class Films {
  /** Draws in `box`; `picked(number)` is called when a film is clicked, from 0. */
  constructor(box, picked) {
    Object.assign(this, { box, picked, videos: [], shown: "", rate: 1, paused: false, since: 0 });
    requestAnimationFrame(() => this.#watch());
  }

  /** Show films, unless these are the ones that are shown. `names`: what each is called. */
  show(sources, names = sources.map((_, number) => String(number + 1))) {
    const shape = JSON.stringify([sources, names]);
    if (shape === this.shown) return;
    this.clear();
    this.shown = shape;
    this.box.dataset.count = sources.length;
    this.figures = sources.map((source, number) => this.#figure(source, names[number], number));
    this.box.replaceChildren(...this.figures.map((figure) => element("div", { className: "cell" }, figure)));
    Promise.all(this.videos.map(ready)).then(() => { if (this.shown === shape) { this.since = performance.now(); this.#begin(); } });
  }

  clear() {
    for (const video of this.videos) { video.pause(); video.removeAttribute("src"); video.load(); }
    this.videos = [];
    this.shown = "";
    this.since = 0;
    this.box.replaceChildren();
    this.box.dataset.count = 0;
  }

  /** Seconds since these films began to be seen. */
  seconds() { return this.since ? (performance.now() - this.since) / 1000 : 0; }

  mark(number, text) {
    const figure = this.figures?.[number];
    if (!figure) return;
    figure.classList.toggle("marked", Boolean(text));
    figure.querySelector(".mark").textContent = text ?? "";
  }

  pause(paused = !this.paused) {
    this.paused = paused;
    if (paused) this.videos.forEach((video) => video.pause());
    else this.#play();
  }

  speed(rate) {
    this.rate = rate;
    this.videos.forEach((video) => { video.playbackRate = rate; });
  }

  #figure(source, name, number) {
    const video = element("video", { muted: true, playsInline: true, preload: "auto", src: source });
    video.setAttribute("aria-hidden", "true");
    video.onended = () => this.#ended();
    video.onloadedmetadata = () => { figure.style.setProperty("--aspect", video.videoWidth / video.videoHeight); };
    this.videos.push(video);
    const figure = element("button", { className: "clip", type: "button" }, video, element("span", { className: "number", textContent: name }), element("span", { className: "mark" }));
    figure.setAttribute("aria-label", `Film ${name}`);
    figure.onclick = (event) => { if (event.detail) figure.blur(); this.picked?.(number); }; // Space pauses again after a click
    return figure;
  }

  #begin() {
    for (const video of this.videos) video.currentTime = 0;
    if (!this.paused) this.#play();
  }

  #play() {
    for (const video of this.videos) {
      video.playbackRate = this.rate;
      if (!video.ended) video.play().catch(() => {}); // a page that was never touched may have to wait for a click
    }
    if (this.videos.every((video) => video.ended)) this.#ended();
  }

  #ended() {
    const shape = this.shown;
    if (this.paused || !this.videos.every((video) => video.ended)) return;
    setTimeout(() => { if (this.shown === shape && !this.paused) this.#begin(); }, REST);
  }

  #watch() {
    const [first, ...others] = this.videos;
    if (first && !first.paused && !first.seeking) {
      let apart = 0;
      for (const other of others) {
        if (other.paused || other.ended || other.seeking) continue;
        apart = Math.max(apart, Math.abs(other.currentTime - first.currentTime));
        if (Math.abs(other.currentTime - first.currentTime) > APART * this.rate) other.currentTime = first.currentTime;
      }
      this.box.dataset.apart = apart.toFixed(3);
    }
    requestAnimationFrame(() => this.#watch());
  }
}

const ready = (video) => new Promise((resolve) => {
  if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) resolve();
  else { video.addEventListener("canplay", resolve, { once: true }); video.addEventListener("error", resolve, { once: true }); }
});
