// Two answers side by side: follow both, vote with a key, show the figures when both have ended.
import { find, findAll, on, onArrival, say } from "./dom.js";
import { isTyping } from "./frame/shortcuts.js";
import { LiveAnswer, fillMeter } from "./live/answer.js";
import { socket } from "./live/socket.js";
import { write } from "./live/writer.js";

const live = new Map(); // article -> LiveAnswer
const AGAIN = 300; // ms between looks whether the answers are stored

socket.connect();

onArrival(() => {
  for (const article of findAll("[data-lane]")) {
    if (live.has(article)) continue;
    if (article.dataset.requestId) live.set(article, new LiveAnswer(article));
    else findAll("[data-markdown].plain", article).forEach((prose) => write(prose, prose.textContent));
  }
  findAll("[data-range]").forEach(showValue);
});

document.addEventListener("answer", (event) => {
  const { article, phase } = event.detail;
  const meter = find("[data-lane-meter]", article);
  if (meter) fillMeter(meter, event.detail);
  if (phase !== "ended") return;
  find("[data-lane-stop]", article)?.remove();
  if ([...live.values()].every((answer) => answer.phase === "ended")) showEvidence();
});

async function showEvidence(left = 30) {
  const response = await fetch(location.href, { headers: { "HX-Request": "true" } });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#comparison");
  if (fresh && !("running" in fresh.dataset)) {
    find("#comparison").replaceWith(fresh);
    window.htmx.process(fresh);
    live.clear();
    findAll("[data-markdown].plain", fresh).forEach((prose) => write(prose, prose.textContent));
  } else if (left > 0) setTimeout(() => showEvidence(left - 1), AGAIN);
}

on("click", "[data-lane-stop]", (event, button) => live.get(button.closest("[data-lane]"))?.stop());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || find("dialog:modal")) return;
  if (event.key === "Escape") live.forEach((answer) => answer.phase !== "ended" && answer.stop());
  find(`[data-vote-key="${CSS.escape(event.key.toUpperCase())}"]:not(:disabled)`)?.click();
});

on("keydown", "[data-compare-prompt]", (event, field) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  field.form.requestSubmit();
});

function showValue(range) {
  const output = find("output", range.labels[0]);
  if (output) output.textContent = output.dataset.unit ? say("tokens", { n: Number(range.value).toLocaleString() }) : range.value;
}

on("input", "[data-range]", (event, range) => showValue(range));
