// One text: follow its request, then show the answer that the server draws. Files: show what was chosen.
import { announce, find, number, on, onArrival, say, within } from "./dom.js";
import { onDrop } from "./drop.js";
import { socket } from "./live/socket.js";

socket.connect();

/** A panel that waits for the end of its request. */
class Waiting {
  constructor(panel) {
    this.panel = panel;
    this.leave = socket.subscribe(panel.dataset.requestId, this);
  }

  entries(entries) {
    for (const [, event, data] of entries) {
      if (event === "progress") this.#say(data.position ? say("in_line", { position: number(data.position) }) : say("next_in_line"));
      if (event === "done" || event === "error") this.#show();
    }
  }

  refused() {
    this.#show();
  }

  #say(text) {
    const place = find("[data-live-text]", this.panel);
    if (place) place.textContent = text;
  }

  #show() {
    this.leave();
    if (!this.panel.isConnected) return;
    window.htmx.ajax("GET", this.panel.dataset.resultUrl, { target: this.panel, swap: "outerHTML" });
  }
}

onArrival((root) => {
  for (const panel of within(root, "[data-request-id]")) new Waiting(panel);
  const answer = within(root, "[data-answer]")[0];
  if (answer) announce(find(".h3", answer).textContent);
});

on("click", "[data-stop]", (event, button) => socket.stop(button.closest("[data-request-id]").dataset.requestId));

on("keydown", "[data-classify-form] textarea", (event, field) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  field.form.requestSubmit();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches?.("[data-classify-form]")) find("#refusal")?.replaceChildren();
});

on("change", "[data-drop] input", (event, field) => showName(field));
onDrop("[data-drop]", (drop, files) => {
  const field = find("input", drop);
  field.files = files;
  showName(field);
});

function showName(field) {
  const place = find("[data-drop-name]", field.closest("[data-drop]"));
  if (field.files.length) place.textContent = field.files[0].name;
}
