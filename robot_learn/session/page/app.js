// The ground of every page: the connection and its beats, acts that are sent until they are acknowledged, tabs, messages.
// page/<activity>.js exports mount(root, page) and is given what `page` below holds.

import { Keys, element } from "/page/keys.js";
import { say } from "/page/paint.js";
import { View } from "/page/scene.js";

const AGAIN = 500, SLOW = 4000; // ms between attempts to connect
const LOOK = 1000, SILENT = 4; // ms; looks that found nothing new, where beats come every 50 ms: a network that has gone closes nothing
const query = new URLSearchParams(location.search);
const activity = query.get("activity"), what = query.get("what") ?? "";
const at = (id) => document.getElementById(id);

/** A value that tells whoever subscribed when it changes; a newcomer is told at once. */
export function observable(value) {
  const listeners = new Set();
  return {
    get value() { return value; },
    set(next) { value = next; for (const listener of listeners) listener(next); },
    subscribe(listener) {
      listeners.add(listener);
      if (value !== undefined) listener(value);
      return () => listeners.delete(listener);
    },
  };
}

export function toast(text, tone = "error") {
  if (!at("trouble").hidden) return; // which says it all
  const shown = [...at("toasts").children].find((other) => other.dataset.text === text);
  if (shown) return;
  const line = document.createElement("button");
  line.className = `toast ${tone}`;
  line.dataset.text = text;
  line.textContent = text;
  line.title = "Dismiss";
  line.onclick = () => line.remove();
  at("toasts").append(line);
  setTimeout(() => line.remove(), Math.max(6000, 60 * text.length));
}

// --- Who and which tab: a reload is the same tab, another window is another one.

function kept(storage, name, make) {
  try {
    const found = storage.getItem(name) ?? make();
    storage.setItem(name, found);
    return found;
  } catch { return make(); }
}
const random = () => [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36)).join("");
const tab = kept(sessionStorage, "tab", random);
const person$ = observable(kept(localStorage, "person", () => ""));

// --- Acts: each has a number, and is sent again after a lost connection until its answer has come.

const load = random();
const open = new Map(); // number -> {frame, resolve, reject}
let socket = null, count = 0, heard = 0, wait = AGAIN, silent = 0;

const state$ = observable(undefined), live$ = observable(undefined), link$ = observable("connecting");
const holds$ = observable(undefined);

function act(name, args = {}) {
  const n = `${load}-${++count}`;
  const frame = JSON.stringify({ do: name, args, n });
  return new Promise((resolve, reject) => {
    open.set(n, { frame, resolve, reject });
    send(frame);
  });
}

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(frame);
}

function acknowledged({ done, answer, error }) {
  const one = open.get(done);
  open.delete(done);
  if (!one) return;
  if (error === undefined) one.resolve(answer);
  else one.reject(Object.assign(new Error(error), { told: true }));
}

// --- Beats: each of the server's is answered at once, where the keys are read, with what is held: a page that hangs is silent.

const keys = new Keys({ bar: at("bar"), dialog: at("keys"), help: at("help"), toast, beat, mine: () => holds$.value !== false });

function beat() {
  if (document.hidden || !heard) return; // a hidden page is no living hand
  send(JSON.stringify({ beat: heard, held: keys.held(), axes: keys.axes(), at: Math.round(performance.now()) }));
}

// --- The connection.

let view = null;
const waiting = []; // frames of the scene that came before the view was there

function connect() {
  const address = new URL("/socket", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.search = new URLSearchParams({ activity, what, tab, person: person$.value });
  const mine = new WebSocket(address);
  socket = mine;
  silent = 0;
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { wait = AGAIN; for (const { frame } of open.values()) send(frame); };
  socket.onmessage = ({ data }) => {
    if (mine !== socket) return;
    silent = 0;
    (typeof data === "string" ? heardText : heardScene)(data);
  };
  socket.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    if (code !== 4004 && code !== 4000) { lost(); return; }
    socket = null;
    heard = 0;
    link$.set("refused");
    trouble("This page was refused", reason || "the server did not say why");
  };
}

function lost() {
  socket = null;
  heard = 0;
  link$.set("lost");
  setTimeout(connect, wait);
  wait = Math.min(SLOW, wait * 1.5);
}

