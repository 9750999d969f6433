// One chart on a canvas: what was measured, what was expected, or the score. Charts with the same view move together.
import { Frame, dot, drawBand, drawGaps, drawGrid, drawLine, drawZones, visible } from "./draw.js";
import { hear } from "./gestures.js";
import { nearest } from "./scale.js";

const SVG = "http://www.w3.org/2000/svg";
const nothing = () => ({ times: [], values: [], gap: 0, band: { times: [], low: [], high: [] } });
const WIDE = { left: 48, right: 62, top: 20, bottom: 26 };
const NARROW = { left: 40, right: 50, top: 20, bottom: 26 };
const EDGE = 8; // at the right, where no handle stands

export class Trace {
  /**
   * `element` holds the chart and has a height of its own. `options`: `limits` [low, high] of the value axis (default: what
   * the data asks for), `axis` (scale.js), `colour` a variable's name, `margins`, `isFlat` for one without axes (an overview).
   */
  constructor(element, view, options = {}) {
    Object.assign(this, { element, view, options });
    this.data = nothing();
    this.zones = [];
    this.marks = [];
    this.canvas = element.querySelector("canvas") ?? element.appendChild(document.createElement("canvas"));
    this.over = element.querySelector("svg") ?? element.appendChild(document.createElementNS(SVG, "svg"));
    for (const each of [this.canvas, this.over]) each.setAttribute("aria-hidden", "true");
    this.over.setAttribute("class", "trace__over plot");
    this.cursorLine = part(this.over, "path", "trace__cursor");
    this.band = part(this.over, "rect", "trace__brush");
    this.listening = new AbortController();
    const { signal } = this.listening;
    view.addEventListener("range", () => this.draw(), { signal });
    view.addEventListener("cursor", () => this.#showCursor(), { signal });
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(element);
    onThemeChange(() => this.draw(), signal);
    if (!options.isFlat) hear(this, signal);
  }

  /** `times`, `values` (null where nothing is), `gap` in seconds, 0 where nulls tell all; `band` {times, low, high}. */
  set(data) {
    this.data = { ...nothing(), ...data };
    this.draw();
  }

  /** Readings that came in later. Those that are out of order find their place; the same moment again replaces. */
  push({ times, values }, keep = 20_000) {
    const here = this.data;
    times.forEach((at, n) => put(here.times, [[here.values, values[n]]], at));
    shorten([here.times, here.values], keep);
    this.draw();
  }

  pushBand({ times, low, high }, keep = 20_000) {
    const { band } = this.data;
    times.forEach((at, n) => put(band.times, [[band.low, low[n]], [band.high, high[n]]], at));
    shorten([band.times, band.low, band.high], keep);
    this.draw();
  }

  /** Drawn at most once a frame of the screen, however often it is asked for. */
  draw() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.drawNow();
    });
  }

  drawNow() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    resize(this.canvas, Math.round(width * scale), Math.round(height * scale));
    this.over.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.frame = this.frameOf(width, height);
    const ink = this.canvas.getContext("2d");
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    ink.clearRect(0, 0, width, height);
    this.paint(ink, this.frame, colours(this.element, this.options.colour));
    this.#showCursor();
    this.element.dispatchEvent(new CustomEvent("trace:drawn", { detail: this.frame }));
  }

  frameOf(width, height) {
    const margins = this.options.margins ?? this.#margins(width);
    const [low, high] = this.options.limits ?? this.#limits();
    return new Frame({ width, height, margins, shown: this.view.shown, low, high, axis: this.options.axis });
  }

  paint(ink, frame, inks) {
    const { isFlat } = this.options;
    if (!isFlat) drawGrid(ink, frame, inks);
    ink.save();
    ink.beginPath();
    ink.rect(frame.left, 0, frame.right - frame.left + 1, frame.height);
    ink.clip();
    drawZones(ink, frame, this.zones, inks);
    if (!isFlat) drawGaps(ink, frame, this.data, inks.grid);
    drawBand(ink, frame, { ...this.data.band, gap: this.data.gap }, inks.band);
    drawLine(ink, frame, this.data, inks.line, isFlat ? 1 : 1.4);
    ink.fillStyle = inks.signal;
    for (const { at, value } of this.marks) dot(ink, frame.x(at), frame.y(value), 4);
    ink.restore();
  }

  /** What was measured at the cursor, or at last: {at, value, low, high}, or null. */
  reading() {
    const { times, values, band } = this.data;
    const { cursor } = this.view;
    const place = cursor === null ? values.findLastIndex((one) => one !== null) : nearest(times, cursor);
    if (place < 0) return null;
    const beside = nearest(band.times, times[place]);
    return { at: times[place], value: values[place], low: band.low[beside] ?? null, high: band.high[beside] ?? null };
  }

  /** While somebody draws a selection: its edges in pixels, or null. */
  showBrush(edges) {
    const [from, to] = edges ?? [0, 0];
    const { top = 0, bottom = 0 } = this.frame ?? {};
    place(this.band, { x: Math.min(from, to), y: top, width: Math.abs(to - from), height: bottom - top });
  }

  close() {
    this.listening.abort();
    this.watcher.disconnect();
  }

  #showCursor() {
    if (!this.frame) return;
    const { cursor, shown } = this.view;
    const isSeen = cursor !== null && cursor >= shown[0] && cursor <= shown[1];
    const x = isSeen ? Math.round(this.frame.x(cursor)) + 0.5 : 0;
    this.cursorLine.setAttribute("d", isSeen ? `M${x} ${this.frame.top}V${this.frame.bottom}` : "");
  }

  #margins(width) {
    const margins = width < 560 ? NARROW : WIDE;
    return this.view.handles ? margins : { ...margins, right: EDGE };
  }

  #limits() {
    const { times, values, band } = this.data;
    const { shown } = this.view;
    const parts = [within(times, values, shown), within(band.times, band.low, shown), within(band.times, band.high, shown)];
    const least = Math.min(...parts.map(([low]) => low));
    const most = Math.max(...parts.map(([, high]) => high));
    if (least > most) return [0, 1];
    const room = (most - least || Math.abs(most) || 1) * 0.06;
    return [least - room, most + room];
  }
}

