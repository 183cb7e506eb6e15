// Two small drawings: a curve that falls as the robot learns, and what it holds to be unsafe in a plane of its states.

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

/** A plane of states: red where all hypotheses hold it to be unsafe, hatched where they are divided, and the plan. */
export function chart({ title, right, up, low, high, size, cells, path }) {
  const width = 300, height = 210, l = 38, r = 8, t = 18, b = 30, w = width - l - r, h = height - t - b;
  const plot = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot narrow", role: "img", "aria-label": `${title}: ${right} and ${up}` });
  if (cells) plot.append(shape("image", { x: l, y: t, width: w, height: h, href: picture(cells, size), preserveAspectRatio: "none", style: "image-rendering: auto" }));
  plot.append(shape("rect", { x: l, y: t, width: w, height: h, fill: "none", class: "axis" }));
  const x = (value) => l + w * (value - low[0]) / (high[0] - low[0]), y = (value) => t + h * (1 - (value - low[1]) / (high[1] - low[1]));
  const inside = path.map(([px, py]) => `${Math.max(l, Math.min(l + w, x(px))).toFixed(1)},${Math.max(t, Math.min(t + h, y(py))).toFixed(1)}`);
  plot.append(shape("polyline", { points: inside.join(" "), class: "curve" }), shape("circle", { cx: inside[0]?.split(",")[0] ?? 0, cy: inside[0]?.split(",")[1] ?? 0, r: 4, fill: "var(--accent)" }));
  const text = (value) => Number(value.toPrecision(2));
  plot.append(shape("text", { x: l, y: 11 }, title), shape("text", { x: l, y: height - 16 }, text(low[0])), shape("text", { x: width - r, y: height - 16, "text-anchor": "end" }, text(high[0])));
  plot.append(shape("text", { x: l + w / 2, y: height - 4, "text-anchor": "middle" }, right), shape("text", { x: l - 5, y: t + 9, "text-anchor": "end" }, text(high[1])), shape("text", { x: l - 5, y: t + h, "text-anchor": "end" }, text(low[1])));
  plot.append(shape("text", { x: 10, y: t + h / 2, "text-anchor": "middle", transform: `rotate(-90 10 ${t + h / 2})` }, up));
  return plot;
}

let pictures = new Map(); // drawn once: plans change ten times a second, what is unsafe seldom

/** Shares from 0 to 255, row by row from below, as a picture: amber where undecided, with stripes, red where unsafe. */
function picture(cells, [wide, high]) {
  if (pictures.has(cells)) return pictures.get(cells);
  if (pictures.size > 8) pictures = new Map();
  const bytes = Uint8Array.from(atob(cells), (letter) => letter.charCodeAt(0)), zoom = 6;
  const canvas = Object.assign(document.createElement("canvas"), { width: wide * zoom, height: high * zoom });
  const context = canvas.getContext("2d"), image = context.createImageData(wide * zoom, high * zoom);
  for (let py = 0; py < high * zoom; py++) for (let px = 0; px < wide * zoom; px++) {
    const share = bytes[(high - 1 - Math.floor(py / zoom)) * wide + Math.floor(px / zoom)] / 255, at = 4 * (py * wide * zoom + px);
    const undecided = share > 0.05 && share < 0.95, stripe = (px + py) % 12 < 3;
    const [red, green, blue, alpha] = share >= 0.95 ? [214, 40, 48, 200] : undecided ? [230, 150, 30, (stripe ? 90 : 30) + 90 * share] : [0, 0, 0, 0];
    image.data.set([red, green, blue, alpha], at);
  }
  context.putImageData(image, 0, 0);
  pictures.set(cells, canvas.toDataURL());
  return pictures.get(cells);
}
