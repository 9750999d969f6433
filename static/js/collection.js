// A collection: files on their way in, and the part of the page that changes while they are read.
import "./confirm.js";
import { find, findAll, on, post, say } from "./dom.js";
import { onDrop } from "./drop.js";
import { socket } from "./live/socket.js";

const TOGETHER = 16; // files a request
const MOST_BYTES = 16 * 2 ** 20; // a request, unless one file is larger

const form = find("[data-upload]");
const waiting = [];
let upload = "";
let sent = 0;
let total = 0;
let refused = 0;
let isHeld = false;
let isSending = false;

// -- sending

function take(files) {
  const fresh = [...files].filter((file) => !file.name.startsWith("."));
  waiting.push(...fresh);
  total += fresh.length;
  send();
}

async function send() {
  if (isSending) return;
  isSending = true;
  while (waiting.length && !isHeld) {
    show();
    const files = next();
    if (await put(files)) sent += files.length;
    else refused += files.length;
    renew();
  }
  isSending = false;
  show();
  if (!waiting.length) upload = "";
}

function next() {
  const files = [waiting.shift()];
  let bytes = files[0].size;
  while (waiting.length && files.length < TOGETHER && bytes + waiting[0].size <= MOST_BYTES) {
    bytes += waiting[0].size;
    files.push(waiting.shift());
  }
  return files;
}

/** Tried a few times: a server that is just being restarted is no reason to lose files. */
async function put(files) {
  const body = new FormData();
  body.append(upload ? "upload" : "collection", upload || form.dataset.collection);
  for (const file of files) body.append("files", file, file.name);
  for (const seconds of [1, 3, 8, 0]) {
    try {
      const response = await post(form.action, body);
      if (response.ok) {
        ({ upload } = await response.json());
        return true;
      }
      if (response.status < 500 && response.status !== 429) return false;
    } catch {
      // the network; waited for below
    }
    if (seconds) await new Promise((done) => setTimeout(done, 1000 * seconds));
  }
  return false;
}

function show() {
  const bar = find("[data-sent]");
  const hold = find("[data-hold]");
  bar.hidden = hold.hidden = !waiting.length && !isSending;
  bar.max = Math.max(total, 1);
  bar.value = sent;
  hold.lastChild.textContent = isHeld ? say("go_on") : say("pause");
  const lost = refused ? ` ${say("files_refused", { n: refused })}` : "";
  find("[data-sending]").textContent = total ? words() + lost : "";
}

function words() {
  if (isHeld) return say("files_held", { sent, total });
  return waiting.length || isSending ? say("sending_files", { sent, total }) : say("files_sent", { total: sent });
}

on("click", "[data-hold]", () => {
  isHeld = !isHeld;
  show();
  send();
});
on("change", "[data-files]", (event, field) => {
  take(field.files);
  field.value = "";
});
onDrop("[data-drop-files]", async (drop, files, transfer) => {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length) for (const entry of entries) take(await filesOf(entry));
  else take(files);
});
if (form) document.addEventListener("paste", (event) => take(event.clipboardData.files));
addEventListener("beforeunload", (event) => {
  if (waiting.length || isSending) event.preventDefault();
});

/** Of a folder all that is in it, however deep. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const one of some) found.push(...(await filesOf(one)));
  }
}

// -- what changes

const EVERY = 2000;
const live = find("[data-live]");
let isRenewing = false;

async function renew() {
  if (isRenewing || document.hidden) return;
  isRenewing = true;
  try {
    const response = await fetch(live.dataset.live, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    if (response.status === 401 || response.status === 404) location.reload();
    if (response.ok) replace(await response.text());
  } catch {
    // The next look is near; the frame tells of a lost connection.
  } finally {
    isRenewing = false;
  }
}

function replace(html) {
  if (live.contains(document.activeElement) || find("dialog:modal")) return;
  const closed = findAll("details[id]:not([open])", live).map((one) => one.id);
  live.innerHTML = html;
  for (const one of findAll("details[id]", live)) if (closed.includes(one.id)) one.open = false;
}

socket.addEventListener("search", (event) => {
  if (event.detail.collection === live.dataset.collection) renew();
});
socket.connect();
setInterval(() => find("[data-busy]", live) && renew(), EVERY);
