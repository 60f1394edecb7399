// The local chat: listens to the conversation and says what was typed or pressed.

import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { alertText, showPicture, toast } from "./toasts.js";

const ACTION_LASTS = 5500;
const PRESS_LASTS = 15000;
const AGAIN_AFTER = 1000;
const ACTIONS = {
  typing: "writing", upload_photo: "sending a picture", upload_video: "sending a video", upload_voice: "sending audio",
  upload_audio: "sending audio", upload_document: "sending a file", record_video: "making a video", record_voice: "making audio",
};
const status = document.getElementById("status");
const welcome = document.getElementById("welcome");
const pressed = new Map();
let doing = 0;

// --- saying ------------------------------------------------------------------------------------------------------------

/** Resolves to whether it was accepted; if not, somebody has been told why. */
async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (answer.ok) return true;
    const problem = await answer.json().catch(() => ({}));
    toast(typeof problem.detail === "string" ? problem.detail : problem.detail?.[0]?.msg ?? "Magpie did not take that.");
  } catch {
    toast("Magpie does not answer. Is it running?");
  }
  return false;
}

const say = (text, replyTo) => post("/chat/messages", replyTo === null ? { text } : { text, reply_to: replyTo });

async function press(messageId, data, key) {
  key.classList.add("busy");
  key.setAttribute("aria-busy", "true");
  const timer = setTimeout(() => settle(messageId), PRESS_LASTS);
  settle(messageId);
  pressed.set(messageId, { key, timer });
  if (!(await post("/chat/buttons", { message_id: messageId, data }))) settle(messageId);
}

function settle(messageId) {
  const press = pressed.get(messageId);
  if (!press) return;
  clearTimeout(press.timer);
  press.key.classList.remove("busy");
  press.key.removeAttribute("aria-busy");
  pressed.delete(messageId);
}

const composer = new Composer({ send: say, forward: () => post("/chat/posts", { post: "sample" }) });
const log = new Log({
  log: document.getElementById("log"),
  scroller: document.getElementById("scroller"),
  down: document.getElementById("down"),
  acts: {
    press,
    reply: (message) => composer.reply(message),
    command: (text) => say(text, null),
    picture: showPicture,
    jump: (id) => log.jump(id),
  },
});

// --- hearing -----------------------------------------------------------------------------------------------------------

function idle() {
  clearTimeout(doing);
  status.textContent = "on this machine";
  status.classList.remove("acts");
}

function acts(action) {
  clearTimeout(doing);
  status.textContent = `${ACTIONS[action] ?? "busy"} …`;
  status.classList.add("acts");
  doing = setTimeout(idle, ACTION_LASTS);
}

const hear = {
  state({ messages, samples }) {
    composer.offer(samples);
    log.replace(messages);
    idle();
    document.body.classList.add("connected");
  },
  message({ message }) {
    log.put(message);
    if (!message.mine) idle();
  },
  deleted: ({ message_id: id }) => log.remove(id),
  action: ({ action }) => acts(action),
  answer({ message_id: id, text, alert, url }) {
    settle(id);
    if (text && alert) alertText(text);
    else if (text) toast(text);
    if (url && /^https?:/.test(url)) window.open(url, "_blank", "noopener");
  },
};

/** Comes back by itself when the connection breaks, also when the service was away for a while. */
function listen() {
  const events = new EventSource("/chat/events");
  for (const [name, take] of Object.entries(hear)) {
    events.addEventListener(name, (event) => {
      take(JSON.parse(event.data));
      welcome.hidden = !log.isEmpty;
    });
  }
  events.addEventListener("error", () => {
    clearTimeout(doing);
    status.classList.remove("acts");
    status.textContent = "connecting …";
    document.body.classList.remove("connected");
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, AGAIN_AFTER);
  });
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

// --- the page ----------------------------------------------------------------------------------------------------------

document.getElementById("start").addEventListener("click", () => say("/start", null));
const about = document.getElementById("about");
const toggle = document.getElementById("about-toggle");
toggle.addEventListener("click", () => {
  const open = about.classList.toggle("open");
  toggle.setAttribute("aria-expanded", String(open));
});
window.addEventListener("pageshow", (event) => event.persisted && listen());
listen();
if (matchMedia("(pointer: fine)").matches) document.getElementById("text").focus();
