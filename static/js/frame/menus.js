// Menus are popovers; this places them beside their button and moves through them with arrows.
import { find, findAll, on } from "../dom.js";

/** Open the menu beside the button, inside the window. */
export function placeBeside(menu, button) {
  const at = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const below = at.bottom + 4 + size.height <= innerHeight;
  menu.style.margin = "0";
  menu.style.inset = "auto";
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - size.height - 4)}px`;
}

function items(menu) {
  return findAll("a, button", menu).filter((item) => !item.hidden);
}

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.matches(".menu[popover]") || event.newState !== "open") return;
  const button = menu.opener ?? document.querySelector(`[popovertarget="${menu.id}"]`);
  if (button) placeBeside(menu, button);
  (find("input[id]", menu) ?? items(menu)[0])?.focus();
}, true);

on("keydown", ".menu[popover]", (event, menu) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.target.matches("input")) return; // in a date, arrows count days
  event.preventDefault();
  const all = items(menu);
  all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
});

on("click", "[data-dialog-open]", (event, button) => document.getElementById(button.dataset.dialogOpen).showModal());
on("click", "[data-dialog-close]", (event, button) => button.closest("dialog").close());