// Looks are counted, not time: after a page itself hung, what came meanwhile is read before the next look.
setInterval(() => {
  if (!socket || ++silent < SILENT) return;
  const mine = socket;
  lost();
  mine.close();
}, LOOK);

function heardText(text) {
  const told = JSON.parse(text);
  if (told.beat !== undefined) { heard = told.beat; if (link$.value !== "connected") link$.set("connected"); beat(); }
  else if (told.state !== undefined) taken(told.state);
  else if (told.live !== undefined) live$.set(told.live);
  else if (told.done !== undefined) acknowledged(told);
  else if (told.gone !== undefined) heardGone(told.gone);
  else if (told.bye !== undefined) toast(told.bye, "note");
}

function taken(state) {
  holds$.set(state.holder === tab);
  trouble("This session cannot go on", state.fault);
  document.body.dataset.opened = true;
  if (!state.fault) state$.set(state);
}

function heardScene(buffer) { view ? view.frame(buffer) : waiting.push(buffer); }
function heardGone(name) { view ? view.remove(name) : waiting.push(name); }

/** Draw the activity's bodies in an element. */
function scene(element) {
  view = new View(element);
  element.counts = () => view.counts(); // for whoever measures
  for (const one of waiting.splice(0)) typeof one === "string" ? view.remove(one) : view.frame(one);
  return view;
}

const file = (name) => `/files/${activity}/${name.split("/").map(encodeURIComponent).join("/")}?${new URLSearchParams({ what })}`;

/** Instead of the page: what is in its way, for as long as it is. */
function trouble(title, text) {
  const shown = at("trouble");
  shown.hidden = !text;
  at("root").hidden = at("bar").hidden = Boolean(text);
  if (!text) return;
  at("toasts").replaceChildren();
  const again = element("button", { className: "primary", textContent: "Try again", onclick: () => location.reload() });
  const home = element("a", { href: "/", textContent: "All sessions" });
  shown.replaceChildren(element("h2", { textContent: title }), element("p", { textContent: text }), element("div", { className: "row-of" }, again, home));
}

// --- What every page shows at its top.

link$.subscribe((now) => {
  at("link").textContent = { connected: "connected", lost: "connection lost, trying again", refused: "refused" }[now] ?? now;
  at("link").dataset.now = now;
  document.body.dataset.link = now;
});
holds$.subscribe((mine) => {
  at("hold").hidden = mine;
  document.body.dataset.holds = mine;
});
at("hold").onclick = () => { send(JSON.stringify({ hold: true })); toast("You hold the controls now", "note"); };
at("person").value = person$.value;
at("person").onkeydown = ({ key, target }) => { if (key === "Enter") target.blur(); }; // keys are the activity's again
at("person").onchange = ({ target }) => {
  person$.set(target.value.trim());
  try { localStorage.setItem("person", person$.value); } catch { /* private windows keep nothing */ }
  send(JSON.stringify({ person: person$.value }));
};

const page = {
  // Errors of acts are shown here; whoever wants the answer awaits it.
  do: (name, args) => act(name, args).catch((error) => { toast(error.message); throw error; }),
  state$, live$, link$, holds$, person$, file, scene, toast,
  keys: (actions, places) => keys.set(actions, places),
  gamepad: (handler) => keys.gamepad(handler),
  title: (text) => { say(at("title"), text); if (document.title !== `${text} · robot-learn`) document.title = `${text} · robot-learn`; },
  phase: (text, tone = "") => { say(at("phase"), text); at("phase").className = `phase ${tone}`; },
  // From a key to what answers it, as the person felt it.
  timing: (name, ms) => send(JSON.stringify({ timing: name, ms: Math.round(10 * ms) / 10 })),
  what, tab,
};
addEventListener("unhandledrejection", (event) => event.reason?.told && event.preventDefault()); // it was shown as a message

const mounted = await import(`/page/${activity ? activity.replace(/[^a-z]/g, "") : "home"}.js`).catch(() => null);
if (mounted) mounted.mount(at("root"), page);
else trouble("There is no such session", `Nothing is called ${activity}.`);
if (activity && mounted) connect();
else document.body.dataset.opened = at("link").hidden = at("help").hidden = true;
