// The messages: draw them, follow those that are being written, keep the place while reading.
import { find, findAll, on, onArrival, say, within } from "../dom.js";
import { toast } from "../frame/toasts.js";
import { isTyping } from "../frame/shortcuts.js";
import { LiveAnswer } from "../live/answer.js";
import { socket } from "../live/socket.js";
import { sourceOf, write } from "../live/writer.js";

const live = new Map(); // article -> LiveAnswer

/** The answer that is being written in the open chat, the lowest one. */
export function currentAnswer() {
  forgetRemoved();
  return [...live.values()].findLast((answer) => answer.phase !== "ended") ?? null;
}

export function lastMessage() {
  return findAll("#thread > .msg").at(-1) ?? null;
}

function forgetRemoved() {
  for (const [article, answer] of live) {
    if (article.isConnected) continue;
    answer.close();
    live.delete(article);
  }
}

onArrival((root) => {
  forgetRemoved();
  for (const article of within(root, "#thread .msg")) arrive(article);
});

/** Draw a message that has just been put in, or follow it. */
export function arrive(article) {
  if (live.has(article)) return;
  find("#thread > .empty")?.remove();
  if (article.dataset.requestId) live.set(article, new LiveAnswer(article));
  else findAll("[data-markdown].plain", article).forEach((prose) => write(prose, prose.textContent));
}

document.addEventListener("stored", (event) => arrive(event.target));

// --- place: at the end it stays at the end, elsewhere nothing moves what is being read

export function isAtEnd() {
  const scroll = find("[data-scroll]");
  return !scroll || scroll.scrollTop > -8; // laid out from the end: 0 is the bottom, above it is negative
}

export function toEnd() {
  find("[data-scroll]")?.scrollTo({ top: 0 });
}

function showNewer() {
  const button = find("[data-newer]");
  if (button) button.hidden = isAtEnd();
}

document.addEventListener("written", showNewer);
document.addEventListener("scroll", (event) => { if (event.target.matches?.("[data-scroll]") && isAtEnd()) showNewer(); }, true);
on("click", "[data-newer]", () => { toEnd(); showNewer(); });

// --- tools of a message

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    toast(say("copied"));
  } catch {
    toast(say("copy_failed"), { danger: true });
  }
  button.focus();
}

on("click", "[data-copy]", (event, button) => copy(sourceOf(find("[data-source], [data-markdown]", button.closest(".msg"))), button));
on("click", "[data-copy-code]", (event, button) => copy(find("code", button.closest(".code")).textContent, button));

export function edit(article) {
  const bubble = find(".bubble", article);
  if (!bubble || find("[data-edit-form]", article)) return;
  const form = find("#edit-form").content.firstElementChild.cloneNode(true);
  const field = find("textarea", form);
  field.value = sourceOf(find("[data-source]", article));
  article.classList.add("msg--editing");
  bubble.after(form);
  field.style.height = `${Math.min(field.scrollHeight + 4, 320)}px`;
  field.focus();
}

function leaveEdit(form) {
  const article = form.closest(".msg");
  form.remove();
  article.classList.remove("msg--editing");
  find("[data-edit]", article)?.focus();
}

on("click", "[data-edit]", (event, button) => edit(button.closest(".msg")));
on("click", "[data-edit-cancel]", (event, button) => leaveEdit(button.closest("form")));
on("keydown", "[data-edit-form]", (event, form) => {
  if (event.key === "Escape") {
    event.stopPropagation();
    leaveEdit(form);
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    form.requestSubmit();
  }
});
on("submit", "[data-edit-form]", (event, form) => {
  event.preventDefault();
  const article = form.closest(".msg");
  const values = { text: find("textarea", form).value, parent: article.dataset.parent, whole: "1" };
  const url = find("[data-composer]").getAttribute("hx-post");
  window.htmx.ajax("POST", url, { target: "#thread", swap: "outerHTML", values, source: form });
});

// --- versions with Alt and the arrows: of the message in focus, else of the last that has several

document.addEventListener("keydown", (event) => {
  const version = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (!version || !event.altKey || event.ctrlKey || event.metaKey) return;
  if (isTyping(event.target) && event.target.value) return; // in text these keys move by words on some systems
  const focused = event.target.closest?.(".msg");
  const tree = (focused && find(".tree", focused)) ?? findAll("#thread .tree").at(-1);
  if (!tree) return;
  event.preventDefault();
  find(`[data-version=${version}]:not(:disabled)`, tree)?.click();
});

// The buttons are gone after the switch; the focus goes to the message that took their place.
let chosenVersion = null;
on("click", "[data-version]", (event, button) => { chosenVersion = /messages\/([\w-]+)\//.exec(button.getAttribute("hx-post") ?? "")?.[1]; });
document.addEventListener("htmx:afterSettle", () => {
  const article = chosenVersion && find(`[data-message="${chosenVersion}"]`);
  if (!article) return;
  chosenVersion = null;
  article.focus({ preventScroll: true });
});

// --- something happened elsewhere: another tab wrote here

socket.addEventListener("conversation", async (event) => {
  const { conversation, action } = event.detail;
  if (find("[data-talk]")?.dataset.conversation !== conversation || action !== "changed") return;
  const thread = find("#thread");
  const response = await fetch(thread.dataset.threadUrl, { headers: { "HX-Request": "true" } });
  if (!response.ok || !thread.isConnected || find("[data-edit-form]", thread)) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#thread");
  setTitle(fresh.dataset.threadTitle);
  if (ids(fresh) === ids(find("#thread")) || document.querySelector(".htmx-request")) return;
  find("#thread").replaceWith(fresh);
  window.htmx.process(fresh);
  onFresh(fresh);
});

function onFresh(thread) {
  forgetRemoved();
  findAll(".msg", thread).forEach(arrive);
}

function ids(thread) {
  return findAll(".msg", thread).map((article) => article.id).join();
}

function setTitle(title) {
  const heading = find("#talk-title");
  if (!title || !heading || heading.textContent === title) return;
  heading.textContent = title;
  document.title = `${title} · DeepSeek Web`;
}
