// Profile: switch the theme without a reload.
import { findAll, on } from "./dom.js";
import { setTheme } from "./frame/theme.js";

on("click", "[data-theme-group] button", (event, button) => {
  event.preventDefault();
  setTheme(button.value);
  for (const each of findAll("button", button.parentElement)) each.setAttribute("aria-pressed", String(each === button));
});
