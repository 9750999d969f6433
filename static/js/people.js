// People, teams, the organisation: ask first, copy a link, and hand over only by the address typed out.
import "./confirm.js";
import "./keys.js";
import { find, on } from "./dom.js";

on("input", "[data-transfer-to], [data-transfer-typed]", (event, field) => {
  const form = field.form;
  const email = find("[data-transfer-to]", form).selectedOptions[0]?.dataset.email;
  find("[data-transfer-do]", form).disabled = !email || find("[data-transfer-typed]", form).value.trim() !== email;
});
