// Searching: parts of the query, a picture to search with, the selection, and which result was opened.
import "./search/crop.js";
import "./search/why.js";
import { find, findAll, on, onArrival, say } from "./dom.js";
import { toast } from "./frame/toasts.js";
import { refresh } from "./search/part.js";
import { onPicture, send } from "./search/sent.js";

const form = find("#query");
const page = find("[data-search]");

// -- parts

function add(kind, label, { weight = 1, id = "", picture = "" } = {}) {
  const made = find(kind === "words" ? "#part-words" : "#part-picture").content.firstElementChild.cloneNode(true);
  made.dataset.kind = kind;
  made.dataset.id = id;
  find("[data-weight]", made).value = weight;
  if (kind === "words") find("[data-value]", made).value = label;
  else {
    find("[data-label]", made).textContent = label;
    find("img", made).src = picture;
  }
  form.querySelector("[popovertarget=add-part]").before(made);
  refresh(made);
  return made;
}

on("input", "[data-part] [data-value], [data-part] [data-weight]", (event, field) => refresh(field.closest("[data-part]")));
on("click", "[data-remove]", (event, button) => {
  button.closest("[data-part]").remove();
  form.requestSubmit();
});
for (const [selector, weight] of [["[data-add-words]", 1], ["[data-add-minus]", -0.6]]) {
  on("click", selector, () => {
    find("#add-part").hidePopover();
    find("[data-value]", add("words", "", { weight })).focus();
  });
}
on("submit", "#query", () => {
  for (const field of findAll("input[name], select[name]", form)) {
    const isDefault = field.name === "q_weight" ? field.value === "1" || field.value === "1.0" : field.name === "order" && field.value === "best";
    if (!field.value || isDefault) field.disabled = true; // an address says what was asked, no more
  }
});
addEventListener("pageshow", () => findAll("#query :disabled").forEach((field) => { field.disabled = false; }));
on("change", "[data-rerank]", (event, box) => {
  box.previousElementSibling.disabled = box.checked;
  form.requestSubmit();
});
on("change", "[data-submits]", () => form.requestSubmit());
on("change", "[data-go]", (event, select) => { location.href = select.value; });

// -- a picture to search with

async function searchWith(file) {
  const sent = await send(file, find("[data-query-file]").dataset.url, find("#refusal"));
  if (!sent) return;
  add("sent", sent.name, { id: sent.id, picture: sent.picture });
  form.requestSubmit();
}

on("change", "[data-query-file]", (event, field) => {
  find("#add-part").hidePopover();
  searchWith(field.files[0]);
});
on("keydown", "[data-add-file]", (event, label) => {
  if (event.key === "Enter" || event.key === " ") find("input", label).click();
});
onPicture("[data-drop-query]", searchWith);

// -- the selection

function showSelection() {
  const bar = find("[data-selection]");
  if (!bar) return;
  const picked = findAll("[data-pick]:checked");
  for (const pick of findAll("[data-pick]")) pick.closest(".picture").toggleAttribute("data-selected", pick.checked);
  bar.hidden = !picked.length;
  find("[data-selected]", bar).textContent = say("selected", { n: picked.length });
}

on("change", "[data-pick]", showSelection);
on("click", "[data-clear]", () => {
  for (const pick of findAll("[data-pick]:checked")) pick.checked = false;
  showSelection();
});
on("click", "[data-like]", (event, button) => {
  for (const pick of findAll("[data-pick]:checked").slice(0, 6)) {
    const picture = pick.closest(".picture");
    add("picture", "", { id: pick.value, weight: Number(button.dataset.like), picture: find("img", picture).src });
  }
  form.requestSubmit();
});
onArrival(showSelection);

// -- looking

on("click", "[data-size]", (event, button) => {
  localStorage.setItem("search-size", button.dataset.size);
  showSize();
});
function showSize() {
  const size = localStorage.getItem("search-size") ?? "medium";
  for (const button of findAll("button[data-size]")) button.setAttribute("aria-pressed", button.dataset.size === size);
  find("[data-results]")?.setAttribute("data-size", size);
}
showSize();

on("click", "[data-place]", (event, element) => {
  const { place, text } = element.dataset;
  const picture = element.closest("[data-picture]")?.dataset.picture ?? element.href?.match(/pictures\/([\w-]+)/)?.[1];
  const body = new FormData();
  const values = { query: page.dataset.query, place, ...(text ? { text } : { picture }) };
  for (const [name, value] of Object.entries(values)) body.append(name, value ?? "");
  body.append("csrfmiddlewaretoken", find("[name=csrfmiddlewaretoken]").value);
  navigator.sendBeacon(page.dataset.clickUrl, body);
  if (text) navigator.clipboard?.writeText(element.textContent.trim()).then(() => toast(say("copied")));
});
on("click", "[data-copy-link]", (event, button) => {
  navigator.clipboard.writeText(new URL(button.dataset.copyLink, location.href).href).then(
    () => toast(say("link_copied")), () => toast(say("copy_failed"), { danger: true }));
});
