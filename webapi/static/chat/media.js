// Pictures, players and files.

import { make } from "./entities.js";

const MB = 1000 * 1000;
const UNKNOWN_SIDE = 320; // what Telegram says of a video that it has not looked into

export const fileAddress = (id) => `/chat/files/${encodeURIComponent(id)}`;

/** The media of a message; `onPicture` is called with the address of a picture that was clicked. */
export function mediaNode(media, onPicture) {
  switch (media.kind) {
    case "photo": return picture(media, onPicture);
    case "sticker": return sticker(media);
    case "video": case "animation": case "video_note": return video(media);
    case "audio": case "voice": return audio(media);
    default: return file(media);
  }
}

export function readableSize(bytes) {
  if (bytes >= 1000 * MB) return `${(bytes / (1000 * MB)).toFixed(1)} GB`;
  if (bytes >= MB) return `${(bytes / MB).toFixed(bytes >= 100 * MB ? 0 : 1)} MB`;
  return `${Math.max(1, Math.round(bytes / 1000))} KB`;
}

function readableDuration(seconds) {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return (h ? [h, String(m).padStart(2, "0")] : [m]).concat(String(s).padStart(2, "0")).join(":");
}

function sized(element, media) {
  const known = media.width && media.height && !(media.width === UNKNOWN_SIDE && media.height === UNKNOWN_SIDE);
  if (known) element.style.aspectRatio = `${media.width} / ${media.height}`;
  return element;
}

function image(address, alt) {
  const element = make("img");
  element.src = address;
  element.alt = alt;
  element.draggable = false;
  return element;
}

function picture(media, onPicture) {
  const button = sized(make("button", "medium photo"), media);
  button.type = "button";
  button.title = "Look at it in full size";
  const address = fileAddress(media.file_id);
  button.append(image(address, "Picture"));
  button.addEventListener("click", () => onPicture(address));
  return button;
}

function sticker(media) {
  const element = image(fileAddress(media.file_id), "Sticker");
  element.className = "medium sticker";
  return element;
}

function video(media) {
  const element = sized(make("video", "medium"), media);
  element.controls = true;
  element.playsInline = true;
  element.preload = "metadata";
  element.setAttribute("aria-label", media.name);
  if (media.kind === "animation") Object.assign(element, { autoplay: true, loop: true, muted: true });
  if (media.thumbnail) element.poster = fileAddress(media.thumbnail);
  element.src = fileAddress(media.file_id);
  return element;
}

function audio(media) {
  const box = make("div", "medium song");
  const cover = make("div", "song-cover");
  if (media.thumbnail) cover.append(image(fileAddress(media.thumbnail), ""));
  else cover.append(make("span", "", media.kind === "voice" ? "🎙" : "🎵"));
  const about = make("div", "song-about");
  about.append(make("strong", "", media.title || media.name));
  const facts = [media.performer, media.duration ? readableDuration(media.duration) : "", readableSize(media.size)].filter(Boolean);
  about.append(make("span", "", facts.join(" · ")));
  const player = make("audio");
  player.controls = true;
  player.preload = "metadata";
  player.setAttribute("aria-label", media.title || media.name);
  player.src = fileAddress(media.file_id);
  box.append(cover, about, player);
  return box;
}

function file(media) {
  const link = make("a", "medium file");
  link.href = fileAddress(media.file_id);
  link.download = media.name;
  const sign = make("span", "file-sign");
  if (media.thumbnail) sign.append(image(fileAddress(media.thumbnail), ""));
  else sign.append(make("span", "", (media.name.split(".").pop() ?? "").slice(0, 4)));
  const about = make("span", "file-about");
  about.append(make("strong", "", media.name), make("span", "", `${readableSize(media.size)} · Save`));
  link.append(sign, about);
  return link;
}
