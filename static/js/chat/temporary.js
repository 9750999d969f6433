// A chat that is nowhere but in this page: the history is sent along with each message.
import { find, findAll, on, post, say } from "../dom.js";
import { toast } from "../frame/toasts.js";
import { fillMeter, noteSent } from "../live/answer.js";
import { sourceOf } from "../live/writer.js";
import { clear, setBusy } from "./composer.js";
import { arrive, toEnd } from "./thread.js";

function history() {
  return findAll("#thread > .msg").map((article) => ({
    role: article.dataset.role,
    content: sourceOf(find("[data-source], [data-markdown]", article)),
  })).filter((message) => message.content);
}

on("submit", "[data-temporary] [data-composer]", async (event, form) => {
  event.preventDefault();
  const values = new FormData(find("#settings"));
  const text = find("textarea", form).value;
  values.set("messages", JSON.stringify([...history(), { role: "user", content: text }]));
  values.set("deployment", find("[data-model]")?.value ?? "");
  noteSent();
  setBusy(true);
  const response = await post(form.dataset.url, values).catch(() => null);
  setBusy(false);
  if (response?.ok) await accept(response);
  else await refuse(response);
});

async function accept(response) {
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  const articles = [...parsed.body.children];
  find("#thread").append(...articles);
  articles.forEach(arrive);
  clear();
  toEnd();
}

async function refuse(response) {
  if (response?.headers.get("HX-Retarget")) find("#refusal").innerHTML = await response.text();
  else toast(response ? say("request_failed", { status: response.status }) : say("unreachable"), { danger: true });
}

document.addEventListener("answer", (event) => {
  const meter = find("[data-meter]", event.detail.article);
  if (meter && event.detail.phase === "ended") fillMeter(meter, event.detail);
});

// The only copy is here: leaving by accident would lose it.
addEventListener("beforeunload", (event) => {
  if (find("[data-temporary] #thread > .msg")) event.preventDefault();
});
