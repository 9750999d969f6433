// The bell: how much was not read, live; the newest few behind it, and what is read by being opened.
import { socket } from "../live/socket.js";
import { announce, find, findAll, on, onArrival, post, within } from "../dom.js";
import { placeBeside } from "./menus.js";

const MOST = 99;
let fresh = 0;

function show(unread) {
  const bell = find("[data-bell]");
  const count = find("[data-unread]", bell);
  const words = unread > MOST ? `${MOST}+` : String(unread);
  count.textContent = words;
  count.hidden = !unread;
  bell.setAttribute("aria-label", unread ? bell.dataset.saysSome.replace("{n}", words) : bell.dataset.saysNone);
}

function refresh() {
  window.htmx.trigger("[data-notices-panel]", "refresh");
}

function cameIn() {
  announce(find("[data-bell]").getAttribute("aria-label"));
  if (find("[data-notices-panel]").matches(":popover-open")) refresh();
  const more = find("[data-new-notices]");
  if (!more) return;
  const words = find("[data-says]", more);
  words.textContent = words.dataset.says.replace("{n}", ++fresh);
  more.hidden = false;
}

/** Behind one that was just marked, whose button is gone: to the next that can be, else to what it is about. */
function goOn(notice) {
  const all = findAll("[data-notice]");
  const behind = all.slice(all.indexOf(notice) + 1).map((each) => find("button", each)).find(Boolean);
  (behind ?? find("a", notice))?.focus();
}

function items(panel) {
  return findAll("a, button", panel);
}

socket.addEventListener("notice", ({ detail }) => {
  if (!find("[data-bell]")) return;
  show(detail.unread);
  if (detail.new) cameIn();
});

// After a long absence more may have happened than is told behind.
let wasOnline = false;
socket.addEventListener("online", () => {
  if (wasOnline && find("[data-bell]")) refresh();
  wasOnline = true;
});

onArrival((part) => {
  const now = within(part, "[data-unread-now]")[0];
  if (now) show(Number(now.dataset.unreadNow));
  if (part.matches("[data-notice]") && document.activeElement === document.body) goOn(part);
  for (const form of within(part, "[data-notice-kinds]")) find("button", form).hidden = true; // a choice holds at once
});
if (find("[data-bell]")) socket.connect();

on("change", "[data-notice-kinds]", (event, form) => form.requestSubmit());

// Where a link leads, its notice is read; the request outlives the page.
on("click", "[data-notice-read]", (event, link) => {
  post(link.dataset.noticeRead, {}, { keepalive: true });
  link.closest(".notice").classList.remove("notice--unread");
});

document.addEventListener("toggle", (event) => {
  const panel = event.target;
  if (!(panel instanceof HTMLElement) || !panel.matches("[data-notices-panel]") || event.newState !== "open") return;
  placeBeside(panel, find("[data-bell]"));
  panel.focus();
  refresh();
}, true);

// What was pressed may be gone: the panel has the focus then, and Escape closes it.
document.addEventListener("htmx:afterSwap", (event) => {
  const panel = event.target;
  if (panel.matches?.("[data-notices-panel]:popover-open") && !panel.contains(document.activeElement)) panel.focus();
});

on("keydown", "[data-notices-panel]", (event, panel) => {
  const all = items(panel);
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || !all.length) return;
  event.preventDefault();
  all[(to + all.length) % all.length].focus();
});
