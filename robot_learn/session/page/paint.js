// Touch only what differs: what is touched is laid out and painted anew, even with the same text, and without a GPU that
// takes the processor from the robot and keeps keys waiting.

/** Text in an element. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Rows [name, value, title] in a list of definitions; those without a value are left out. */
export function facts(list, rows) {
  const told = rows.filter(([, value]) => value !== "" && value !== undefined && value !== null);
  while (list.children.length > 2 * told.length) list.lastChild.remove();
  for (const [i, [name, value, title = ""]] of told.entries()) {
    for (const [at, tag, text] of [[2 * i, "dt", name], [2 * i + 1, "dd", String(value)]]) {
      const node = list.children[at] ?? list.appendChild(document.createElement(tag));
      say(node, text);
      if (node.title !== title) node.title = title;
    }
  }
  return list;
}

/** Calls `does` with the newest of what it is given, at once and then every so many ms at most: nobody reads faster. */
export function seldom(ms, does) {
  let newest, timer = 0, again = false;
  const run = () => { again = false; timer = setTimeout(() => { timer = 0; if (again) run(); }, ms); does(newest); };
  return (value) => { newest = value; again = true; if (!timer) run(); };
}
