// A part with data-live is fetched again every few seconds and when the socket says that something was done.
// What a person is in the middle of is never replaced under the hands.
import { find, findAll } from "../dom.js";
import { socket } from "../live/socket.js";

const EVERY = 5; // seconds

socket.addEventListener("console", (event) => {
  for (const part of findAll("[data-live]")) if (part.dataset.hears === event.detail.what) renew(part);
});
if (find("[data-live]")) socket.watch();

for (const part of findAll("[data-live]")) {
  setInterval(() => document.hidden || renew(part), 1000 * Number(part.dataset.every ?? EVERY));
  scrollLog(part, true);
}

async function renew(part) {
  if (isInUse(part) || part.fetching) return;
  part.fetching = true;
  try {
    const response = await fetch(part.dataset.live, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    if (response.status === 401 || response.status === 404) location.reload();
    if (response.ok) put(part, await response.text());
  } catch {
    // The next look is a few seconds away; the socket tells of a lost connection.
  } finally {
    part.fetching = false;
  }
}

function put(part, html) {
  if (isInUse(part)) return;
  const focused = document.activeElement?.id;
  const log = find("[data-log]", part);
  const atEnd = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const top = log?.scrollTop;
  const open = findAll("details[id][open]", part).map((one) => one.id);
  part.innerHTML = html;
  for (const one of findAll("details[id]", part)) one.open = open.includes(one.id);
  window.htmx?.process(part);
  document.dispatchEvent(new CustomEvent("console:renewed", { detail: part }));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  scrollLog(part, atEnd, top);
}

function scrollLog(part, toEnd, top = 0) {
  const log = find("[data-log]", part);
  if (log) log.scrollTop = toEnd ? log.scrollHeight : top;
}

/** Somebody has a menu open, moves a slider or has one that is not sent, or marks text. */
function isInUse(part) {
  if (find("dialog:modal")) return true;
  if (find(":popover-open", part) || find("form [data-share-range]:focus", part)) return true;
  if (findAll("[data-canary]", part).some((form) => find("[data-share-range]", form).value !== form.dataset.stored)) return true;
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && part.contains(selection.anchorNode));
}
