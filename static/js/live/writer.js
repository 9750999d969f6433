// Writes Markdown into an element while it arrives. Only the last block is drawn again: what stands
// above it stays as it is, so nothing flickers and the work does not grow with the length.
import { findAll, say } from "../dom.js";
import { colourCode, frameCode } from "./code.js";
import { drawFormulas, endsInsideFormula } from "./formula.js";
import { build, lex } from "./markdown.js";

const RESTS = 4; // after drawing for t ms, wait at least RESTS * t
const sources = new WeakMap();

/** The Markdown that an element shows. */
export function sourceOf(element) {
  return sources.get(element) ?? element.textContent;
}

/** Draw finished text at once. */
export function write(element, text) {
  const writer = new Writer(element);
  writer.push(text);
  writer.end();
}

export class Writer {
  text = ""; // exactly what arrived
  #shown = ""; // the same without carriage returns, which Markdown drops anyway
  #settled = 0; // characters of #shown whose blocks are drawn for good
  #tail = []; // nodes of the last block
  #element;
  #timer = null;
  #cost = 0;

  constructor(element) {
    this.#element = element;
    element.classList.remove("plain");
    element.replaceChildren();
    sources.set(element, "");
  }

  push(text) {
    this.text += text;
    this.#shown += text.replace(/\r/g, "");
    sources.set(this.#element, this.text);
    this.#timer ??= setTimeout(() => requestAnimationFrame(() => this.#draw()), Math.min(500, this.#cost * RESTS));
    if (document.hidden) this.#draw(); // no frames are drawn for a tab in the background
  }

  /** Draw everything once more from the whole text; block by block and whole must not differ. */
  end() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#settled = 0;
    const tokens = lex(this.#shown);
    this.#element.replaceChildren(finished(build(tokens, tokens.links)));
    adorn(this.#element);
  }

  #draw() {
    if (this.#timer === null) return;
    this.#timer = null;
    const began = performance.now();
    const tokens = lex(this.#shown.slice(this.#settled));
    let last = tokens.findLastIndex((token) => token.type !== "space");
    const open = endsInsideFormula(this.#shown.slice(this.#settled));
    if (open) last = 0; // blank lines inside a formula would cut it
    const settled = tokens.slice(0, Math.max(0, last));
    const fresh = finished(build(settled, tokens.links));
    const tail = finished(build(tokens.slice(Math.max(0, last)), tokens.links));
    this.#settled += settled.reduce((sum, token) => sum + token.raw.length, 0);
    this.#replaceTail(fresh, tail);
    this.#cost = performance.now() - began;
    this.#element.dispatchEvent(new CustomEvent("written", { bubbles: true }));
  }

  #replaceTail(fresh, tail) {
    const changed = [...fresh.childNodes];
    if (!changed.length && growCode(this.#tail, tail)) return;
    for (const node of this.#tail) node.remove();
    this.#tail = [...tail.childNodes];
    this.#element.append(fresh, tail);
    adorn(this.#element);
  }
}

/** A code block that only grew keeps its frame, its scroll position and its button. */
function growCode(old, fresh) {
  const before = old.length === 1 && old[0].querySelector?.("pre > code");
  const after = fresh.childElementCount === 1 && fresh.firstElementChild.querySelector("pre > code");
  if (!before || !after || !old[0].matches(".code") || old[0].dataset.language !== fresh.firstElementChild.dataset.language) return false;
  before.textContent = after.textContent;
  delete before.dataset.coloured;
  colourCode(old[0]);
  return true;
}

function finished(fragment) {
  frameCode(fragment);
  for (const link of findAll("a[href]", fragment)) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const table of findAll("table", fragment)) frameTable(table);
  return fragment;
}

function frameTable(table) {
  const frame = Object.assign(document.createElement("div"), { className: "table-wrap", tabIndex: 0 });
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", say("table"));
  table.className = "table";
  table.replaceWith(frame);
  frame.append(table);
}

function adorn(element) {
  colourCode(element);
  drawFormulas(element);
}
