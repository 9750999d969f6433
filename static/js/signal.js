// The page of an asset: its charts, live; what was found; what is taken along.
import "./confirm.js";
import { find, findAll, number, on, say } from "./dom.js";
import { save, toCsv, toPng } from "./chart/files.js";
import { toast } from "./frame/toasts.js";
import { Board } from "./signal/board.js";
import { Layout } from "./signal/layout.js";
import { Line } from "./signal/line.js";
import { ask } from "./signal/readings.js";
import { hang } from "./signal/wall.js";

const facts = JSON.parse(find("#facts").textContent);
const root = find("[data-board]");
const board = new Board(root, facts);
const layout = new Layout(find("[data-panels]"), facts.layout);
const line = new Line(facts.socket);

board.addEventListener("failed", (event) => toast(say("charts_failed", { reason: event.detail }), { danger: true }));
board.load();
hang();

// -- live

let state = "joining";
let isPaused = false;
let newest = facts.newest;
let isBack = false; // the line was lost: what came meanwhile is fetched once it is known what is newest

line.addEventListener("online", (event) => {
  state = "online";
  isBack = event.detail.wasAway;
  showState();
});
line.addEventListener("offline", (event) => {
  state = "offline";
  showState(event.detail.seconds);
});
line.addEventListener("signed-out", () => toast(say("signed_out"), { danger: true }));
line.addEventListener("gone", () => location.reload());
line.addEventListener("live", (event) => {
  showSensors(event.detail.sensors);
  if (isBack && !isPaused) board.load(newest);
  isBack = false;
});
line.addEventListener("values", ({ detail }) => {
  for (const points of Object.values(detail.values)) for (const [at] of points) newest = Math.max(newest ?? 0, at);
  if (!isPaused) board.values(detail.values);
  showState();
});
line.addEventListener("scores", ({ detail }) => isPaused || board.scores(detail));
line.addEventListener("incident", () => showIncidents());
line.addEventListener("detector", async ({ detail }) => {
  const budget = board.budgets.get(detail.detector);
  if (budget) budget.changed(await ask(budget.panel.dataset.state));
});
line.connect();
setInterval(() => state === "online" && showState(), 1000);

function showState(seconds = 0) {
  const place = find("[data-live-state]");
  const ago = newest ? Math.max(0, Math.round(Date.now() / 1000 - newest)) : null;
  place.dataset.state = state === "online" && ago !== null && ago < Math.max(60, 5 * facts.interval) ? "live" : state;
  const words = find("[data-live-words]", place);
  if (state === "offline") words.textContent = say("line_lost", { seconds });
  else if (ago === null) words.textContent = say("no_readings_yet");
  else words.textContent = place.dataset.state === "live" ? say("live_since", { ago: agoWords(ago) }) : say("last_reading", { ago: agoWords(ago) });
}

function agoWords(seconds) {
  if (seconds < 90) return say("ago_s", { n: number(seconds) });
  if (seconds < 5400) return say("ago_min", { n: number(Math.round(seconds / 60)) });
  if (seconds < 172_800) return say("ago_h", { n: number(Math.round(seconds / 3600)) });
  return say("ago_days", { n: number(Math.round(seconds / 86_400)) });
}

function showSensors(sensors) {
  for (const [id, { at, is_stopped: isStopped }] of Object.entries(sensors)) {
    const panel = find(`[data-sensor="${id}"]`, root);
    if (!panel) continue;
    find("[data-stopped]", panel).hidden = !isStopped;
    newest = Math.max(newest ?? 0, at ?? 0);
  }
  showState();
}

// -- what was found

async function showIncidents() {
  const place = find("[data-found]");
  const response = await fetch(place.dataset.found, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (response.ok && !place.contains(document.activeElement)) {
    place.innerHTML = await response.text();
    window.htmx?.process(place);
  }
  const [begin, end] = board.view.all;
  board.showSpans((await ask(facts.spans, { begin, end })).spans);
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (find("[data-found]")?.contains(event.target)) ask(facts.spans, { begin: board.view.all[0], end: board.view.all[1] }).then((found) => board.showSpans(found.spans));
});

on("click", "[data-show]", (event, button) => {
  const [begin, end] = [Number(button.dataset.begin), Number(button.dataset.end) || board.view.all[1]];
  const room = Math.max(60, (end - begin) * 0.6);
  if (begin < board.view.all[0]) return location.assign(button.dataset.show);
  board.view.show(begin - room, end + room);
  find("[data-trace]", root).focus({ preventScroll: innerWidth > 760 });
});

// -- pause

on("click", "[data-pause]", (event, button) => {
  isPaused = !isPaused;
  button.setAttribute("aria-pressed", String(isPaused));
  find("span", button).textContent = isPaused ? say("go_on") : say("pause");
  if (!isPaused) board.load(newest);
});

// -- where one is, in the address

let writing = null;
board.view.addEventListener("range", () => {
  clearTimeout(writing);
  writing = setTimeout(write, 300);
});

function write() {
  const url = new URL(location.href);
  const [begin, end] = board.view.shown;
  for (const [name, at] of [["begin", begin], ["end", end]]) {
    if (board.view.isWhole) url.searchParams.delete(name);
    else url.searchParams.set(name, new Date(1000 * at).toISOString().slice(0, 19) + "Z");
  }
  history.replaceState(null, "", url);
  for (const link of findAll("[data-export]")) {
    const table = new URL(link.dataset.export, location.href);
    table.searchParams.set("begin", begin);
    table.searchParams.set("end", end);
    link.href = table;
  }
  const whole = find("[data-whole]");
  if (whole) whole.hidden = board.view.isWhole;
}

on("click", "[data-whole]", () => board.view.reset());
on("click", "[data-copy-link]", async () => {
  write();
  try {
    await navigator.clipboard.writeText(location.href);
    toast(say("place_copied"));
  } catch {
    toast(say("copy_failed"), { danger: true });
  }
});

// -- taken along

function shownCharts() {
  const sensors = [...board.sensors.values()].map(({ panel, trace }) => [panel, trace, null]);
  const budgets = [...board.budgets.values()].map(({ panel, trace, threshold }) => [panel, trace, threshold]);
  const charts = [...sensors, ...budgets].filter(([panel]) => !panel.hidden);
  const order = layout.panels;
  charts.sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
  return charts.map(([panel, trace, threshold]) => [panel.dataset.name, trace, threshold]);
}

on("click", "[data-png]", async () => save(await toPng(shownCharts(), facts.name), `${facts.file}.png`));
on("click", "[data-csv]", () => {
  const charts = shownCharts().map(([name, trace]) => [name, trace.data]);
  save(new Blob([toCsv(charts, board.view.shown)], { type: "text/csv" }), `${facts.file}.csv`);
});

// The select of ranges works without a script, too: there it has a button.
on("change", "[data-go]", (event, select) => location.assign(select.value));
write();
showState();
