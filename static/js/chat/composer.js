// The field at the bottom: sends with Enter, waits for a running answer, keeps what was refused.
import { find, findAll, on, onArrival } from "../dom.js";
import { isTyping } from "../frame/shortcuts.js";
import { noteSent } from "../live/answer.js";
import { currentAnswer, edit, lastMessage, toEnd } from "./thread.js";

function parts() {
  const form = find("[data-composer]");
  return { form, field: form && find("textarea", form), send: form && find("[data-send]", form), queued: form && find("[data-queued]", form) };
}

function draftKey() {
  return `draft:${location.pathname}`;
}

export function refresh() {
  const { form, field, send, queued } = parts();
  if (!form) return;
  const writing = Boolean(currentAnswer());
  field.placeholder = writing ? field.dataset.placeholderWriting : (field.dataset.placeholder ??= field.placeholder);
  send.disabled = !field.value.trim() || form.dataset.busy === "1";
  queued.hidden = !form.dataset.waiting;
  if (!CSS.supports("field-sizing", "content")) {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }
}

/** What was typed has been taken: start afresh. */
export function clear() {
  const { field } = parts();
  field.value = "";
  sessionStorage.removeItem(draftKey());
  find("#refusal").replaceChildren();
  refresh();
}

export function setBusy(busy) {
  parts().form.dataset.busy = busy ? "1" : "";
  refresh();
}

function queue(wait) {
  const { form } = parts();
  if (wait) form.dataset.waiting = "1";
  else delete form.dataset.waiting;
  refresh();
}

onArrival(() => {
  const { form, field } = parts();
  if (!form || form.dataset.ready) return;
  form.dataset.ready = "1";
  field.placeholder && (field.dataset.placeholder = field.placeholder);
  const draft = sessionStorage.getItem(draftKey());
  if (draft && !field.value) field.value = draft;
  const sends = `send:${location.pathname}`; // written on the first page
  const isSent = sessionStorage.getItem(sends) && field.value.trim() && !field.disabled;
  sessionStorage.removeItem(sends);
  if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
  refresh();
  if (isSent) document.addEventListener("htmx:load", () => form.requestSubmit(), { once: true }); // it sends the form
});

on("input", "[data-composer] textarea", (event, field) => {
  if (field.value) sessionStorage.setItem(draftKey(), field.value);
  else sessionStorage.removeItem(draftKey());
  refresh();
});

on("keydown", "[data-composer] textarea", (event, field) => {
  // While an input method composes, Enter chooses a word; 229 is what some browsers still report then.
  if (event.isComposing || event.keyCode === 229) return;
  const touch = matchMedia("(pointer: coarse)").matches && !matchMedia("(any-pointer: fine)").matches;
  if (event.key === "Enter" && !event.shiftKey && !touch) {
    event.preventDefault();
    if (field.value.trim()) field.form.requestSubmit();
  } else if (event.key === "ArrowUp" && !field.value) {
    const question = findAll("#thread .msg--user").at(-1);
    if (question && !currentAnswer()) {
      event.preventDefault();
      edit(question);
    }
  }
});

// Before htmx sees it: while an answer is written, the message waits for its end.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-composer]")) return;
  if (parts().form.dataset.busy === "1" || !parts().field.value.trim()) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else if (currentAnswer()) {
    event.preventDefault();
    event.stopImmediatePropagation();
    queue(true);
  }
}, true);

document.addEventListener("htmx:configRequest", (event) => {
  if (!event.target.matches("[data-composer]")) return;
  event.detail.parameters.parent = lastMessage()?.dataset.message ?? "";
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches("[data-composer]")) {
    noteSent();
    setBusy(true);
  } else if (event.target.matches("[data-regenerate], [data-edit-form]")) noteSent();
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.target.matches("[data-composer]")) return;
  setBusy(false);
  const { status } = event.detail.xhr;
  if (status < 200 || status >= 400) return;
  clear();
  toEnd();
});

// The answer may be stored before its message is sent on: `stored` comes when the tree is complete.
document.addEventListener("answer", (event) => {
  refresh();
  const answer = event.detail;
  if (answer.phase !== "ended" || !parts().form?.dataset.waiting) return;
  queue(false);
  const good = !answer.error && answer.outcome?.finish_reason !== "abort";
  if (good) queueMicrotask(() => parts().form.requestSubmit());
});

on("click", "[data-unqueue]", () => queue(false));
on("click", "#thread [data-preset-pick]", () => parts().field.focus());

// Typing anywhere on the page goes into the field, as long as nothing else wants the keys.
document.addEventListener("keydown", (event) => {
  if (event.key.length !== 1 || event.key === "?" || event.key === " " || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) || find("dialog:modal") || event.target.closest?.("[role=menu]")) return;
  parts().field?.focus();
});
