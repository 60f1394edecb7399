// A text with entities as DOM nodes. Text only ever becomes text nodes: nothing in it is read as HTML.

const PLAIN = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", blockquote: "blockquote", expandable_blockquote: "blockquote",
};

/** `onCommand` is called with a bot command that was clicked. Places of entities are in UTF-16 units, as are JavaScript's. */
export function formatted(text, entities, onCommand) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const out = document.createDocumentFragment();
  append(out, text, 0, text.length, sorted, onCommand);
  return out;
}

function append(parent, text, start, end, entities, onCommand) {
  let at = start;
  for (let i = 0; i < entities.length; i += 1) {
    const from = Math.max(entities[i].offset, at);
    const to = Math.min(entities[i].offset + entities[i].length, end);
    if (from >= to) continue;
    parent.append(text.slice(at, from));
    const inside = entities.slice(i + 1).filter((other) => other.offset < to);
    const piece = text.slice(from, to);
    const element = elementFor(entities[i], piece, onCommand);
    append(element.matches("pre[data-language]") ? element.firstChild : element, text, from, to, inside, onCommand);
    parent.append(element);
    at = to;
  }
  parent.append(text.slice(at, end));
}

function elementFor(entity, piece, onCommand) {
  switch (entity.type) {
    case "url": return link(/^[a-z][a-z0-9+.-]*:/i.test(piece) ? piece : `http://${piece}`);
    case "text_link": return link(entity.url ?? "");
    case "email": return link(`mailto:${piece}`);
    case "pre": return block(entity.language);
    case "bot_command": return command(piece, onCommand);
    case "spoiler": return spoiler();
    default: return make(PLAIN[entity.type] ?? "span", PLAIN[entity.type] ? "" : "word");
  }
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** The address, if it is one that a page may open; else null. */
export function safeAddress(address) {
  try {
    return ["http:", "https:", "mailto:", "tg:"].includes(new URL(address).protocol) ? address : null;
  } catch {
    return null;
  }
}

function link(address) {
  const safe = safeAddress(address);
  if (safe === null) return make("span");
  const element = make("a");
  element.href = safe;
  element.target = "_blank";
  element.rel = "noopener noreferrer";
  return element;
}

function block(language) {
  const element = make("pre");
  if (!language) return element;
  element.dataset.language = language;
  element.append(make("code"));
  return element;
}

function command(piece, onCommand) {
  const element = make("button", "command");
  element.type = "button";
  element.addEventListener("click", () => onCommand(piece));
  return element;
}

function spoiler() {
  const element = make("span", "spoiler");
  element.tabIndex = 0;
  element.setAttribute("role", "button");
  element.setAttribute("aria-label", "Hidden text");
  const show = () => {
    element.classList.add("shown");
    for (const name of ["role", "aria-label", "tabindex"]) element.removeAttribute(name);
  };
  element.addEventListener("click", show);
  element.addEventListener("keydown", (event) => event.key === "Enter" && show());
  return element;
}
