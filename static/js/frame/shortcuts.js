// Keys that work on every page, and the list of them.
import { find, on } from "../dom.js";

export function showShortcuts() {
  find("[data-shortcuts]")?.showModal();
}

export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

document.addEventListener("keydown", (event) => {
  const mod = event.ctrlKey || event.metaKey;
  if (mod && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    const link = find("[data-new-chat]");
    if (link) link.click();
    else location.assign("/chat/");
  } else if (event.key === "?" && !mod && !isTyping(event.target)) {
    event.preventDefault();
    showShortcuts();
  }
});

on("click", "[data-shortcuts-open]", showShortcuts);
