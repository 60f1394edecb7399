// The field where messages are written, the samples, and what is being replied to.

import { make } from "./entities.js";

const TALLEST = 160;

export class Composer {
  /** `send(text, replyTo)` resolves to whether it went. */
  constructor({ send, forward }) {
    this.send = send;
    this.text = document.getElementById("text");
    this.bar = document.getElementById("replying");
    this.samples = document.getElementById("samples");
    this.forwardButton = document.getElementById("forward");
    this.replyTo = null;
    this.text.addEventListener("keydown", (event) => this.#key(event));
    this.text.addEventListener("input", () => this.#grow());
    document.getElementById("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    document.getElementById("replying-stop").addEventListener("click", () => this.reply(null));
    this.forwardButton.addEventListener("click", async () => {
      this.forwardButton.disabled = true;
      await forward();
      this.forwardButton.disabled = false;
    });
  }

  offer(samples) {
    const chips = samples.map((sample) => {
      const chip = make("button", "chip", sample.label);
      chip.type = "button";
      chip.title = sample.text;
      chip.addEventListener("click", () => this.send(sample.text, null));
      return chip;
    });
    this.samples.replaceChildren(this.forwardButton, ...chips);
  }

  /** Reply to this message, or with null to none. */
  reply(message) {
    this.replyTo = message?.id ?? null;
    this.bar.hidden = message === null;
    if (message) {
      document.getElementById("replying-name").textContent = message.mine ? "You" : "Magpie";
      document.getElementById("replying-snippet").textContent = message.text || message.media?.name || "";
    }
    this.text.focus();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    }
    if (event.key === "Escape" && this.replyTo !== null) this.reply(null);
  }

  async #submit() {
    const text = this.text.value.trim();
    if (!text) return;
    this.text.value = "";
    const replyTo = this.replyTo;
    this.reply(null);
    this.#grow();
    if (await this.send(text, replyTo)) return;
    if (!this.text.value) this.text.value = text; // nothing that somebody wrote is lost
    this.#grow();
  }

  #grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(TALLEST, this.text.scrollHeight)}px`;
  }
}
