// A screen on a wall: only the charts, over the whole screen, which does not fall asleep.
import { find, on } from "../dom.js";

const QUIET = 3000; // ms without a movement before the pointer and the button are hidden

export function hang() {
  on("click", "[data-wall]", (event, link) => {
    event.preventDefault();
    history.replaceState(null, "", link.href);
    open();
  });
  on("click", "[data-wall-leave]", (event) => {
    event.preventDefault();
    close();
  });
  document.addEventListener("fullscreenchange", () => document.fullscreenElement || close());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("app--wall") && !find("dialog:modal, :popover-open")) close();
  });
  if (document.body.classList.contains("app--wall")) settle();
}

function open() {
  document.body.classList.add("app--wall");
  document.documentElement.requestFullscreen?.().catch(() => {}); // refused: the page alone is a wall, too
  settle();
}

function close() {
  if (!document.body.classList.contains("app--wall")) return;
  document.body.classList.remove("app--wall", "app--still");
  if (document.fullscreenElement) document.exitFullscreen();
  const url = new URL(location.href);
  url.searchParams.delete("wall");
  history.replaceState(null, "", url);
  find("[data-wall]")?.focus();
}

function settle() {
  navigator.wakeLock?.request("screen").catch(() => {});
  let timer = null;
  const stir = () => {
    document.body.classList.remove("app--still");
    clearTimeout(timer);
    if (document.body.classList.contains("app--wall")) timer = setTimeout(() => document.body.classList.add("app--still"), QUIET);
  };
  for (const type of ["pointermove", "keydown", "pointerdown"]) addEventListener(type, stir);
  stir();
}
