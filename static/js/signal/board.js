// All charts of an asset: what they load, how they get finer when somebody looks closer, and what comes in live.
import { find, findAll, say } from "../dom.js";
import { Overview } from "../chart/overview.js";
import { Trace } from "../chart/trace.js";
import { View } from "../chart/view.js";
import { reading } from "../chart/scale.js";
import { Budget } from "./budget.js";
import { ask, bandOf, fresh, withBand } from "./readings.js";

const WAIT = 250; // ms after the last movement before finer readings are asked for

export class Board extends EventTarget {
  constructor(root, facts) {
    super();
    Object.assign(this, { root, facts, loaded: [facts.begin, facts.end], spans: [], asked: null });
    this.view = new View(facts.begin, facts.end);
    this.sensors = new Map(findAll("[data-sensor]", root).map((panel) => [Number(panel.dataset.sensor), this.#sensor(panel)]));
    this.budgets = new Map(findAll("[data-detector]", root).map((panel) => [Number(panel.dataset.detector), new Budget(panel, this)]));
    const overview = find("[data-overview]", root);
    const names = { window: say("chart_window"), from: say("chart_from"), to: say("chart_to") };
    if (overview) this.overview = new Overview(overview, this.view, names);
    this.view.addEventListener("range", () => this.#refineLater());
    this.view.addEventListener("cursor", () => this.#readOut());
  }

  /** Everything of the whole stretch, up to `newest` when that is later than what is known. */
  async load(newest = 0) {
    if (newest > this.view.all[1]) this.#goOn(newest);
    const { begin, end, shown } = this.facts;
    const isDone = await this.#fill(begin, end, true);
    if (!isDone) return;
    this.root.dataset.loaded = "";
    this.facts.shown = null; // asked for by the address, once
    if (shown) this.view.show(...shown);
    else this.#refineLater();
  }

  #sensor(panel) {
    const trace = new Trace(find("[data-trace]", panel), this.view);
    return { panel, trace, interval: Number(panel.dataset.interval) || 0, hidden: false, expects: null };
  }

  /** Ask for a stretch and show it; whether it was not overtaken by a later wish. */
  async #fill(begin, end, isWhole = false) {
    this.asked?.abort();
    const mine = (this.asked = new AbortController());
    const width = this.root.clientWidth || 800;
    const values = { begin, end, points: Math.min(4000, Math.max(400, Math.round(width * 1.5))) };
    try {
      const budgets = [...this.budgets.values()];
      const [series, spans, ...scores] = await Promise.all([
        ask(this.facts.series, values, mine.signal),
        ask(this.facts.spans, { begin, end }, mine.signal),
        ...budgets.map((one) => this.#scoresOf(one, values, mine.signal)),
      ]);
      this.loaded = [begin, isWhole || end >= this.view.all[1] ? Infinity : end];
      this.#show(series, scores, isWhole);
      this.showSpans(spans.spans);
      budgets.forEach((one, n) => one.show(scores[n]));
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.#tell("failed", error.message);
      return false;
    }
  }

  /** Readings are shown even where scores cannot be had. */
  async #scoresOf(budget, values, signal) {
    try {
      return await ask(budget.panel.dataset.scores, values, signal);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.#tell("failed", error.message);
      return { times: [], scores: [], bands: [], threshold: null };
    }
  }

  #show({ sensors }, scores, isWhole) {
    const bands = scores.flatMap((one) => one.bands.map((band) => ({ ...band, detector: one.detector })));
    this.isCoarse = sensors.some((one) => one.level > 0 || one.count > one.times.length + 1);
    for (const series of sensors) {
      const sensor = this.sensors.get(series.id);
      if (!sensor) continue;
      sensor.trace.set(withBand(series, bands));
      sensor.expects = bandOf(series.id, bands)?.detector ?? null;
      sensor.panel.toggleAttribute("data-empty", !series.times.length);
    }
    if (isWhole && this.overview) this.overview.set(withBand(sensors.find((one) => one.times.length) ?? { times: [], values: [] }, []));
    this.#readOut();
  }

  showSpans(spans) {
    this.spans = spans;
    const numbers = new Map(findAll("[data-incident]").map((item) => [item.dataset.incident, item.dataset.number]));
    const zones = spans.map((span) => ({
      from: span.begin, to: span.end ?? this.view.all[1], label: numbers.get(span.id) ?? "",
      isQuiet: span.state === "false_alarm", sensors: span.sensors, detectors: span.detectors,
    }));
    for (const [id, { trace }] of this.sensors) this.#zones(trace, zones, (zone) => !zone.sensors.length || zone.sensors.includes(id));
    for (const [id, { trace }] of this.budgets) this.#zones(trace, zones, (zone) => zone.detectors.includes(id));
    if (this.overview) this.#zones(this.overview.trace, zones.map((zone) => ({ ...zone, label: "" })), () => true);
  }

  #zones(trace, zones, isOf) {
    trace.zones = zones.filter(isOf);
    trace.draw();
  }

  #refineLater() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.#refine(), WAIT);
  }

  /** Finer readings of what is shown, where what is there is coarse or does not reach that far. */
  #refine() {
    const [from, to] = this.view.shown;
    const [begin, end] = this.loaded;
    const has = Math.min(end, this.view.all[1]) - begin;
    const reaches = from >= begin && to <= end;
    const isNear = this.isCoarse && this.view.span < 0.6 * has;
    const isFar = this.view.span > 0.99 * has && !reaches;
    if (reaches && !isNear && !isFar) return;
    const room = this.view.isWhole ? 0 : this.view.span / 2;
    this.#fill(Math.max(this.view.all[0], from - room), Math.min(this.view.all[1], to + room));
  }

  #readOut() {
    for (const { panel, trace } of this.sensors.values()) {
      const found = trace.reading();
      const unit = panel.dataset.unit ? ` ${panel.dataset.unit}` : "";
      find("[data-readout]", panel).textContent = found && found.value !== null ? `${reading(found.value)}${unit}` : "–";
      const band = find("[data-expected]", panel);
      const isThere = found !== null && found.low !== null;
      band.textContent = isThere ? say("expected_between", { low: reading(found.low), high: reading(found.high) }) : "";
    }
    for (const budget of this.budgets.values()) budget.readOut();
  }

  // -- what comes in

  values(byId) {
    let newest = 0;
    for (const [id, points] of Object.entries(byId)) {
      const sensor = this.sensors.get(Number(id));
      if (!points.length) continue;
      newest = Math.max(newest, ...points.map(([at]) => at));
      if (!sensor || this.loaded[1] !== Infinity) continue;
      const { trace, interval, panel } = sensor;
      trace.push(fresh(points, trace.data.times.at(-1), interval));
      panel.removeAttribute("data-empty");
    }
    if (newest) this.#goOn(newest);
  }

  scores({ detector, scores, bands }) {
    const budget = this.budgets.get(detector);
    if (!budget || !scores.length || this.loaded[1] !== Infinity) return;
    budget.push(scores);
    for (const band of bands) this.#expect(detector, band);
  }

  /** Of several detectors that watch a sensor one gives its band: the first that has one. */
  #expect(detector, band) {
    const sensor = this.sensors.get(band.sensor);
    if (!sensor || !band.times.length) return;
    sensor.expects ??= detector;
    if (sensor.expects === detector) sensor.trace.pushBand(band);
  }

  #goOn(newest) {
    this.view.goOn(newest, this.facts.span === "all");
    this.facts.end = this.view.all[1];
    this.facts.begin = this.view.all[0];
    this.#readOut();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