/** The lowest and the highest of what is shown. */
function within(times, values, shown) {
  const [first, behind] = visible(times, shown);
  let [least, most] = [Infinity, -Infinity];
  for (let n = first; n < behind; n++) {
    if (values[n] === null || values[n] === undefined) continue;
    least = Math.min(least, values[n]);
    most = Math.max(most, values[n]);
  }
  return [least, most];
}

function put(times, columns, at) {
  let place = times.length;
  while (place && times[place - 1] >= at) place--;
  const isAgain = times[place] === at ? 1 : 0;
  times.splice(place, isAgain, at);
  for (const [column, value] of columns) column.splice(place, isAgain, value);
}

function shorten(columns, keep) {
  const surplus = columns[0].length - keep;
  if (surplus > 0) for (const column of columns) column.splice(0, surplus);
}

function part(parent, name, css) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("class", css);
  return parent.appendChild(made);
}

function place(rect, values) {
  for (const [name, value] of Object.entries(values)) rect.setAttribute(name, value);
}

function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** The page's own variables, so that a chart follows the theme. */
export function colours(element, line = "--c1") {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    line: of(line), band: of("--band"), grid: of("--grid"), axis: of("--line-strong"), text: of("--ink-3"),
    strong: of("--ink"), ground: of("--surface"), signal: of("--signal"), font: `11px ${of("--font")}`,
  };
}

function onThemeChange(act, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act, { signal });
  const watcher = new MutationObserver(act);
  watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  signal.addEventListener("abort", () => watcher.disconnect());
}
