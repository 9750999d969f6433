// One answer that is being written: follows its stream, writes it, measures it, and takes over the
// stored message when it is done. Tells everybody else through the event `answer`.
import { announce, find, icon, number, say } from "../dom.js";
import { socket } from "./socket.js";
import { Writer, sourceOf } from "./writer.js";

const WINDOW = 4000; // ms over which the rate is taken
const STORED_AFTER = [60, 150, 300, 600, 1000, 2000, 4000, 8000]; // ms between looks for the stored message

let sentAt = null;

/** Call when a message is sent, so that the next answer can tell the time to its first token. */
export function noteSent() {
  sentAt = performance.now();
}

export class LiveAnswer {
  tokens = 0;
  phase = "waiting"; // waiting, writing, ended
  started = null; // data of the event
  position = null;
  firstToken = null; // seconds, when it can be known here
  outcome = null;
  error = null;
  #rates = [];
  #from = null;
  #writer;
  #leave;

  constructor(article) {
    this.article = article;
    this.requestId = article.dataset.requestId;
    this.prose = find("[data-markdown]", article);
    this.#writer = new Writer(this.prose);
    this.#from = sentAt;
    sentAt = null;
    this.#leave = socket.subscribe(this.requestId, this);
    this.#tell();
  }

  get rate() {
    if (this.outcome?.duration > 0 && this.outcome.completion_tokens > 1) return (this.outcome.completion_tokens - 1) / this.outcome.duration;
    const [first, last] = [this.#rates[0], this.#rates.at(-1)];
    return first && last.at - first.at > 300 ? (1000 * (last.tokens - first.tokens)) / (last.at - first.at) : null;
  }

  get text() {
    return this.#writer.text;
  }

  get contextUsed() {
    return this.started ? this.started.prompt_tokens + this.tokens : null;
  }

  stop() {
    socket.stop(this.requestId);
  }

  close() {
    this.#leave();
  }

  entries(entries, replayed = false) {
    for (const [, event, data] of entries) this[`on_${event}`]?.(data);
    if (!replayed && this.phase === "writing") this.#sample();
    this.#tell();
    if (this.phase === "ended") this.#finish();
  }

  refused() {
    if (this.phase !== "ended") this.#finish(true);
  }

  on_progress(data) {
    this.position = data.position;
    this.#say(data.position ? say("in_line", { position: number(data.position) }) : say("next_in_line"));
  }

  on_started(data) {
    this.started = data;
    this.position = null;
    this.#say(say("writing"));
  }

  on_delta(data) {
    if (this.phase === "waiting") {
      this.phase = "writing";
      if (this.#from !== null) this.firstToken = (performance.now() - this.#from) / 1000;
      find("[data-skeleton]", this.article)?.remove();
      this.prose.dataset.writing = "";
    }
    this.tokens += data.tokens ?? 1;
    if (data.text) this.#writer.push(data.text);
  }

  on_done(data) {
    this.outcome = data;
    this.phase = "ended";
  }

  on_error(data) {
    this.error = data;
    this.phase = "ended";
  }

  #sample() {
    const at = performance.now();
    this.#rates.push({ at, tokens: this.tokens });
    while (this.#rates[0].at < at - WINDOW) this.#rates.shift();
  }

  #say(text) {
    const place = find("[data-live-text]", this.article);
    if (place && place.textContent !== text) place.textContent = text;
  }

  #tell() {
    this.article.dispatchEvent(new CustomEvent("answer", { bubbles: true, detail: this }));
  }

  #finish(gone = false) {
    this.#leave();
    this.#writer.end();
    delete this.prose.dataset.writing;
    find("[data-skeleton]", this.article)?.remove();
    find("[data-live]", this.article)?.remove();
    this.article.removeAttribute("aria-busy");
    if (this.outcome) this.article.dataset.contextUsed = this.outcome.prompt_tokens + this.outcome.completion_tokens;
    if (this.error) showError(this.article, this.error);
    announce(this.#verdict());
    if (this.article.dataset.messageUrl) this.#takeStored(gone);
    else delete this.article.dataset.requestId;
  }

  #verdict() {
    if (this.error) return say("failed");
    return this.outcome?.finish_reason === "abort" ? say("stopped") : say("finished", { tokens: number(this.tokens) });
  }

  /** Put the stored message in this one's place, keeping what is drawn when the text is the same. */
  async #takeStored(gone) {
    for (const wait of STORED_AFTER) {
      await new Promise((done) => setTimeout(done, wait));
      if (!this.article.isConnected) return;
      const stored = await storedArticle(this.article.dataset.messageUrl);
      if (!stored || stored.dataset.requestId) continue;
      this.#become(stored);
      return;
    }
    if (gone) showNote(this.article, say("gone"));
  }

  #become(stored) {
    const prose = find("[data-markdown]", stored);
    const same = prose.textContent === this.text;
    if (same) prose.replaceWith(this.prose);
    else if (this.text) stored.dataset.mismatch = ""; // seen by the tests: streamed and stored must be equal
    const focused = this.article.contains(document.activeElement);
    this.article.replaceWith(stored);
    window.htmx?.process(stored);
    stored.dispatchEvent(new CustomEvent("stored", { bubbles: true, detail: { answer: this, same } }));
    if (focused) stored.focus({ preventScroll: true });
  }
}

async function storedArticle(url) {
  const response = await fetch(url, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!response?.ok) return null;
  return new DOMParser().parseFromString(await response.text(), "text/html").querySelector("article");
}

export function showError(article, error) {
  const known = say(`error_${error.type}`, error);
  showNote(article, known.startsWith("error_") ? say("error_internal") : known);
}

function showNote(article, text) {
  const note = Object.assign(document.createElement("div"), { className: "note note--danger" });
  note.append(icon("error"), Object.assign(document.createElement("span"), { textContent: text }));
  find("[data-note]", article)?.replaceChildren(note);
}

/** The pieces of a meter, as plain data: [number, sentence around it]. */
export function meterTexts(answer) {
  const texts = [];
  if (answer.tokens) texts.push(say("tokens", { n: number(answer.tokens) }));
  if (answer.rate) texts.push(say("per_second", { n: number(answer.rate, 1) }));
  const first = answer.outcome?.time_to_first_token || answer.firstToken;
  if (first) texts.push(say("first_token", { n: number(first, 2) }));
  if (answer.started?.queue_time > 0.005) texts.push(say("queue_time", { n: number(answer.started.queue_time, 2) }));
  return texts;
}

export function fillMeter(place, answer) {
  place.replaceChildren(...meterTexts(answer).map((text) => {
    const span = document.createElement("span");
    span.innerHTML = text.replace(/[<>&]/g, "").replace(/[\d.,]+(?: s)?/, "<b>$&</b>");
    return span;
  }));
}

export { sourceOf };
