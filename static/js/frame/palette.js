// Ctrl or Cmd K: jump to something of one's own, a page or an action.
import { find, findAll, on } from "../dom.js";
import { showShortcuts } from "./shortcuts.js";
import { nextTheme } from "./theme.js";

const ACTIONS = { theme: nextTheme, shortcuts: showShortcuts };
let asked = 0;

function parts() {
  const palette = find("[data-palette]");
  return { palette, field: find("input", palette), found: find("[data-palette-found]", palette) };
}

export function openPalette() {
  const { palette, field } = parts();
  if (palette.open) return;
  palette.showModal();
  field.value = "";
  field.focus();
  refresh();
}

function shown(palette) {
  return findAll("[role=option]", palette).filter((option) => !option.hidden && !option.closest("[hidden]"));
}

function select(palette, option) {
  findAll("[role=option]", palette).forEach((each) => each.setAttribute("aria-selected", String(each === option)));
  find("input", palette).setAttribute("aria-activedescendant", option?.id ?? "");
  option?.scrollIntoView({ block: "nearest" });
}

function filter(palette, words) {
  for (const group of findAll("[role=group]", palette)) {
    const options = findAll("[role=option]", group);
    for (const option of options) option.hidden = !option.textContent.toLowerCase().includes(words);
    group.hidden = options.every((option) => option.hidden);
  }
}

async function refresh() {
  const { palette, field, found } = parts();
  const mine = ++asked;
  const words = field.value.trim();
  filter(palette, words.toLowerCase());
  select(palette, shown(palette)[0]);
  const response = await fetch(`${palette.dataset.url}?q=${encodeURIComponent(words)}`, { headers: { "HX-Request": "true" } });
  if (mine !== asked || !response.ok) return;
  found.innerHTML = await response.text();
  const chosen = find("[aria-selected=true]", palette);
  select(palette, chosen && !chosen.closest("[hidden]") ? chosen : shown(palette)[0]);
}

function follow(palette, option) {
  const action = ACTIONS[option.dataset.do];
  palette.close();
  if (action) action();
  else location.assign(option.href);
}

function move(palette, step) {
  const all = shown(palette);
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (all.length) select(palette, all[(at + step + all.length) % all.length]);
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k" && find("[data-palette]")) {
    event.preventDefault();
    openPalette();
  }
});

on("keydown", "[data-palette]", (event, palette) => {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    move(palette, step);
  } else if (event.key === "Enter") {
    event.preventDefault();
    const option = find("[aria-selected=true]", palette);
    if (option) follow(palette, option);
  }
});

on("click", "[data-palette] [role=option]", (event, option) => {
  if (event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  follow(option.closest("dialog"), option);
});
on("click", "[data-palette]", (event, palette) => { if (event.target === palette) palette.close(); });
on("input", "[data-palette] input", () => refresh());
on("click", "[data-palette-open]", openPalette);
