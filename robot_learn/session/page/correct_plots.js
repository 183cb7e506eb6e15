// Two small drawings: a curve that falls as the robot learns, and what it holds to be unsafe in a plane of its states.

import { element } from "/page/keys.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, properties, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The log-volume of what is still possible, lesson by lesson. */
export function curve(values, now) {
  const width = 300, height = 84, left = 34, right = 10, top = 14, bottom = 16;
  const plot = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot narrow", role: "img", "aria-label": `log-volume of what is possible, now ${now}` });
  const low = Math.min(now, ...values), high = Math.max(now, ...values), span = Math.max(1e-6, high - low);
  const points = values.length ? values : [now];
  const x = (i) => left + (width - left - right) * (points.length > 1 ? i / (points.length - 1) : 0);
  const y = (value) => top + (height - top - bottom) * (1 - (value - low) / span);
  plot.append(shape("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, class: "axis" }));
  for (const value of span > 1e-5 ? [low, high] : [high]) plot.append(shape("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(0)));
  plot.append(shape("text", { x: left, y: 9 }, "log-volume of what is possible"), shape("text", { x: width - right, y: height - 3, "text-anchor": "end" }, "lessons"));
  const line = points.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  plot.append(shape("polygon", { points: `${x(0)},${height - bottom} ${line} ${x(points.length - 1)},${height - bottom}`, class: "area" }));
  plot.append(shape("polyline", { points: line, class: "curve" }));
  plot.append(shape("circle", { cx: x(points.length - 1), cy: y(points.at(-1)), r: 3.5, fill: "var(--accent)" }));
  return plot;
}

const WIDE = 300, HIGH = 210, PLANE = { left: 38, top: 18, width: 254, height: 162 };
const ZOOM = 6; // pixels of a cell, for its stripes

/**
 * A plane of states: red where all hypotheses hold it to be unsafe, hatched where they are divided, and the plan.
 *
 * It is made once and then told what differs: plans change ten times a second, what is unsafe seldom. The plane is a
 * canvas below the lines and not a picture with an address of its own: of those a browser remembers each.
 */
export class Chart {
  constructor() {
    const { left, top, width, height } = PLANE, percent = (part, whole) => `${100 * part / whole}%`;
    this.plane = element("canvas");
    Object.assign(this.plane.style, { position: "absolute", left: percent(left, WIDE), top: percent(top, HIGH), width: percent(width, WIDE), height: percent(height, HIGH) });
    this.frame = shape("g", {});
    this.plan = shape("polyline", { class: "curve" });
    this.here = shape("circle", { r: 4, fill: "var(--accent)" });
    this.plot = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "plot narrow", role: "img", style: "position: relative" });
    this.plot.append(this.frame, this.plan, this.here);
    this.box = element("div", { className: "plane" }, this.plane, this.plot);
  }

  show({ path, size, cells, ...axes }) {
    const { left, top, width, height } = PLANE, { low, high } = axes, told = JSON.stringify(axes);
    if (told !== this.axes) this.#axes(axes);
    this.axes = told;
    if (cells !== this.cells) paint(this.plane, cells, size);
    this.cells = cells;
    const x = (value) => left + width * (value - low[0]) / (high[0] - low[0]), y = (value) => top + height * (1 - (value - low[1]) / (high[1] - low[1]));
    const inside = path.map(([px, py]) => [Math.max(left, Math.min(left + width, x(px))).toFixed(1), Math.max(top, Math.min(top + height, y(py))).toFixed(1)]);
    this.plan.setAttribute("points", inside.join(" "));
    this.here.setAttribute("cx", inside[0]?.[0] ?? 0);
    this.here.setAttribute("cy", inside[0]?.[1] ?? 0);
  }

  #axes({ title, right, up, low, high }) {
    const { left, top, width, height } = PLANE, text = (value) => Number(value.toPrecision(2));
    this.plot.setAttribute("aria-label", `${title}: ${right} and ${up}`);
    this.frame.replaceChildren(
      shape("rect", { x: left, y: top, width, height, fill: "none", class: "axis" }),
      shape("text", { x: left, y: 11 }, title), shape("text", { x: left, y: HIGH - 16 }, text(low[0])), shape("text", { x: left + width, y: HIGH - 16, "text-anchor": "end" }, text(high[0])),
      shape("text", { x: left + width / 2, y: HIGH - 4, "text-anchor": "middle" }, right), shape("text", { x: left - 5, y: top + 9, "text-anchor": "end" }, text(high[1])), shape("text", { x: left - 5, y: top + height, "text-anchor": "end" }, text(low[1])),
      shape("text", { x: 10, y: top + height / 2, "text-anchor": "middle", transform: `rotate(-90 10 ${top + height / 2})` }, up));
  }
}

/** Shares from 0 to 255, row by row from below, in colours: amber where undecided, with stripes, red where unsafe. */
function paint(canvas, cells, [wide, high]) {
  Object.assign(canvas, { width: wide * ZOOM, height: high * ZOOM }); // which clears it
  if (!cells) return;
  const bytes = Uint8Array.from(atob(cells), (letter) => letter.charCodeAt(0));
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let py = 0; py < canvas.height; py++) for (let px = 0; px < canvas.width; px++) {
    const share = bytes[(high - 1 - Math.floor(py / ZOOM)) * wide + Math.floor(px / ZOOM)] / 255, at = 4 * (py * canvas.width + px);
    const undecided = share > 0.05 && share < 0.95, stripe = (px + py) % 12 < 3;
    const [red, green, blue, alpha] = share >= 0.95 ? [214, 40, 48, 200] : undecided ? [230, 150, 30, (stripe ? 90 : 30) + 90 * share] : [0, 0, 0, 0];
    image.data.set([red, green, blue, alpha], at);
  }
  context.putImageData(image, 0, 0);
}
