// A file that was sent: wait until it was looked at, let somebody say what its columns are, follow how it is read.
import { find, findAll, number, on, post, say } from "../dom.js";
import { ask } from "./readings.js";

const root = find("[data-upload]");
const EVERY = 1000;
const STATES = {
  waiting: say("upload_waiting"), ready: say("upload_ready"), reading: say("upload_reading"), done: say("upload_done"),
  failed: say("upload_failed"), cancelled: say("upload_cancelled"),
};
const KINDS = { time: say("kind_time"), number: say("kind_number"), text: say("kind_text"), empty: say("kind_empty") };
const FIELDS = {
  sensor: (name) => say("mapping_sensor", { name }), name: (name) => say("mapping_name", { name }), unit: (name) => say("mapping_unit", { name }),
};
const known = JSON.parse(find("#known-sensors")?.textContent ?? "[]");
let look = null;

if (root) follow();

async function follow() {
  let upload = null;
  try {
    upload = await ask(root.dataset.state);
    show(upload);
  } catch {
    // The next look is a second away; the frame tells of a lost connection.
  }
  if (!upload || upload.state === "waiting" || upload.state === "reading") setTimeout(follow, EVERY);
}

function show(upload) {
  const works = Boolean(root.dataset.works);
  part("[data-upload-waiting]", upload.state === "waiting");
  part("[data-upload-failed]", upload.state === "failed");
  part("[data-upload-reading]", ["reading", "done"].includes(upload.state) || (upload.state !== "ready" && upload.rows > 0));
  part("[data-mapping]", upload.state === "ready" && works);
  part("[data-upload-problems]", upload.problems.length > 0);
  for (const [selector, isShown] of [["[data-upload-leave]", ["waiting", "ready", "reading"].includes(upload.state)], ["[data-upload-charts]", upload.state === "done"]]) {
    const found = find(selector);
    if (found) found.hidden = !isShown;
  }
  const badge = find("[data-upload-state]");
  badge.textContent = STATES[upload.state];
  find("[data-upload-error]").textContent = upload.error;
  showProgress(upload);
  showProblems(upload.problems);
  if (upload.look && upload.look !== look) showLook(upload);
}

function part(selector, isShown) {
  find(selector, root).hidden = !isShown;
}

function showProgress({ rows, total, stored, known: repeated, failed, state }) {
  const bar = find("[data-upload-bar]", root);
  if (total) bar.value = Math.min(1, rows / total);
  else if (state === "done") bar.value = 1;
  else bar.removeAttribute("value");
  const figures = { "[data-upload-rows]": total ? `${number(rows)} / ${number(total)}` : number(rows), "[data-upload-stored]": number(stored), "[data-upload-known]": number(repeated), "[data-upload-cells]": number(failed) };
  for (const [selector, text] of Object.entries(figures)) find(selector, root).textContent = text;
}

function showProblems(problems) {
  find("[data-upload-problem-rows]", root).replaceChildren(...problems.map((cells) => row(cells.map((text, n) => cell(text, n === 0 ? "r" : "")))));
}

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function cell(text, css = "", name = "td") {
  const made = document.createElement(name);
  made.className = css;
  made.textContent = text ?? "";
  return made;
}

// -- columns

function showLook(upload) {
  if (look) return; // what somebody is choosing is not overwritten
  look = upload.look;
  const words = [say("look_columns", { n: number(look.columns.length) })];
  if (look.count) words.push(say("look_rows", { n: number(look.count) }));
  if (look.delimiter) words.push(say("look_delimiter", { x: look.delimiter === "\t" ? "⇥" : look.delimiter }));
  find("[data-look-words]", root).textContent = words.join(", ");
  const names = look.columns.map((one) => one.name);
  for (const selector of ["[data-time]", "[data-sensor-column]", "[data-value-column]"]) options(find(selector, root), names);
  const { mapping } = upload;
  find("[data-time]", root).value = mapping.time ?? names[0];
  keep(find("[data-time-format]", root), mapping.time_format || "auto");
  find("[data-time-zone]", root).value = mapping.time_zone || "UTC";
  find("#zones").replaceChildren(...zones().map((zone) => new Option(zone)));
  if (mapping.sensor_column) {
    find("[data-shape]", root).value = "long";
    find("[data-sensor-column]", root).value = mapping.sensor_column;
    find("[data-value-column]", root).value = mapping.value_column;
  }
  const chosen = new Map((mapping.columns ?? []).map((one) => [one.column, one]));
  find("[data-columns]", root).replaceChildren(...look.columns.map((column) => columnRow(column, chosen.get(column.name))));
  showPreview();
  changed();
}

function options(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name)));
}

/** A form of times that the list does not have is put into it. */
function keep(select, value) {
  if (![...select.options].some((one) => one.value === value)) select.append(new Option(value));
  select.value = value;
}

function zones() {
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return ["UTC", mine, ...(Intl.supportedValuesOf?.("timeZone") ?? [])];
}

