// A part of the query and the field that stands for it in the form: `kind@crop:weight:value`.
import { find } from "../dom.js";

export function refresh(part) {
  const field = find("[data-written]", part);
  const weight = Number(find("[data-weight]", part).value || 0);
  const [, kind, crop, id] = field.value.match(/^(\w+)(@[\d.,]+)?:[^:]*:(.*)$/) ?? [];
  const value = part.dataset.kind === "words" ? find("[data-value]", part).value.trim() : part.dataset.id || id;
  const cut = part.dataset.crop ?? crop ?? "";
  field.value = value ? `${part.dataset.kind ?? kind}${cut}:${weight}:${value}` : "";
  part.classList.toggle("part--minus", weight < 0);
}
