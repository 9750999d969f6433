// The dialog that asks before an act: templates/console/_confirm.html. `data-name` has to be typed before it goes on.
import { find, on } from "./dom.js";

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
