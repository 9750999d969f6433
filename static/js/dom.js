// Small things that every module needs: finding, listening, strings, icons, requests.

const data = JSON.parse(document.getElementById("page-data")?.textContent ?? "{}");

export const language = document.documentElement.lang;
export const katexStylesheet = data.katex_css;

export function say(key, values = {}) {
  const text = data.strings?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function find(selector, root = document) {
  return root.querySelector(selector);
}

export function findAll(selector, root = document) {
  return [...root.querySelectorAll(selector)];
}

/** Listen on the document for events of elements that match, also of those that come later. */
export function on(type, selector, handler) {
  document.addEventListener(type, (event) => {
    const element = event.target instanceof Element ? event.target.closest(selector) : null;
    if (element) handler(event, element);
  });
}

/** Run for the whole page now, and for every part that htmx puts in later. */
export function onArrival(handler) {
  handler(document.body);
  document.addEventListener("htmx:load", (event) => {
    if (event.target !== document.body) handler(event.target); // of the body itself htmx tells once, at the start
  });
}

export function within(root, selector) {
  const found = findAll(selector, root);
  if (root.matches?.(selector)) found.unshift(root);
  return found;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${data.icons}#${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(button, name) {
  button.querySelector("svg")?.replaceWith(icon(name));
}

/** Put text where a screen reader reads it aloud, once. */
export function announce(text) {
  const place = find("[data-announce]");
  if (place) place.textContent = text;
}

export function number(value, digits = 0) {
  return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function csrfToken() {
  return JSON.parse(document.body.getAttribute("hx-headers") ?? "{}")["X-CSRFToken"] ?? "";
}

/** POST a form; resolves with the response, whatever its status. */
export function post(url, values, options = {}) {
  const body = values instanceof FormData ? values : new URLSearchParams(values);
  return fetch(url, {
    method: "POST",
    body,
    headers: { "X-CSRFToken": csrfToken(), "HX-Request": "true" },
    credentials: "same-origin",
    ...options,
  });
}
