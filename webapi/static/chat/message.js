// One message, or one album, as an element that is changed in place: what has not changed is not touched, so that a player goes on playing.

import { formatted, make, safeAddress } from "./entities.js";
import { mediaNode } from "./media.js";

const REPLY = `<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d="M10 6 4 12l6 6M4 12h9c4 0 7 2 7 6" fill="none"
  stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** An element for a message or album. `acts` has what clicks do: press, reply, command, picture, jump. */
export class MessageView {
  constructor(acts) {
    this.acts = acts;
    this.element = make("article", "message");
    this.slots = {};
    const bubble = make("div", "bubble");
    for (const name of ["forwarded", "quote", "media", "text", "reactions", "meta"]) bubble.append(this.#slot(name));
    this.reply = make("button", "reply round small");
    this.reply.type = "button";
    this.reply.title = "Reply";
    this.reply.innerHTML = `${REPLY}<span class="hidden">Reply</span>`; // our own text, nobody else's
    this.reply.addEventListener("click", () => acts.reply(this.first));
    const row = make("div", "row");
    row.append(bubble, this.reply);
    this.element.append(row, this.#slot("keyboard"));
  }

  #slot(name) {
    this.slots[name] = { element: make("div", name), key: null };
    this.slots[name].element.hidden = true;
    return this.slots[name].element;
  }

  /** Show these messages: one, or all of an album, in order. */
  show(messages) {
    this.first = messages[0];
    const last = messages.at(-1);
    this.element.id = `message-${this.first.id}`;
    this.element.classList.toggle("mine", this.first.mine);
    this.element.classList.toggle("with-media", messages.some((message) => message.media));
    this.element.setAttribute("aria-label", this.first.mine ? "You" : "Magpie");
    this.#fill("forwarded", this.first.forwarded_from, (name) => [`Forwarded from `, make("b", "", name)]);
    this.#fill("quote", this.first.reply_to, (reply) => [this.#quote(reply)]);
    this.#showMedia(messages.filter((message) => message.media));
    const texts = messages.filter((message) => message.text);
    this.#fill("text", texts.length ? texts.map((one) => [one.text, one.entities]) : null, () =>
      texts.map((one) => {
        const paragraph = make("p");
        paragraph.dir = "auto";
        paragraph.append(formatted(one.text, one.entities, this.acts.command));
        return paragraph;
      }));
    const reactions = messages.flatMap((message) => message.reactions);
    this.#fill("reactions", reactions.length ? reactions : null, (all) => all.map(reaction));
    this.#fill("meta", [last.date, last.edited], ([date, edited]) => [meta(date, edited)]);
    this.#fill("keyboard", last.buttons.length ? [last.id, last.buttons] : null, () => last.buttons.map((row) => this.#row(last, row)));
  }

  #fill(name, value, nodes) {
    const slot = this.slots[name];
    const key = value === null || value === undefined ? null : JSON.stringify(value);
    if (key === slot.key) return;
    slot.key = key;
    slot.element.hidden = key === null;
    const focused = slot.element.contains(document.activeElement) ? document.activeElement.textContent : null;
    slot.element.replaceChildren(...(key === null ? [] : nodes(value)));
    if (focused === null) return;
    const again = [...slot.element.querySelectorAll("button, a")].find((one) => one.textContent === focused);
    (again ?? document.getElementById("text")).focus({ preventScroll: true });
  }

  /** Keeps the node of every medium that is still the same. */
  #showMedia(messages) {
    const slot = this.slots.media;
    const known = new Map([...slot.element.children].map((node) => [node.dataset.key, node]));
    slot.element.hidden = messages.length === 0;
    slot.element.classList.toggle("album", messages.length > 1);
    slot.element.dataset.count = String(messages.length);
    const wanted = messages.map((message) => {
      const key = `${message.id} ${JSON.stringify(message.media)}`;
      const node = known.get(key) ?? mediaNode(message.media, this.acts.picture);
      node.dataset.key = key;
      return node;
    });
    for (const node of known.values()) if (!wanted.includes(node)) node.remove();
    wanted.forEach((node, place) => {
      if (slot.element.children[place] !== node) slot.element.insertBefore(node, slot.element.children[place] ?? null);
    });
  }

  #quote(reply) {
    const button = make("button", "quoted");
    button.type = "button";
    button.append(make("b", "", reply.name), make("span", "", reply.text));
    button.addEventListener("click", () => this.acts.jump(reply.id));
    return button;
  }

  #row(message, buttons) {
    const row = make("div", "keys");
    row.append(...buttons.map((button) => this.#key(message, button)));
    return row;
  }

  #key(message, button) {
    const address = button.url ? safeAddress(button.url) : null;
    if (address !== null) {
      const link = make("a", "key key-link", button.text);
      link.href = address;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      return link;
    }
    const key = make("button", "key", button.text);
    key.type = "button";
    if (button.data) key.addEventListener("click", () => this.acts.press(message.id, button.data, key));
    else key.disabled = true;
    return key;
  }
}

function reaction(emoji) {
  const element = make("span", "reaction", emoji);
  element.title = "Magpie's reaction";
  return element;
}

function meta(date, edited) {
  const time = make("time", "", `${edited ? "edited " : ""}${clock.format(new Date(date))}`);
  time.dateTime = date;
  return time;
}
