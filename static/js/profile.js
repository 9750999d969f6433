// Profile: copy the new key, switch the theme without a reload.
import { find, findAll, on, say } from "./dom.js";
import { setTheme } from "./frame/theme.js";
import { toast } from "./frame/toasts.js";

on("click", "[data-copy-secret]", async (event, button) => {
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copySecret).textContent);
    toast(say("copied"));
  } catch {
    toast(say("copy_failed"), { danger: true });
  }
});

on("click", "[data-theme-group] button", (event, button) => {
  event.preventDefault();
  setTheme(button.value);
  for (const each of findAll("button", button.parentElement)) each.setAttribute("aria-pressed", String(each === button));
});

find("[data-secret] button")?.focus();
