// Between messages and field: what the running answer does, the stop button, the context gauge,
// the state of the connection.
import { find, findAll, number, on, onArrival, say } from "../dom.js";
import { fillMeter } from "../live/answer.js";
import { socket } from "../live/socket.js";
import { currentAnswer } from "./thread.js";

let due = false;

function refreshSoon() {
  if (due) return;
  due = true;
  setTimeout(() => { due = false; refresh(); }, 120); // numbers that change faster cannot be read
}

function refresh() {
  const status = find("[data-dock-status]");
  if (!status) return;
  const answer = currentAnswer();
  status.hidden = !answer;
  if (answer) fillMeter(find("[data-dock-meter]"), answer);
  gauge(answer);
}

function contextLength() {
  return Number(find("[data-model]")?.selectedOptions[0]?.dataset.contextLength ?? 0);
}

function gauge(answer) {
  const place = find("[data-gauge]");
  const length = answer?.started?.context_length || contextLength();
  if (!place || !length) return;
  const stored = Number(findAll("#thread [data-context-used]").at(-1)?.dataset.contextUsed ?? 0);
  const used = answer?.contextUsed ?? stored;
  const share = Math.min(100, (100 * used) / length);
  const text = say("context_used", { used: number(used), length: number(length) });
  find("[data-gauge-text]", place).textContent = text;
  const bar = find("[data-gauge-bar]", place);
  bar.setAttribute("aria-label", text);
  bar.firstElementChild.setAttribute("width", `${share.toFixed(1)}%`);
  if (share >= 90) bar.dataset.level = share >= 98 ? "over" : "high";
  else delete bar.dataset.level;
}

document.addEventListener("answer", refreshSoon);
document.addEventListener("stored", refreshSoon);
onArrival(refresh);
on("change", "[data-model]", refresh);

// --- stop

on("click", "[data-stop]", () => currentAnswer()?.stop());
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || find("dialog:modal") || find("[popover]:popover-open")) return;
  const answer = currentAnswer();
  if (!answer) return;
  event.preventDefault();
  answer.stop();
});

// --- connection

let ticking = null;

function offline(text) {
  clearInterval(ticking);
  const note = find("[data-offline]");
  if (!note) return;
  note.hidden = !text;
  find("[data-offline-text]").textContent = text ?? "";
}

socket.addEventListener("online", () => offline(null));
socket.addEventListener("signed-out", () => offline(say("signed_out")));
socket.addEventListener("offline", (event) => {
  if (!currentAnswer()) return; // nothing is being missed
  let left = event.detail.seconds;
  const show = () => offline(left > 0 ? say("reconnect", { seconds: left-- }) : say("reconnecting"));
  show();
  ticking = setInterval(show, 1000);
});
