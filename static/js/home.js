// A message that is written on the first page is sent by the chat; what the advisor is told is asked about at once.
import { find, on, onArrival } from "./dom.js";

on("submit", "[data-ask-home]", (event, form) => {
  const text = find("textarea", form).value.trim();
  event.preventDefault();
  if (!text) return;
  const path = new URL(form.action).pathname;
  sessionStorage.setItem(`draft:${path}`, text);
  sessionStorage.setItem(`send:${path}`, "1");
  location.assign(path);
});

on("keydown", "[data-ask-home] textarea", (event, field) => {
  if (event.isComposing || event.keyCode === 229 || event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  field.form.requestSubmit();
});

on("change", "[data-advisor] select", (event, field) => field.form.requestSubmit());

onArrival((part) => {
  const field = find("[data-ask-home] textarea", part); // what else arrives takes no focus
  if (field && matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
});
