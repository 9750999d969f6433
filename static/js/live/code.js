// Code blocks: a head with the language and a copy button, colours once highlight.js is there.
import { findAll, icon, say } from "../dom.js";

let hljs = null;
let loading = null;
const LONGEST = 60_000; // characters; above this colouring costs more than it helps

function load() {
  loading ??= import("../../vendor/highlight.js").then((module) => { hljs = module.default; });
  return loading;
}

/** Give every bare <pre><code> below `root` its frame. */
export function frameCode(root) {
  for (const pre of findAll("pre", root)) {
    if (!pre.closest(".code")) frame(pre);
  }
}

function frame(pre) {
  const code = pre.firstElementChild;
  const language = /language-([\w+#.-]+)/.exec(code?.className ?? "")?.[1] ?? "";
  if (code) code.textContent = code.textContent.replace(/\n$/, "");
  const box = document.createElement("div");
  box.className = "code";
  const head = Object.assign(document.createElement("div"), { className: "code__head" });
  head.append(Object.assign(document.createElement("span"), { textContent: language || say("code") }), copyButton());
  pre.replaceWith(box);
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", `${language} ${say("code")}`.trim());
  box.dataset.language = language;
  box.append(head, pre);
}

function copyButton() {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn--quiet btn--small" });
  button.dataset.copyCode = "";
  button.append(icon("copy"), say("copy"));
  return button;
}

/** Colour the code blocks below `root`; those that are there already keep their colours. */
export async function colourCode(root) {
  const blocks = findAll(".code[data-language] code:not([data-coloured])", root).filter((code) => code.closest(".code").dataset.language);
  if (!blocks.length) return;
  if (!hljs) await load();
  for (const code of blocks) colour(code);
}

function colour(code) {
  const { language } = code.closest(".code").dataset;
  code.dataset.coloured = "";
  const text = code.textContent;
  if (!hljs.getLanguage(language) || text.length > LONGEST) return;
  code.innerHTML = hljs.highlight(text, { language, ignoreIllegals: true }).value; // hljs escapes the text itself
}
