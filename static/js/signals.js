// Pages about signals besides the charts: lists with filters, files of readings, the simulator, rules, detectors.
import "./confirm.js";
import "./signal/faults.js";
import "./signal/fitting.js";
import "./signal/mapping.js";
import "./signal/sending.js";
import "./signal/silence.js";
import { find, findAll, on } from "./dom.js";
import { socket } from "./live/socket.js";
import { Line } from "./signal/line.js";

socket.connect();

// Charts begin with the first reading.
const awaits = find("[data-awaits]");
if (awaits) {
  const line = new Line(awaits.dataset.awaits);
  line.addEventListener("values", () => location.reload());
  line.connect();
}

// A filter holds at once; without a script its button does it.
for (const button of findAll("[data-filter-do]")) button.hidden = true;
on("change", "[data-filters]", (event, form) => form.requestSubmit());

on("click", "[data-quiet-add]", (event, button) => {
  const form = button.closest("[data-quiet]");
  const rows = find("[data-quiet-rows]", form);
  const number = Math.max(0, ...findAll("[name=row]", rows).map((row) => Number(row.value))) + 1;
  rows.insertAdjacentHTML("beforeend", find("[data-quiet-row]", form).innerHTML.replaceAll("NUMBER", number));
  find("input:not([type=hidden])", rows.lastElementChild).focus();
});
