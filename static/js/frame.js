// Behaviour of the frame around every page.
import "./frame/theme.js";
import "./frame/menus.js";
import "./frame/palette.js";
import "./frame/shortcuts.js";
import "./frame/failures.js";
import "./frame/limits.js";
import "./frame/alarms.js";
import "./frame/notices.js";
import { showServerToasts } from "./frame/toasts.js";
import { find, findAll, onArrival } from "./dom.js";

// Dates come from the server; it shows them in the time zone of the person.
document.cookie = `tz=${Intl.DateTimeFormat().resolvedOptions().timeZone};path=/;max-age=31536000;samesite=lax`;

// Of tabs that are wider than the screen the present one is shown.
find(".tabs [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" });

onArrival(() => {
  showServerToasts();
  if (/Mac|iPhone|iPad/.test(navigator.platform)) findAll("[data-mod]").forEach((key) => { key.textContent = "⌘"; });
});
