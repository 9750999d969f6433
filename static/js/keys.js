// Keys: copy the new one, which is on the page this once.
import { find, on, say } from "./dom.js";
import { toast } from "./frame/toasts.js";

on("click", "[data-copy-text]", async (event, button) => {
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copyText).textContent);
    toast(say("copied"));
  } catch {
    toast(say("copy_failed"), { danger: true });
  }
});

find("[data-secret] button")?.focus();
