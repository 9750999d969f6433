// The whole stretch in small, and a window on it that is moved and widened by hand or with the arrows.
import { moment } from "./scale.js";
import { Trace } from "./trace.js";
import { View } from "./view.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGINS = { left: 48, right: 62, top: 4, bottom: 4 };

export class Overview {
  /** `names`: what the three parts are called: {window, from, to}. */
  constructor(element, view, names) {
    Object.assign(this, { element, view });
    this.whole = new View(...view.all);
    this.trace = new Trace(element, this.whole, { isFlat: true, margins: MARGINS });
    this.trace.over.removeAttribute("aria-hidden");
    this.parts = ["window", "from", "to"].map((name) => this.#part(name, names[name]));
    view.addEventListener("range", () => this.#follow());
    element.addEventListener("trace:drawn", () => this.draw());
  }

  set(data) {
    this.trace.set(data);
  }

  draw() {
    const { frame } = this.trace;
    if (!frame) return;
    const [from, to] = this.view.shown.map((at) => frame.x(at));
    const [window, left, right] = this.parts;
    shape(window, { x: from, y: 1, width: Math.max(4, to - from), height: frame.height - 2 });
    shape(left, { x: from - 4, y: frame.height / 2 - 10, width: 8, height: 20 });
    shape(right, { x: to - 4, y: frame.height / 2 - 10, width: 8, height: 20 });
    const [start, end] = this.view.shown;
    this.parts.forEach((part, n) => {
      const at = n === 2 ? end : start;
      part.setAttribute("aria-valuemin", Math.round(this.view.all[0]));
      part.setAttribute("aria-valuemax", Math.round(this.view.all[1]));
      part.setAttribute("aria-valuenow", Math.round(at));
      part.setAttribute("aria-valuetext", n ? moment(at) : `${moment(start)} – ${moment(end)}`);
    });
  }

  #follow() {
    if (this.whole.all[0] !== this.view.all[0] || this.whole.all[1] !== this.view.all[1]) this.whole.replace(...this.view.all);
    this.draw();
  }

  #part(name, label) {
    const rect = document.createElementNS(SVG, "rect");
    shape(rect, { class: `overview__${name === "window" ? "window" : "edge"}`, rx: name === "window" ? 3 : 2 });
    shape(rect, { role: "slider", tabindex: 0, "aria-label": label });
    rect.addEventListener("pointerdown", (event) => this.#drag(event, rect, name));
    rect.addEventListener("keydown", (event) => this.#press(event, name));
    return this.trace.over.appendChild(rect);
  }

  #drag(event, rect, name) {
    if (event.button) return;
    event.preventDefault();
    rect.focus({ preventScroll: true });
    rect.setPointerCapture(event.pointerId);
    const { frame } = this.trace;
    const [from, to] = this.view.shown;
    const stop = new AbortController();
    rect.addEventListener("pointermove", (moved) => {
      const by = frame.timeAt(moved.clientX) - frame.timeAt(event.clientX);
      this.#move(name, from, to, by);
    }, { signal: stop.signal });
    for (const end of ["pointerup", "pointercancel"]) rect.addEventListener(end, () => stop.abort(), { signal: stop.signal });
  }

  #press(event, name) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const [all0, all1] = this.view.all;
    const by = ((all1 - all0) / 100) * step * (event.shiftKey ? 10 : 1);
    this.#move(name, ...this.view.shown, by);
  }

  #move(name, from, to, by) {
    if (name === "window") this.view.show(from + by, to + by);
    else if (name === "from") this.view.show(Math.max(this.view.all[0], Math.min(from + by, to - 2)), to);
    else this.view.show(from, Math.min(this.view.all[1], Math.max(to + by, from + 2)));
  }
}

function shape(element, values) {
  for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
}
