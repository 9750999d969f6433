// The part of a query picture that counts: drawn with a pointer, or typed as four edges in per cent.
import { find, findAll, on } from "../dom.js";
import { refresh } from "./part.js";

const EDGES = ["left", "top", "right", "bottom"];
let part = null;

on("click", "[data-crop-open]", (event, button) => {
  part = button.closest("[data-part]");
  const dialog = find("[data-crop-dialog]");
  find("img", dialog).src = find("img", part).src;
  const said = find("[data-written]", part).value.match(/@([\d.,]+):/)?.[1].split(",") ?? [0, 0, 1, 1];
  show(said.map(Number));
  dialog.showModal();
});

on("pointerdown", "[data-crop]", (event, area) => {
  event.preventDefault();
  area.setPointerCapture(event.pointerId);
  const from = place(event, area);
  const move = (moved) => {
    const to = place(moved, area);
    show([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]);
  };
  area.addEventListener("pointermove", move);
  area.addEventListener("pointerup", () => area.removeEventListener("pointermove", move), { once: true });
});

on("input", "[data-edge]", () => draw(edges()));
on("click", "[data-crop-whole]", () => use([0, 0, 1, 1]));
on("click", "[data-crop-do]", () => use(edges()));

function place(event, area) {
  const box = area.getBoundingClientRect();
  const share = (value, low, size) => Math.min(1, Math.max(0, (value - low) / size));
  return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
}

function edges() {
  return EDGES.map((edge) => Number(find(`[data-edge=${edge}]`).value) / 100);
}

function show(crop) {
  EDGES.forEach((edge, n) => { find(`[data-edge=${edge}]`).value = Math.round(100 * crop[n]); });
  draw(crop);
}

function draw([left, top, right, bottom]) {
  const rect = find("[data-crop] rect");
  const values = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
  for (const [name, value] of Object.entries(values)) rect.setAttribute(name, `${100 * value}%`);
}

function use([left, top, right, bottom]) {
  const isWhole = left <= 0 && top <= 0 && right >= 1 && bottom >= 1;
  if (!(left < right && top < bottom)) return;
  part.dataset.crop = isWhole ? "" : `@${[left, top, right, bottom].map((one) => Math.min(1, one).toFixed(2)).join(",")}`;
  refresh(part);
  find("[data-crop-dialog]").close();
  for (const form of findAll("#query")) form.requestSubmit();
}
