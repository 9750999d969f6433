// Administrators' pages: parts that renew themselves, dialogs that ask first, the slider of a canary.
import "./console/live.js";
import { find, findAll, on, onArrival } from "./dom.js";

on("click", "[data-confirm]", (event, button) => {
  const dialog = find("[data-confirm-dialog]");
  const form = find("form", dialog);
  form.reset();
  form.action = button.dataset.confirm;
  form.elements.next.value = button.dataset.name ? "" : location.pathname + location.search;
  find("#confirm-title", dialog).textContent = button.dataset.title;
  find("#confirm-text", dialog).textContent = button.dataset.text;
  find("[data-confirm-typed]", dialog).hidden = !button.dataset.name;
  find("[data-confirm-name]", dialog).textContent = button.dataset.name ?? "";
  const act = find("[data-confirm-do]", dialog);
  act.textContent = button.dataset.do;
  act.className = "calm" in button.dataset ? "btn btn--primary" : "btn btn--danger";
  act.disabled = Boolean(button.dataset.name);
  button.closest("[popover]")?.hidePopover();
  dialog.showModal();
});

on("input", "[data-confirm-typed] input", (event, field) => {
  const dialog = field.closest("dialog");
  find("[data-confirm-do]", dialog).disabled = field.value !== find("[data-confirm-name]", dialog).textContent;
});

on("click", "[data-scale]", (event, button) => {
  const dialog = find("[data-scale-dialog]");
  find("form", dialog).action = button.dataset.scale;
  find("[data-scale-key]", dialog).textContent = button.dataset.key;
  find("input[name=replicas]", dialog).value = button.dataset.replicas;
  button.closest("[popover]").hidePopover();
  dialog.showModal();
});

// The slider shows the split before it is sent.
function showShare(form) {
  const share = Number(find("[data-share-range]", form).value);
  const rest = 100 - share;
  find("[data-share]", form).textContent = share;
  find("[data-rest]", form).textContent = rest;
  find("[data-share-output]", form).textContent = `${share} %`;
  find("[data-share-button]", form).textContent = `${share} %`;
  find("[data-bar-rest]", form).setAttribute("width", `${rest}%`);
  find("[data-bar-share]", form).setAttribute("x", `${rest}%`);
  find("[data-bar-share]", form).setAttribute("width", `${share}%`);
  find("[data-share-send]", form).disabled = String(share) === form.dataset.stored;
  for (const preset of findAll("[data-share-preset]", form)) {
    preset.setAttribute("aria-pressed", String(preset.dataset.sharePreset === String(share)));
  }
}

on("input", "[data-share-range]", (event, range) => showShare(range.form));
on("click", "[data-share-preset]", (event, preset) => {
  find("[data-share-range]", preset.form).value = preset.dataset.sharePreset;
  showShare(preset.form);
});
onArrival((root) => findAll("[data-canary]", root).forEach(showShare));
document.addEventListener("console:renewed", (event) => findAll("[data-canary]", event.detail).forEach(showShare));