function columnRow(column, guess) {
  const box = field("checkbox", say("read_column", { name: column.name }));
  box.checked = Boolean(guess);
  box.dataset.take = "";
  const made = row([cell(""), cell(column.name, "", "th"), ...["sensor", "name", "unit"].map(() => cell("")), cell(column.examples.slice(0, 3).join(" · "), "caption wide-only preview__cell")]);
  made.dataset.column = column.name;
  made.children[1].scope = "row";
  made.children[1].append(Object.assign(document.createElement("span"), { className: "caption mapping__kind", textContent: ` ${KINDS[column.kind]}` }));
  const label = Object.assign(document.createElement("label"), { className: "mapping__take" });
  label.append(box);
  made.children[0].append(label);
  for (const [place, name] of [[2, "sensor"], [3, "name"], [4, "unit"]]) {
    const input = field("text", FIELDS[name](column.name));
    input.className = name === "sensor" ? "input mono" : "input";
    input.dataset[name] = "";
    input.value = guess?.[name] ?? "";
    if (name === "sensor") input.setAttribute("list", "known");
    made.children[place].append(input);
  }
  return made;
}

function field(type, label) {
  const made = Object.assign(document.createElement("input"), { type, autocomplete: "off", spellcheck: false });
  made.setAttribute("aria-label", label);
  return made;
}

function showPreview() {
  const kinds = look.columns.map((one) => (one.kind === "number" ? "r" : ""));
  find("[data-preview-head]", root).replaceChildren(row(look.columns.map((one, n) => Object.assign(cell(one.name, kinds[n], "th"), { scope: "col" }))));
  find("[data-preview-rows]", root).replaceChildren(...look.rows.map((cells) => row(cells.map((text, n) => cell(text === "" || text === null ? "·" : text, `${kinds[n]}${text ? "" : " muted"}`)))));
  part("[data-preview]", true);
}

function mapping() {
  const time = { time: find("[data-time]", root).value, time_format: find("[data-time-format]", root).value, time_zone: find("[data-time-zone]", root).value || "UTC" };
  if (isLong()) return { ...time, sensor_column: find("[data-sensor-column]", root).value, value_column: find("[data-value-column]", root).value };
  return { ...time, columns: taken().map((made) => ({
    column: made.dataset.column, sensor: find("[data-sensor]", made).value.trim(), name: find("[data-name]", made).value.trim(), unit: find("[data-unit]", made).value.trim(),
  })) };
}

const isLong = () => find("[data-shape]", root).value === "long";

function taken() {
  const time = find("[data-time]", root).value;
  return findAll("[data-column]", root).filter((made) => made.dataset.column !== time && find("[data-take]", made).checked);
}

function changed() {
  const time = find("[data-time]", root).value;
  part("[data-long]", isLong());
  part("[data-wide]", !isLong());
  for (const made of findAll("[data-column]", root)) {
    const isTime = made.dataset.column === time;
    const isTaken = !isTime && find("[data-take]", made).checked;
    made.toggleAttribute("data-off", !isTaken);
    find("[data-take]", made).disabled = isTime;
    for (const input of findAll("[data-sensor], [data-name], [data-unit]", made)) input.disabled = !isTaken;
    fill(made, isTaken);
  }
  const keys = new Set(known.map((one) => one.key));
  const fresh = taken().filter((made) => !keys.has(find("[data-sensor]", made).value)).length;
  find("[data-mapping-words]", root).textContent = isLong() ? say("mapping_long") : say("mapping_will", { n: number(taken().length), new: number(fresh) });
  find("[data-mapping] [type=submit]", root).disabled = !isLong() && !taken().length;
}

/** A sensor that is there already brings its name and unit; a new one gets a key from the column's name. */
function fill(made, isTaken) {
  const [sensor, name, unit] = ["sensor", "name", "unit"].map((one) => find(`[data-${one}]`, made));
  if (isTaken && !sensor.value) sensor.value = keyOf(made.dataset.column);
  const there = known.find((one) => one.key === sensor.value);
  if (there) [name.value, unit.value] = [there.name, there.unit];
  else if (isTaken && !name.value) name.value = made.dataset.column;
}

function keyOf(name) {
  const plain = name.normalize("NFKD").replace(/[^\w-]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase();
  return plain || `column-${look.columns.findIndex((one) => one.name === name) + 1}`;
}

on("change", "[data-mapping]", changed);
on("submit", "[data-mapping]", async (event) => {
  event.preventDefault();
  const response = await post(root.dataset.read, { mapping: JSON.stringify(mapping()) });
  const said = await response.json().catch(() => ({}));
  const refused = find("[data-mapping-refused]", root);
  refused.hidden = response.ok;
  refused.textContent = response.ok ? "" : (said.reasons?.join(" ") ?? say("request_failed", { status: response.status }));
  if (!response.ok) return;
  show(said);
  follow();
});
