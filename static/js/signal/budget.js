// The score of a detector and its threshold: what it would have raised is said while it is dragged, before it is saved.
import { announce, find, number, on, post, say } from "../dom.js";
import { SCORES, placeOf, written } from "../chart/scale.js";
import { Threshold } from "../chart/threshold.js";
import { Trace } from "../chart/trace.js";
import { toast } from "../frame/toasts.js";
import { ask, fresh } from "./readings.js";

const panels = new WeakMap();

export class Budget {
  constructor(panel, board) {
    Object.assign(this, { panel, board, history: null });
    panels.set(panel, this);
    this.range = find("[data-threshold]", panel);
    this.trace = new Trace(find("[data-trace]", panel), board.view, { axis: SCORES, colour: "--c6", limits: [0, this.#top()] });
    this.threshold = new Threshold(this.trace, this.range);
    this.stored = Number(panel.dataset.stored) || null;
    if (this.stored) this.threshold.value = this.stored;
    this.#loadHistory();
  }

  show({ times, scores, threshold }) {
    this.trace.set({ times, values: scores });
    this.panel.toggleAttribute("data-empty", !times.length);
    if (threshold !== null) this.stored = threshold;
    this.#fit(scores);
    this.readOut();
  }

  push(scores) {
    const found = fresh(scores, this.trace.data.times.at(-1), 0);
    this.trace.push(found);
    this.panel.removeAttribute("data-empty");
    this.#fit(found.values);
    this.#mark();
    this.readOut();
  }

  readOut() {
    const found = this.trace.reading();
    find("[data-readout]", this.panel).textContent = found && found.value !== null ? written(found.value, 2) : "–";
  }

  /** While the line is dragged. */
  moved() {
    this.#say();
    this.#mark();
    const button = find("[data-save]", this.panel);
    if (button) button.disabled = !this.#isChanged() && !this.#budgetIsChanged();
  }

  async save() {
    const select = find("[data-budget]", this.panel);
    const [budget, per] = select.value.split(" ");
    const values = this.#isChanged() ? { threshold: this.threshold.value.toFixed(4) } : { budget, per };
    const response = await post(this.panel.dataset.save, values);
    const said = await response.json().catch(() => ({}));
    if (!response.ok) {
      toast(said.reasons?.join(" ") ?? say("request_failed", { status: response.status }), { danger: true });
      return;
    }
    select.dataset.stored = select.value;
    this.changed(said);
    toast(said.threshold === null ? say("threshold_waits") : say("threshold_saved", { x: written(said.threshold, 2) }));
    this.#loadHistory();
  }

  /** The detector is as the server now says. */
  changed({ threshold }) {
    if (threshold !== null && !this.#isHeld()) {
      this.stored = threshold;
      this.threshold.value = threshold;
    }
    this.moved();
  }

  async #loadHistory() {
    this.history = await ask(this.panel.dataset.thresholds).catch(() => null);
    const { suggested } = this.history ?? {};
    const hint = find("[data-suggested]", this.panel);
    if (hint) hint.textContent = suggested === null || suggested === undefined ? say("budget_too_short") : say("budget_gives", { x: written(suggested, 2) });
    this.#fit(this.history?.thresholds ?? []);
    this.moved();
  }

  /** How many alarms a threshold would have raised: those of the next lower one that was counted. */
  #countAt(threshold) {
    const { thresholds, alarms, real } = this.history;
    const place = Math.max(0, placeOf(thresholds, threshold + 1e-9) - 1);
    return { alarms: alarms[place] ?? 0, real: real[place] ?? 0 };
  }

  #say() {
    const text = find("[data-would]", this.panel);
    const count = find("[data-alarms]", this.panel);
    if (!this.history?.thresholds.length) {
      count.textContent = "–";
      text.textContent = say("no_history");
      return;
    }
    const { alarms, real } = this.#countAt(this.threshold.value);
    const lower = this.#countAt(this.threshold.value * 0.8);
    count.textContent = number(alarms);
    const values = { x: written(this.threshold.value, 2), days: number(this.history.days), n: number(alarms), real: number(real) };
    const more = { x: written(this.threshold.value * 0.8, 2), n: number(lower.alarms) };
    const said = alarms === 0 ? say("would_none", values) : alarms === 1 ? say("would_one", values) : say("would_many", values);
    text.textContent = `${said} ${say("would_at", more)}`;
  }

  #mark() {
    const { times, values } = this.trace.data;
    this.trace.marks = [];
    let peak = null;
    values.forEach((value, n) => {
      if (value !== null && value > this.threshold.value) {
        if (!peak || value > peak.value) peak = { at: times[n], value };
      } else if (peak) {
        this.trace.marks.push(peak);
        peak = null;
      }
    });
    if (peak) this.trace.marks.push(peak);
    this.trace.draw();
  }

  /** Room for what is there, so that the line can be put above and below it. */
  #fit(scores) {
    const most = scores.reduce((high, one) => Math.max(high, one ?? 0), 1.2 * (this.stored ?? 1));
    if (most <= this.#top() * 0.98) return;
    const value = this.threshold.value;
    this.range.max = SCORES.along(most * 1.15).toFixed(3);
    this.trace.options.limits = [0, this.#top()];
    this.threshold.value = value;
    this.#mark();
  }

  #top() {
    return SCORES.back(Number(this.range.max));
  }

  #isHeld() {
    return document.activeElement === this.range && this.#isChanged();
  }

  #isChanged() {
    return this.stored === null || Math.abs(this.threshold.value - this.stored) > 0.006 * (1 + this.stored);
  }

  #budgetIsChanged() {
    const select = find("[data-budget]", this.panel);
    return select !== null && select.value !== select.dataset.stored;
  }
}

const of = (element) => panels.get(element.closest("[data-detector]"));

on("input", "[data-threshold]", (event, range) => of(range)?.moved());
on("change", "[data-threshold]", (event, range) => announce(find("[data-would]", range.closest("[data-detector]")).textContent));
on("change", "[data-budget]", (event, select) => of(select)?.moved());
on("click", "[data-save]", (event, button) => of(button)?.save());
