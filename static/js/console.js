// Administrators' pages: parts that renew themselves, dialogs that ask first, the slider of a canary.
import "./confirm.js";
import "./console/live.js";
import { find, findAll, on, onArrival } from "./dom.js";

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
