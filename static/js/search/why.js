// The panel that says why a picture was found, and the maps over a picture: one for each word.
import { findAll, on, onArrival, within } from "../dom.js";

let opener = null;

on("click", "[data-why-open]", (event, button) => { opener = button; });
on("click", "[data-why-close]", (event, button) => {
  button.closest("[data-why]").remove();
  opener?.focus();
});
onArrival((root) => {
  const [panel] = within(root, "[data-why]");
  if (!panel || root === document.body) return;
  panel.focus({ preventScroll: true });
  panel.scrollIntoView({ block: "nearest" });
});

on("click", "[data-heat-of]", (event, button) => {
  const group = button.closest("[data-heats]");
  for (const other of findAll("[data-heat-of]", group)) other.setAttribute("aria-pressed", other === button);
  for (const map of findAll("[data-heat]", group.previousElementSibling)) {
    map.toggleAttribute("hidden", map.dataset.heat !== button.dataset.heatOf);
  }
});
