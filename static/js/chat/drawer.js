// The side columns: shown on a wide page, a dialog over a narrow one. Settings and presets.
import { find, on, onArrival, post, say } from "../dom.js";
import { toast } from "../frame/toasts.js";

const NARROW = {
  "settings-drawer": matchMedia("(max-width: 1180px)"),
  "conversations-drawer": matchMedia("(max-width: 760px)"),
};
let settingsClosed = false; // closed by the person on a wide page; other chats open without it too

function show(drawer) {
  const wide = !NARROW[drawer.id].matches;
  if (drawer.open) drawer.close();
  if (!wide) drawer.showModal();
  else if (!(drawer.id === "settings-drawer" && settingsClosed)) drawer.setAttribute("open", "");
}

/** On a wide page open without focus, on a narrow one closed until asked for. */
function settle(drawer) {
  if (drawer.matches(":modal")) drawer.close();
  const open = !NARROW[drawer.id].matches && !(drawer.id === "settings-drawer" && settingsClosed);
  drawer.toggleAttribute("open", open);
  tellButtons();
}

function tellButtons() {
  for (const id of Object.keys(NARROW)) {
    const shown = find(`#${id}`)?.open ?? false;
    document.querySelectorAll(`[aria-controls="${id}"]`).forEach((button) => button.setAttribute("aria-expanded", String(shown)));
  }
}

onArrival(() => {
  for (const id of Object.keys(NARROW)) {
    const drawer = document.getElementById(id);
    if (!drawer || drawer.dataset.ready) continue;
    drawer.dataset.ready = "1";
    drawer.addEventListener("close", tellButtons);
    settle(drawer);
  }
});
for (const [id, query] of Object.entries(NARROW)) {
  query.addEventListener("change", () => document.getElementById(id) && settle(document.getElementById(id)));
}

on("click", "[data-drawer]", (event, button) => {
  const drawer = document.getElementById(button.getAttribute("aria-controls"));
  const wide = !NARROW[drawer.id].matches;
  if (wide) {
    settingsClosed = drawer.open;
    settle(drawer);
  } else show(drawer);
  tellButtons();
});

on("click", "[data-drawer-close]", (event, button) => {
  const drawer = button.closest("dialog");
  if (drawer.id === "settings-drawer" && !NARROW[drawer.id].matches) settingsClosed = true;
  drawer.close();
  tellButtons();
  find(`[aria-controls="${drawer.id}"]`)?.focus();
});
on("click", "dialog.drawer, dialog.convs", (event, drawer) => { if (event.target === drawer && drawer.matches(":modal")) drawer.close(); });

// --- settings

function showValue(range) {
  const output = find("output", range.labels[0]);
  if (output) output.textContent = output.dataset.unit ? say("tokens", { n: Number(range.value).toLocaleString() }) : range.value;
}

onArrival(() => document.querySelectorAll("[data-range]").forEach(showValue));
on("input", "[data-range]", (event, range) => showValue(range));

on("change", "[data-model]", async (event, select) => {
  const { conversation } = find("[data-talk]")?.dataset ?? {};
  if (conversation) await post(`/chat/${conversation}/update/`, { deployment: select.value });
  const models = find("#models");
  window.htmx.ajax("GET", `/chat/models/?deployment=${encodeURIComponent(select.value)}`, { source: models, target: models, swap: "outerHTML" });
});

// --- presets

const FIELDS = ["temperature", "top_p", "min_p", "max_tokens", "seed", "top_k", "repetition_penalty", "frequency_penalty", "presence_penalty"];

function apply(option) {
  const form = find("#settings");
  const parameters = JSON.parse(option.dataset.parameters);
  form.elements.system_prompt.value = option.dataset.systemPrompt;
  for (const name of FIELDS) if (form.elements[name]) form.elements[name].value = parameters[name] ?? form.elements[name].defaultValue;
  form.elements.stop.value = (parameters.stop ?? []).join("\n");
  form.elements.logprobs.checked = Boolean(parameters.logprobs);
  document.querySelectorAll("[data-range]").forEach(showValue);
}

function deleteButton(select) {
  find("[data-preset-delete]").hidden = !select.value;
}

on("change", "[data-preset]", (event, select) => {
  const option = select.selectedOptions[0];
  if (option.value) apply(option);
  deleteButton(select);
});

on("click", "[data-preset-pick]", (event, chip) => {
  const select = find("[data-preset]");
  select.value = chip.dataset.presetPick;
  apply(select.selectedOptions[0]);
  deleteButton(select);
  toast(chip.textContent.trim());
});

on("click", "[data-preset-delete]", () => {
  const { deleteUrl } = find("[data-preset]").selectedOptions[0].dataset;
  window.htmx.ajax("POST", deleteUrl, { source: "#presets", target: "#presets", swap: "outerHTML" });
});

on("submit", "[data-preset-form]", (event, form) => {
  const values = Object.fromEntries(new FormData(find("#settings")));
  values.name = form.elements.name.value;
  window.htmx.ajax("POST", form.dataset.url, { source: form, target: "#presets", swap: "outerHTML", values });
  form.reset();
});
