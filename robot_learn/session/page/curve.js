// A learning curve with its interval, as SVG: few points, no library.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 300, HEIGHT = 130, LEFT = 34, BOTTOM = 20, TOP = 6, RIGHT = 6;

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`);

/** Points {labels, accuracy, low, high}; those without an accuracy are left out. */
export function learningCurve(points) {
  const known = points.filter(({ accuracy }) => accuracy !== null);
  const most = Math.max(10, ...known.map(({ labels }) => labels));
  const x = (labels) => LEFT + (labels / most) * (WIDTH - LEFT - RIGHT);
  const y = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const last = known.at(-1);
  plot.setAttribute("aria-label", last ? `Held-out accuracy ${percent(last.accuracy)} after ${last.labels} labels` : "No model yet");
  for (const share of [0, 0.5, 1]) {
    plot.append(svg("line", { class: share === 0.5 ? "axis chance" : "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share) }));
    plot.append(svg("text", { x: LEFT - 5, y: y(share) + 4, "text-anchor": "end" }, percent(share)));
  }
  plot.append(svg("text", { x: LEFT, y: HEIGHT - 4 }, "0"), svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, `${most} labels`));
  if (!known.length) return plot;
  const above = known.map(({ labels, high }) => `${x(labels)},${y(high)}`);
  const below = known.map(({ labels, low }) => `${x(labels)},${y(low)}`).reverse();
  plot.append(svg("polygon", { class: "area", points: [...above, ...below].join(" ") }));
  plot.append(svg("polyline", { class: "curve", points: known.map(({ labels, accuracy }) => `${x(labels)},${y(accuracy)}`).join(" ") }));
  plot.append(svg("line", { class: "whisker", x1: x(last.labels), x2: x(last.labels), y1: y(last.low), y2: y(last.high) }));
  plot.append(svg("circle", { class: "dot", cx: x(last.labels), cy: y(last.accuracy), r: 3.5 }));
  return plot;
}
