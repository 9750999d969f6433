// A classifier: pictures and clips dropped or pasted, the one that is tried shown, and kept for the class that it is
// given.
import "./confirm.js";
import { find, findAll, on } from "./dom.js";
import { onDrop } from "./drop.js";
import { isRecording } from "./recorder.js";

onDrop("[data-drop]", (drop, files) => take(find("input", drop), files));

function take(field, files) {
  field.files = files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

on("change", "[data-files]", (event, field) => field.files.length && field.form.requestSubmit());

on("change", "[data-asked]", (event, field) => {
  show(field.files[0]);
  if (!find("[type=submit]", field.form).disabled) field.form.requestSubmit();
});

function show(file) {
  const preview = find("[data-preview]");
  const reader = new FileReader();
  reader.onload = () => {
    preview.src = reader.result;
    preview.hidden = false;
  };
  reader.readAsDataURL(file);
}

document.addEventListener("paste", (event) => {
  const field = find("[data-files]");
  if (field && event.clipboardData.files.length) take(field, event.clipboardData.files);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches?.("[data-ask]")) find("#refusal")?.replaceChildren();
  // What records or plays stays where it is: the next question replaces it.
  const isHeard = isRecording() || findAll("audio", event.target).some((audio) => !audio.paused);
  if (event.target.id === "live" && isHeard) event.preventDefault();
});

// The answer's form is given the picture that was asked about.
document.addEventListener("htmx:load", (event) => {
  const kept = event.target.querySelector?.("[data-kept]");
  if (kept) kept.files = find("[data-asked]").files;
});

on("keydown", "[data-ask] textarea", (event, field) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  field.form.requestSubmit();
});
