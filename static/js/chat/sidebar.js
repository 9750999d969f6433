// Conversations: search, menu of each, and following what other tabs change.
import { find, on, onArrival, say } from "../dom.js";
import { socket } from "../live/socket.js";

let chosen = null; // the item whose menu or dialog is open
let place = 0; // how far the list is scrolled, across swaps of the page

function convs() {
  return find("[data-convs]");
}

function itemUrl(item, verb) {
  return `/chat/${item.dataset.conversationItem}/${verb}/`;
}

function refreshList() {
  const list = find("#conv-list");
  const words = find("[data-conv-search]")?.value ?? "";
  if (!list) return;
  const archived = find("[data-archived-field]").value;
  const query = new URLSearchParams({ q: words, archived, open: convs().dataset.openId });
  const { scrollTop } = list;
  window.htmx.ajax("GET", `${convs().dataset.url}?${query}`, { source: list, target: list, swap: "innerHTML" })
    .then(() => { list.scrollTop = scrollTop; });
}

let pending = null;

export function refreshListSoon() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    // With more pages loaded, a new first page would throw away where the person is.
    const long = (find("#conv-list")?.scrollTop ?? 0) > 1200;
    if (!long) refreshList();
  }, 250);
}

socket.addEventListener("conversation", refreshListSoon);
document.addEventListener("conversations:changed", refreshListSoon);

// --- the page body is swapped when another chat is opened; the list stays where it was

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target === document.body) place = find("#conv-list")?.scrollTop ?? 0;
});
onArrival(() => {
  const list = find("#conv-list");
  if (!list || list.dataset.ready) return;
  list.dataset.ready = "1";
  list.scrollTop = place;
  find("[aria-current=page]", list)?.scrollIntoView({ block: "nearest" });
});

// --- archived or not

on("click", "[data-archived-toggle]", (event, button) => {
  const archived = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(archived));
  find("[data-archived-field]").value = archived ? "1" : "";
  refreshList();
});

// --- the menu

on("click", "[data-conv-menu]", (event, button) => {
  const menu = find("#conv-menu");
  chosen = button.closest("[data-conversation-item]");
  menu.opener = button;
  label(menu, "pin", "pinned" in chosen.dataset ? say("unpin") : say("pin"));
  label(menu, "archive", "archived" in chosen.dataset ? say("restore") : say("archive"));
  for (const form of ["md", "json"]) find(`[data-conv-do=${form}]`, menu).href = itemUrl(chosen, `export/${form}`);
  menu.togglePopover();
});

function label(menu, name, text) {
  find(`[data-conv-do=${name}] span`, menu).textContent = text;
}

on("click", "[data-conv-do]", (event, button) => {
  find("#conv-menu").hidePopover();
  ACTIONS[button.dataset.convDo]?.(chosen);
});

const ACTIONS = {
  pin: (item) => change(item, { pinned: "pinned" in item.dataset ? "" : "1" }),
  archive: (item) => change(item, { archived: "archived" in item.dataset ? "" : "1" }),
  rename(item) {
    find("#rename-field").value = item.dataset.title;
    find("#rename-dialog").showModal();
    find("#rename-field").select();
  },
  delete(item) {
    find("[data-delete-title]").textContent = say("delete_title", { title: item.dataset.title });
    find("#delete-dialog").showModal();
  },
};

// htmx keeps one request an element and lets the last waiting one win, so what changes something has an
// element of its own, on which all of them wait their turn.
function send(url, values) {
  return window.htmx.ajax("POST", url, { source: "#conv-menu", swap: "none", values });
}

async function change(item, values) {
  await send(itemUrl(item, "update"), values);
  refreshList();
}

on("submit", "[data-rename-form]", async (event, form) => {
  const title = find("#rename-field").value.trim();
  if (title) await change(chosen, { title });
  const open = convs().dataset.openId === chosen.dataset.conversationItem;
  if (open && title) find("#talk-title").textContent = title;
  refocus();
});

on("submit", "[data-delete-form]", async () => {
  await send(itemUrl(chosen, "delete"), { open: convs().dataset.openId });
  refreshList();
  refocus();
});

function refocus() {
  const item = chosen && find(`[data-conversation-item="${chosen.dataset.conversationItem}"] [data-conv-menu]`);
  (item ?? find("[data-conv-search]"))?.focus();
}

