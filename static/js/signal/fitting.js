// Detectors that are being fitted: how far they are, each second; what has changed is drawn by the server.
import { find, findAll } from "../dom.js";
import { ask } from "./readings.js";
import { Line } from "./line.js";

const EVERY = 1000;
const live = find("[data-live][data-socket]");

async function look() {
  let isOver = false;
  for (const bar of findAll("[data-fit]", live)) {
    const fit = await ask(bar.dataset.fit).catch(() => null);
    if (!fit) continue;
    if (fit.fraction) bar.value = fit.fraction;
    if (fit.stage) find("[data-fit-words]", bar.parentElement).textContent = fit.stage;
    isOver ||= fit.state === "ready" || fit.state === "failed";
  }
  if (isOver) await renew();
  setTimeout(look, EVERY);
}

async function renew() {
  if (find("dialog:modal") || live.contains(document.activeElement)) return;
  const response = await fetch(live.dataset.live, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (response.ok) live.innerHTML = await response.text();
}

if (live) {
  const line = new Line(live.dataset.socket);
  line.addEventListener("detector", renew);
  line.connect();
  look();
}
