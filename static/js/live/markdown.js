// Markdown of a model to a safe piece of document. HTML in it is shown as text, never run.
import { Marked } from "../../vendor/marked.js";
import DOMPurify from "../../vendor/purify.js";
import { mathBlock, mathInline } from "./formula.js";

const marked = new Marked({ gfm: true, breaks: false });
marked.use({
  extensions: [mathBlock, mathInline],
  renderer: {
    html({ text, block }) {
      return block ? `<p class="plain">${escape(text.trimEnd())}</p>` : escape(text);
    },
    image({ href, text }) {
      return `<a href="${escape(href)}">${escape(text || href)}</a>`; // nothing is fetched because a model says so
    },
    heading({ tokens, depth }) {
      return `<h3 class="h-${depth}">${this.parser.parseInline(tokens)}</h3>`; // one level: the page keeps its outline
    },
    checkbox({ checked }) {
      return checked ? "☑ " : "☐ ";
    },
  },
});

const SAFE = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h3", "hr", "li", "ol", "p", "pre", "span", "strong",
    "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["align", "class", "data-display", "data-tex", "href", "start", "title"],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

export function lex(text) {
  return marked.lexer(text);
}

/** Tokens of `lex` as a document fragment. */
export function build(tokens, links = {}) {
  const list = Object.assign([...tokens], { links });
  return DOMPurify.sanitize(marked.parser(list), SAFE);
}

export function escape(text) {
  return text.replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);
}
