// What a silence would have kept quiet in the past, said before it is made.
import { find, number, on, say } from "../dom.js";
import { ask } from "./readings.js";

const DAYS = 30;
let asked = 0;

on("click", "[data-dialog-open=silence]", () => preview(find("[data-silence]")));
on("change", "[data-silence]", (event, form) => preview(form));

async function preview(form) {
  const mine = ++asked;
  const { sensor, severity } = form.elements;
  const found = await ask(form.dataset.preview, { sensor: sensor.value || null, severity: severity.value, days: DAYS }).catch(() => null);
  if (mine !== asked) return;
  find("[data-silence-note]", form).hidden = !found;
  if (!found) return;
  const titles = found.examples.slice(0, 3).map((one) => one.title).join(", ");
  const words = say("silence_would", { days: number(found.days), n: number(found.silenced), of: number(found.incidents) });
  find("[data-silence-words]", form).textContent = titles ? `${words} ${titles}` : words;
}
