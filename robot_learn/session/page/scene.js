// Bodies in 3-D on a page: the camera that one turns, labels, and a renderer in a worker of its own.

import { RADIANS, looking } from "/page/camera.js";
import { Renderer } from "/page/renderer.js";

/** A view of an activity's bodies; drag turns, shift or the right button shifts, wheel and pinch zoom, double click resets. */
export class View {
  constructor(element) {
    this.element = element;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("aria-label", "3-D view; drag to turn, wheel to zoom, double click to reset");
    this.canvas.setAttribute("role", "img");
    element.prepend(this.canvas);
    this.camera = null;
    this.labels = new Map();
    this.#begin();
    this.#steer();
    new ResizeObserver(() => this.#resized()).observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.#tell({ dark: scheme.matches }));
    this.#tell({ dark: scheme.matches });
    this.#resized();
  }

  /** One frame of the server: a camera, a body, or poses. The buffer is given away. */
  frame(buffer) { this.#tell({ frame: buffer }, [buffer]); }

  remove(name) { this.#tell({ gone: name }); }

  show(name, visible) { this.#tell({ show: [name, visible] }); }

  /** A label that stays at a point of the world. */
  label(name, text, at) {
    let made = this.labels.get(name);
    if (!made) {
      made = { span: document.createElement("span") };
      made.span.className = "label3d";
      this.element.append(made.span);
      this.labels.set(name, made);
    }
    made.at = at;
    if (made.span.textContent !== text) made.span.textContent = text;
    this.#label();
  }

  /** How many pictures were drawn and updates of poses came, for whoever measures. */
  counts() { return new Promise((resolve) => { this.counted = resolve; this.#tell({ counts: true }); }); }

  #begin() {
    const heard = (told) => this.#heard(told);
    if (this.canvas.transferControlToOffscreen && globalThis.Worker) {
      const worker = new Worker("/page/renderer.js", { type: "module" });
      worker.onmessage = ({ data }) => heard(data);
      const canvas = this.canvas.transferControlToOffscreen();
      worker.postMessage({ canvas }, [canvas]);
      this.tell = (told, given) => worker.postMessage(told, given);
    } else {
      const renderer = new Renderer(this.canvas, heard);
      this.tell = (told) => renderer.take(told);
    }
  }

  #tell(told, given = []) { this.tell(told, given); }

  #heard(told) {
    if (told.counts) this.counted?.(told.counts);
    if (told.missing) this.element.append(Object.assign(document.createElement("p"), { className: "tag missing", textContent: "This browser has no WebGL 2: the scene cannot be drawn; all else works." }));
    if (told.camera) { this.first = told.camera; if (!this.turned) this.camera = { ...told.camera }; this.redraw(); }
  }

  #resized() {
    const ratio = Math.min(devicePixelRatio, 2);
    const width = Math.max(1, Math.round(this.element.clientWidth * ratio)), height = Math.max(1, Math.round(this.element.clientHeight * ratio));
    this.#tell({ size: { width, height } });
    this.#label();
  }

  redraw() { this.#tell({ camera: this.camera }); this.#label(); }

  #label() {
    if (!this.labels.size || !this.camera) return;
    const { matrix: m } = looking(this.camera, this.element.clientWidth / Math.max(1, this.element.clientHeight));
    for (const { span, at: [x, y, z] } of this.labels.values()) {
      const w = m[3] * x + m[7] * y + m[11] * z + m[15];
      const right = (m[0] * x + m[4] * y + m[8] * z + m[12]) / w, up = (m[1] * x + m[5] * y + m[9] * z + m[13]) / w;
      span.hidden = w <= 0;
      span.style.left = `${50 + 50 * right}%`;
      span.style.top = `${50 - 50 * up}%`;
    }
  }

  // --- Turning and zooming.

  #steer() {
    const fingers = new Map();
    let apart = 0;
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, [event.clientX, event.clientY]); apart = 0; });
    const up = (event) => { fingers.delete(event.pointerId); apart = 0; };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const dx = event.clientX - before[0], dy = event.clientY - before[1];
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (fingers.size === 2) {
        const [[ax, ay], [bx, by]] = fingers.values(), now = Math.hypot(ax - bx, ay - by);
        if (apart) this.#zoom(apart / now);
        apart = now;
      } else if (event.buttons & 2 || event.shiftKey) this.#shift(dx, dy);
      else this.#turn(dx, dy);
    });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.#zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 400)); }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.turned = false; this.camera = { ...this.first }; this.redraw(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #turn(dx, dy) {
    this.turned = true;
    this.camera.azimuth -= 0.3 * dx;
    this.camera.elevation = Math.max(-89, Math.min(89, this.camera.elevation - 0.3 * dy));
    this.redraw();
  }

  #zoom(factor) { this.turned = true; this.camera.distance *= factor; this.redraw(); }

  #shift(dx, dy) {
    this.turned = true;
    const { distance, field, azimuth, at } = this.camera, metre = 2 * distance * Math.tan(field * RADIANS / 2) / this.element.clientHeight;
    const a = azimuth * RADIANS;
    this.camera.at = [at[0] - Math.sin(a) * dx * metre, at[1] + Math.cos(a) * dx * metre, at[2] + dy * metre];
    this.redraw();
  }
}
