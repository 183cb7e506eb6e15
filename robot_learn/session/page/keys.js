// Keys as labelled buttons: the same act by keyboard, mouse, touch and gamepad; and what is held down at this moment.

const POLL_MS = 16; // of a gamepad
const SLIP = 12; // px beside its button that a finger may be

/** One action: {id, key, label, does, also, hold, tone, group, repeat, first, always}. `key` as KeyboardEvent.key names it. */
export class Keys {
  constructor({ bar, dialog, help, toast, beat, mine }) {
    Object.assign(this, { bar, dialog, toast, beat, mine, actions: [], down: new Map(), pads: null, pressed: new Set() });
    addEventListener("keydown", (event) => this.#keydown(event));
    addEventListener("keyup", (event) => this.#release(event.code || event.key)); // with Shift a key's name changes
    // Here and not on the button, which may be drawn anew while it is held.
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => this.#release(`pointer ${event.pointerId}`));
    addEventListener("pointermove", (event) => this.#moved(event));
    // A page that is not looked at holds nothing.
    addEventListener("blur", () => this.#releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.#releaseAll());
    help.onclick = () => this.#help();
    dialog.onclick = () => dialog.close();
  }

  /** What can be done now; drawn where it differs. Groups named in `places` ({group: element}) stand there, not in the bar. */
  set(actions, places = {}) {
    this.actions = actions;
    const shape = JSON.stringify(actions.map(({ id, key, label, tone, group, off, on, hidden }) => [id, key, label, tone, group, off, on, hidden]));
    if (shape === this.shape) return;
    this.shape = shape;
    const focused = document.activeElement?.dataset?.act, pressed = [...this.down.values()];
    const boxes = this.#groups().map(([name, members]) => {
      const box = element("div", { className: `group ${name}` });
      box.append(...members.map((action) => this.#button(action)));
      return [name, box];
    });
    this.bar.replaceChildren(...boxes.filter(([name]) => !places[name]).map(([, box]) => box));
    for (const [name, place] of Object.entries(places)) place.replaceChildren(...boxes.filter(([other]) => other === name).map(([, box]) => box));
    if (focused) this.#find(focused)?.focus();
    for (const id of pressed) this.#find(id)?.classList.add("held");
  }

  #find(id) { return document.querySelector(`[data-act="${CSS.escape(id)}"]`); }

  /** Called with a gamepad's buttons that were just pressed and its axes, 60 times a second while there is one. */
  gamepad(handler) {
    this.pads = handler;
    addEventListener("gamepadconnected", () => { clearTimeout(this.polling); this.#poll(); });
    this.#poll();
  }

  /** Names of actions; of a gamepad's buttons "pad 4". */
  held() { return [...new Set([...this.down.values(), ...this.#padHeld()])].slice(0, 16); }

  axes() {
    const pad = this.pads && first();
    return pad ? pad.axes.slice(0, 8).map((axis) => Math.max(-1, Math.min(1, Math.round(axis * 1000) / 1000))) : [];
  }

  #padHeld() {
    const pad = this.pads && !document.hidden && first();
    return pad ? pad.buttons.flatMap((button, number) => (button.pressed ? [`pad ${number}`] : [])) : [];
  }

  #groups() {
    const found = new Map();
    for (const action of this.actions) {
      if (action.hidden) continue;
      const name = action.group ?? "";
      found.set(name, [...(found.get(name) ?? []), action]);
    }
    return [...found];
  }

  #button(action) {
    const button = element("button", { className: `act ${action.tone ?? ""}`, disabled: Boolean(action.off) });
    button.dataset.act = action.id;
    button.dataset.key = action.key;
    button.setAttribute("aria-label", `${action.label}, key ${shown(action.key)}`);
    if (action.on !== undefined) button.setAttribute("aria-pressed", String(action.on));
    button.append(element("kbd", { textContent: shown(action.key) }), element("span", { textContent: action.label }));
    if (action.hold) {
      const press = (event) => { event.preventDefault(); button.setPointerCapture(event.pointerId); this.#hold(`pointer ${event.pointerId}`, action); };
      button.onpointerdown = press;
      if ([...this.down.values()].includes(action.id)) button.classList.add("held");
      button.oncontextmenu = (event) => event.preventDefault();
    } else {
      button.onclick = () => this.#run(action.id);
    }
    return button;
  }

  /** By id, since the actions may have been replaced meanwhile. */
  #run(id) {
    const action = this.actions.find((one) => one.id === id);
    if (action && !action.off) action.does?.();
  }

  #keydown(event) {
    const typing = event.target.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
    if (typing && event.key !== "Escape") return;
    const always = this.actions.find((one) => one.always && same(one.key, event.key)); // whatever else goes on
    if (always) { this.dialog.close(); event.target.blur?.(); event.preventDefault(); this.#light(always); this.#run(always.id); return; }
    if (typing) { event.target.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") { this.#help(); return; }
    if (this.dialog.open) { if (event.key !== "Escape") this.dialog.close(); return; }
    const action = this.actions.find(({ key, also }) => same(key, event.key) || also?.some((other) => same(other, event.key)));
    if (!action) return;
    // A focused button is pressed by Enter and Space of its own accord.
    if (event.target.matches?.("button, a, summary") && ["Enter", " "].includes(event.key) && !action.first) return;
    event.preventDefault();
    if (action.hold) this.#hold(event.code || event.key, action);
    else if (!event.repeat || action.repeat) { this.#light(action); this.#run(action.id); }
  }

  #hold(by, action) {
    if (this.down.has(by) || action.off) return;
    if (!this.mine()) { this.toast("Another page holds the controls: take them first, at the top", "note"); return; }
    this.down.set(by, action.id);
    this.#find(action.id)?.classList.add("held");
    this.beat();
    action.does?.(true);
  }

  #release(by) {
    const id = this.down.get(by);
    if (id === undefined) return;
    this.down.delete(by);
    this.#find(id)?.classList.remove("held");
    this.beat();
    this.actions.find((one) => one.id === id)?.released?.();
  }

  /** A finger or pointer that slips off its button lets go: whoever looks at the robot does not see it. */
  #moved({ pointerId, clientX, clientY }) {
    const box = this.down.has(`pointer ${pointerId}`) && this.#find(this.down.get(`pointer ${pointerId}`))?.getBoundingClientRect();
    if (!box) return;
    const aside = Math.max(box.left - clientX, clientX - box.right, box.top - clientY, clientY - box.bottom);
    if (aside > SLIP) this.#release(`pointer ${pointerId}`);
  }

  #releaseAll() { for (const by of [...this.down.keys()]) this.#release(by); }

  #light(action) {
    const button = this.#find(action.id);
    button?.classList.add("lit");
    setTimeout(() => button?.classList.remove("lit"), 140);
  }

  #help() {
    if (this.dialog.open) { this.dialog.close(); return; }
    const rows = this.actions.map((action) => {
      const row = element("div", { className: "row" });
      row.append(element("kbd", { textContent: [action.key, ...(action.also ?? [])].map(shown).join(" ") }), element("span", { textContent: action.hint ?? action.label }));
      return row;
    });
    const escape = this.actions.find((one) => one.always && one.key === "Escape");
    const closing = escape ? `? closes this. Escape does, too, and is ${escape.label} all the same.` : "? or Escape closes this";
    this.dialog.replaceChildren(element("h2", { textContent: "Keys" }), ...rows, element("p", { className: "dim", textContent: closing }));
    this.dialog.showModal();
  }

  #poll() { // by a timer: what asks for the next picture has a picture drawn, and there may be nothing new on it
    const pad = first();
    if (!pad) return;
    if (!document.hidden) {
      const now = new Set(pad.buttons.flatMap((button, number) => (button.pressed ? [number] : [])));
      const fresh = [...now].filter((number) => !this.pressed.has(number));
      this.pressed = now;
      this.pads({ buttons: fresh, held: [...now], axes: [...pad.axes] });
    }
    this.polling = setTimeout(() => this.#poll(), POLL_MS);
  }
}

const first = () => [...(navigator.getGamepads?.() ?? [])].find((pad) => pad?.connected);
const same = (key, pressed) => key === pressed || (key.length === 1 && key.toLowerCase() === pressed.toLowerCase());
const NAMES = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", " ": "Space", Escape: "Esc", Enter: "Enter" };
export const shown = (key) => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);

/** An element with properties. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
