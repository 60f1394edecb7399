// All messages, in order, with a line between days; stays at the bottom while somebody reads there.

import { make } from "./entities.js";
import { MessageView } from "./message.js";

const NEAR = 80;
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Log {
  constructor({ log, scroller, down, acts }) {
    this.log = log;
    this.scroller = scroller;
    this.down = down;
    this.acts = acts;
    this.messages = new Map();
    this.views = new Map();
    this.sticks = true;
    this.top = 0;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    down.addEventListener("click", () => this.toBottom("smooth"));
    new ResizeObserver(() => this.sticks && this.toBottom()).observe(log);
    new ResizeObserver(() => this.sticks && this.toBottom()).observe(scroller);
  }

  get isEmpty() {
    return this.messages.size === 0;
  }

  /** Everything anew: what is there already stays as it is. */
  replace(messages) {
    this.messages = new Map(messages.map((message) => [message.id, message]));
    this.#draw();
  }

  put(message) {
    const isNew = !this.messages.has(message.id);
    this.messages.set(message.id, message);
    if (isNew && message.mine) this.sticks = true;
    this.#draw();
    if (isNew && !this.sticks) this.down.classList.add("news");
  }

  remove(id) {
    this.messages.delete(id);
    this.#draw();
  }

  toBottom(behavior = "instant") {
    this.sticks = true;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior });
  }

  /** Bring a message into view, and show which it is. */
  jump(id) {
    const view = [...this.views.values()].find((one) => one.ids.has(id));
    if (!view) return;
    view.element.scrollIntoView({ block: "center", behavior: "smooth" });
    view.element.classList.add("found");
    setTimeout(() => view.element.classList.remove("found"), 1500);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const isNear = scrollHeight - scrollTop - clientHeight < NEAR;
    // Only who scrolls up leaves the bottom: when something grows below, nobody has moved.
    if (isNear || scrollTop < this.top) this.sticks = isNear;
    this.top = scrollTop;
    this.down.hidden = this.sticks;
    if (this.sticks) this.down.classList.remove("news");
  }

  #draw() {
    const groups = grouped([...this.messages.values()].sort((a, b) => a.id - b.id));
    const wanted = [];
    const kept = new Map();
    let today = "";
    for (const [key, messages] of groups) {
      const view = this.views.get(key) ?? new MessageView(this.acts);
      const signature = JSON.stringify(messages);
      if (view.signature !== signature) view.show(messages);
      view.signature = signature;
      view.ids = new Set(messages.map((message) => message.id));
      kept.set(key, view);
      const itsDay = day.format(new Date(messages[0].date));
      if (itsDay !== today) {
        const known = this.log.querySelector(`.day[data-day="${CSS.escape(itsDay)}"]`);
        wanted.push(known ?? dayLine(itsDay));
        today = itsDay;
      }
      wanted.push(view.element);
    }
    this.views = kept;
    arrange(this.log, wanted);
    if (this.sticks) this.toBottom();
  }
}

/** Messages by album, or each for itself. */
function grouped(messages) {
  const groups = new Map();
  for (const message of messages) {
    const key = message.album ? `album ${message.album}` : `message ${message.id}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(message);
  }
  return groups;
}

function dayLine(text) {
  const line = make("div", "day");
  line.dataset.day = text;
  line.append(make("span", "", text));
  return line;
}

/** Make these the children, moving none that is in its place: what is moved loses the focus. */
function arrange(parent, wanted) {
  const stays = new Set(wanted);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
}
