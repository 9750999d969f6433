// Notices at the edge: what was done, and how to undo it.
import { find, findAll, icon, on, post, say } from "../dom.js";

const STAY = 6000;

export function toast(text, { undo, danger = false, warn = false } = {}) {
  const place = find("[data-toasts]");
  if (!place) return;
  const element = document.createElement("div");
  element.className = danger ? "toast toast--danger" : warn ? "toast toast--warn" : "toast";
  element.setAttribute("role", danger ? "alert" : "status");
  element.dataset.toast = "";
  const words = document.createElement("span");
  words.className = "grow";
  words.append(Object.assign(document.createElement("b"), { textContent: text }));
  element.append(icon(danger ? "error" : warn ? "alert" : "done"), words);
  if (undo) element.append(undoButton(undo, element));
  place.append(element);
  leaveLater(element);
}

export function showServerToasts() {
  for (const element of findAll("[data-toasts] > [data-toast]:not([data-leaving])")) leaveLater(element);
}

function undoButton({ url, values }, element) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: say("undo") });
  button.className = "btn btn--quiet btn--small";
  button.addEventListener("click", async () => {
    element.remove();
    await post(url, values);
    document.dispatchEvent(new CustomEvent("conversations:changed"));
  });
  return button;
}

function leaveLater(element) {
  element.dataset.leaving = "";
  let timer = setTimeout(() => element.remove(), STAY);
  // Who is reading or about to press Undo is not hurried.
  element.addEventListener("mouseenter", () => clearTimeout(timer));
  element.addEventListener("focusin", () => clearTimeout(timer));
  element.addEventListener("mouseleave", () => { timer = setTimeout(() => element.remove(), STAY); });
}

// Another page in this one's place (a first message, a boosted link) has a region of its own: what was just said moves there.
let said = [];
document.addEventListener("htmx:beforeSwap", () => { said = findAll("[data-toasts] > [data-toast]"); });
document.addEventListener("htmx:afterSwap", () => find("[data-toasts]")?.prepend(...said.filter((element) => !element.isConnected)));

document.addEventListener("toast", (event) => toast(event.detail.text, { undo: event.detail.undo }));
on("keydown", "[data-toast]", (event, element) => { if (event.key === "Escape") element.remove(); });
