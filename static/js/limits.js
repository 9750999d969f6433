// The limits page: which names are offered depends on what is chosen.
import { find, on } from "./dom.js";

on("change", "[data-scope]", (event, scope) => {
  const which = find("[data-which]", scope.form);
  which.hidden = scope.value === "organization";
  const field = find("input", which);
  field.setAttribute("list", `${scope.value}-names`);
  field.value = "";
});
