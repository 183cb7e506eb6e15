// The home page: all that can be taught here, one click away.

import { element } from "/page/keys.js";

const ABOUT = {
  correct: ["Correct", "Watch a robot and push it where it goes wrong. It learns what is unsafe."],
  compare: ["Compare", "See two videos and pick the better one. A reward is learned from what you prefer."],
  comment: ["Comment", "Say in a sentence what is wrong with a trained robot. Its reward is edited and tried."],
  drive: ["Drive", "An arm, real or simulated, with a policy at its wheel, or with you."],
};

export async function mount(root, page) {
  page.title("What shall be taught?");
  root.className = "home";
  const found = await (await fetch("/home")).json();
  root.replaceChildren(...found.map(card));
}

function card({ activity, offers, missing }) {
  const [title, text] = ABOUT[activity] ?? [activity, ""];
  const links = offers.map(({ what, title: name, text: about }) => {
    const link = element("a", { className: "offer", href: `/?${new URLSearchParams({ activity, what })}` });
    link.append(element("strong", { textContent: name }), element("span", { className: "dim", textContent: about }));
    return link;
  });
  const none = element("p", { className: "dim", textContent: missing ?? "Nothing here yet." });
  return element("section", { className: "card" }, element("h2", { textContent: title }), element("p", { textContent: text }), ...(links.length ? links : [none]));
}
