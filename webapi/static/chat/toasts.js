// Short notices that go by themselves, and alerts that want to be read.

import { make } from "./entities.js";

const SHOWN_FOR = 3500;

export function toast(text) {
  const element = make("p", "toast", text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), Math.max(SHOWN_FOR, text.length * 60));
}

export function alertText(text) {
  const dialog = document.getElementById("alert");
  document.getElementById("alert-text").textContent = text;
  if (!dialog.open) dialog.showModal();
}

export function showPicture(address) {
  const dialog = document.getElementById("picture");
  document.getElementById("picture-image").src = address;
  if (!dialog.open) dialog.showModal();
}
