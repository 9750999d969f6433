// The API reference: operations are kept or hidden while words are typed; an address with #operation opens it.
import { find, findAll, on } from "./dom.js";

on("input", "[data-reference-search] input", (event, field) => keep(field.value));

on("submit", "[data-reference-search]", (event) => {
  // A page that was narrowed by the server lacks the rest.
  if (!new URLSearchParams(location.search).get("q")) event.preventDefault();
});

function keep(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const operation of findAll("[data-operation]")) {
    const told = operation.dataset.operation.toLowerCase();
    operation.hidden = !wanted.every((word) => told.includes(word));
  }
  for (const section of findAll("[data-section]")) {
    section.hidden = !find("[data-operation]:not([hidden])", section);
  }
  find("[data-reference-empty]").hidden = Boolean(find("[data-section]:not([hidden])"));
}

function openNamed() {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

addEventListener("hashchange", openNamed);
openNamed();
