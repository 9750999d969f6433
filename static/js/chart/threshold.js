// The line that somebody draws: a handle over the chart that moves a real <input type="range">, which is what the keyboard
// and a screen reader use.
import { LINEAR, written } from "./scale.js";

const SVG = "http://www.w3.org/2000/svg";

export class Threshold {
  /** Tells the range's "input" and "change" like any other range; draws itself wherever that stands. The range counts
   *  along the axis of the chart. */
  constructor(trace, range) {
    Object.assign(this, { trace, range, axis: trace.options.axis ?? LINEAR });
    trace.view.handles += 1;
    this.group = document.createElementNS(SVG, "g");
    this.group.setAttribute("class", "threshold");
    this.group.dataset.thresholdHandle = "";
    this.line = this.#part("path", { class: "limit" });
    this.reach = this.#part("path", { class: "threshold__reach" });
    this.box = this.#part("rect", { class: "handle", rx: 5, height: 24 });
    this.grip = this.#part("path", { class: "handle-grip" });
    this.text = this.#part("text", { class: "limit-text" });
    trace.over.append(this.group);
    trace.element.addEventListener("trace:drawn", () => this.draw());
    range.addEventListener("input", () => this.draw());
    this.#listen();
  }

  get value() {
    return this.axis.back(Number(this.range.value));
  }

  set value(value) {
    this.range.value = this.axis.along(value);
    this.draw();
  }

  draw() {
    this.range.setAttribute("aria-valuetext", written(this.value, 2));
    const { frame } = this.trace;
    if (!frame) return;
    const y = Math.round(Math.min(frame.bottom, Math.max(frame.top, frame.y(this.value)))) + 0.5;
    const width = Math.max(44, frame.width - frame.right - 2);
    const left = frame.width - width;
    const isWide = width >= 56;
    this.line.setAttribute("d", `M${frame.left} ${y}H${left}`);
    this.reach.setAttribute("d", `M${frame.left} ${y}H${left}`);
    this.box.setAttribute("x", left);
    this.box.setAttribute("y", y - 12);
    this.box.setAttribute("width", width - 1);
    this.grip.setAttribute("d", isWide ? `M${left + 8} ${y - 3}h9M${left + 8} ${y + 3}h9` : "");
    this.text.setAttribute("x", left + (isWide ? 23 : 8));
    this.text.setAttribute("y", y + 4);
    this.text.textContent = written(this.value, 2);
  }

  #part(name, values) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    return this.group.appendChild(made);
  }

  #listen() {
    this.group.addEventListener("pointerdown", (event) => {
      if (event.button || this.range.disabled) return;
      event.preventDefault();
      event.stopPropagation();
      this.group.setPointerCapture(event.pointerId);
      const stop = new AbortController();
      const { signal } = stop;
      this.group.addEventListener("pointermove", (moved) => this.#move(moved), { signal });
      for (const end of ["pointerup", "pointercancel"]) {
        this.group.addEventListener(end, () => {
          stop.abort();
          this.range.dispatchEvent(new Event("change", { bubbles: true }));
          this.range.focus({ preventScroll: true });
        }, { signal });
      }
    });
  }

  #move(event) {
    const y = event.clientY - this.trace.element.getBoundingClientRect().top;
    this.range.value = this.axis.along(this.trace.frame.valueAt(y));
    this.range.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
