// TeX in Markdown: $..$, $$..$$, \(..\), \[..\]. KaTeX is fetched when the first formula is there.
import { findAll, katexStylesheet } from "../dom.js";

function escaped(tex) {
  return tex.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

function placeholder(token) {
  const display = token.display ? ' data-display="1"' : "";
  return `<span class="formula" data-tex="${escaped(token.tex)}"${display}>${escaped(token.raw.trim())}</span>`;
}

export const mathBlock = {
  name: "mathBlock",
  level: "block",
  start: (src) => src.match(/^ {0,3}(?:\$\$|\\\[)/m)?.index,
  tokenizer(src) {
    const match = /^ {0,3}(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n+|$)/.exec(src);
    if (!match) return undefined;
    return { type: "mathBlock", raw: match[0], tex: (match[1] ?? match[2]).trim(), display: true };
  },
  renderer: (token) => `<p class="formula-line">${placeholder(token)}</p>`,
};

// A single $ opens a formula only before a non-space and closes behind one, and not before a digit: "$5 and $6" is money.
const INLINE = /^(?:\$\$([^\n]+?)\$\$|\$(?!\s)((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)|\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\])/;

export const mathInline = {
  name: "mathInline",
  level: "inline",
  start: (src) => src.match(/\$|\\[([]/)?.index,
  tokenizer(src) {
    const match = INLINE.exec(src);
    if (!match) return undefined;
    const tex = match[1] ?? match[2] ?? match[3] ?? match[4];
    return { type: "mathInline", raw: match[0], tex: tex.trim(), display: match[1] !== undefined || match[4] !== undefined };
  },
  renderer: placeholder,
};

/** Whether text ends inside a display formula that is still being written. */
export function endsInsideFormula(text) {
  const dollars = text.match(/^ {0,3}\$\$/m) && (text.match(/\$\$/g)?.length ?? 0) % 2 === 1;
  return Boolean(dollars) || text.lastIndexOf("\\[") > text.lastIndexOf("\\]");
}

let katex = null;
let loading = null;

function load() {
  loading ??= (async () => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: katexStylesheet }));
    katex = (await import("../../vendor/katex/katex.js")).default;
  })();
  return loading;
}

/** Draw the formulas below `root`. KaTeX builds nodes, not a string: no inline style passes a parser. */
export async function drawFormulas(root) {
  const places = findAll(".formula:not([data-drawn])", root);
  if (!places.length) return;
  if (!katex) await load();
  for (const place of places) draw(place);
}

function draw(place) {
  const source = place.textContent;
  place.dataset.drawn = "";
  try {
    katex.render(place.dataset.tex, place, { displayMode: "display" in place.dataset, throwOnError: true, trust: false, maxSize: 20, maxExpand: 200 });
  } catch {
    place.textContent = source; // what cannot be set stays readable
  }
}
