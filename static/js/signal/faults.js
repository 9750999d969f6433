// Buttons that put faults into the simulated plant, and how long they still last.
import { find, language, number, on, post, say } from "../dom.js";
import { toast } from "../frame/toasts.js";

let faults = JSON.parse(find("#faults-now")?.textContent ?? "[]");

on("input", "[data-faults] [name=size]", (event, range) => { find("[data-size-words]").textContent = `${number(Number(range.value))} σ`; });
on("submit", "[data-faults]", async (event, form) => {
  event.preventDefault();
  const button = event.submitter;
  const values = Object.fromEntries(new FormData(form, button));
  delete values.csrfmiddlewaretoken;
  button.setAttribute("aria-busy", "true");
  try {
    const response = await post(form.action, values);
    const said = await response.json().catch(() => ({}));
    if (!response.ok) toast(said.reasons?.join(" ") ?? say("request_failed", { status: response.status }), { danger: true });
    else {
      faults = said.faults;
      find("[data-fault-words]", form).textContent = say("fault_in", { name: find("b", button).textContent, sensor: form.elements.sensor.selectedOptions[0].text });
      show();
    }
  } finally {
    button.removeAttribute("aria-busy");
  }
});

function show() {
  const now = Date.now() / 1000;
  const lasting = faults.filter((one) => one.end > now);
  const list = find("[data-fault-list]");
  list.hidden = !lasting.length;
  find("[data-fault-none]").hidden = Boolean(lasting.length);
  list.replaceChildren(...lasting.map((one) => item(one, now)));
}

function item(fault, now) {
  const made = document.createElement("li");
  made.className = "list__item small";
  const name = find(`[data-faults] [value="${fault.kind}"] b`)?.textContent ?? fault.kind;
  const sensor = [...(find("#fault-sensor")?.options ?? [])].find((one) => one.value === fault.sensor)?.text ?? fault.sensor;
  const words = Object.assign(document.createElement("span"), { className: "grow", textContent: `${name}, ${sensor}` });
  const left = Object.assign(document.createElement("span"), { className: "caption num nowrap" });
  left.textContent = fault.begin > now ? new Date(1000 * fault.begin).toLocaleTimeString(language) : say("fault_left", { n: number(Math.ceil(fault.end - now)) });
  made.append(words, left);
  return made;
}

if (find("[data-fault-list]")) {
  show();
  setInterval(show, 1000);
}
