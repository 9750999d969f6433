// Drawing on a canvas: grid, bands, lines with their gaps, zones and marks. Everything here is given pixels.
import { digitsOf, LINEAR, placeOf, timeTicks, written } from "./scale.js";

/** The drawing's place on its canvas and the two scales. */
export class Frame {
  constructor({ width, height, margins, shown, low, high, axis = LINEAR }) {
    Object.assign(this, { width, height, shown, low, high, axis });
    this.span = axis.along(high) - axis.along(low);
    this.left = margins.left;
    this.right = width - margins.right;
    this.top = margins.top;
    this.bottom = height - margins.bottom;
  }

  x(at) {
    return this.left + ((at - this.shown[0]) / (this.shown[1] - this.shown[0])) * (this.right - this.left);
  }

  y(value) {
    return this.bottom - ((this.axis.along(value) - this.axis.along(this.low)) / this.span) * (this.bottom - this.top);
  }

  timeAt(x) {
    return this.shown[0] + ((x - this.left) / (this.right - this.left)) * (this.shown[1] - this.shown[0]);
  }

  valueAt(y) {
    return this.axis.back(this.axis.along(this.low) + ((this.bottom - y) / (this.bottom - this.top)) * this.span);
  }
}

export function drawGrid(ink, frame, colours, { values = true, times = true } = {}) {
  ink.lineWidth = 1;
  ink.font = colours.font;
  ink.fillStyle = colours.text;
  ink.strokeStyle = colours.grid;
  if (values) {
    const ticks = frame.axis.ticks(frame.low, frame.high, Math.max(2, (frame.bottom - frame.top) / 44));
    const digits = frame.axis.digits ?? digitsOf(ticks);
    ink.textAlign = "right";
    ink.textBaseline = "middle";
    for (const tick of ticks) {
      stroke(ink, frame.left, frame.y(tick), frame.right, frame.y(tick));
      ink.fillText(written(tick, digits), frame.left - 8, frame.y(tick));
    }
  }
  const ticks = timeTicks(...frame.shown, Math.max(2, (frame.right - frame.left) / 96));
  for (const { at } of ticks) stroke(ink, frame.x(at), frame.top, frame.x(at), frame.bottom);
  ink.strokeStyle = colours.axis;
  stroke(ink, frame.left, frame.bottom, frame.right, frame.bottom);
  if (times) {
    ink.textBaseline = "top";
    for (const { at, text } of ticks) {
      ink.textAlign = frame.x(at) < frame.left + 24 ? "left" : frame.x(at) > frame.right - 24 ? "right" : "center";
      ink.fillText(text, frame.x(at), frame.bottom + 7);
    }
  }
}

function stroke(ink, x1, y1, x2, y2) {
  ink.beginPath();
  ink.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  ink.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
  ink.stroke();
}

/** Runs of neighbouring readings: [first, behind the last]. A missing one ends a run, and so does a pause above `gap`. */
export function runs(times, values, [first, last], gap) {
  const found = [];
  let start = -1;
  for (let n = first; n < last; n++) {
    const isThere = values[n] !== null && values[n] !== undefined;
    const isFar = start >= 0 && gap > 0 && times[n] - times[n - 1] > gap;
    if (start >= 0 && (!isThere || isFar)) {
      found.push([start, n]);
      start = -1;
    }
    if (isThere && start < 0) start = n;
  }
  if (start >= 0) found.push([start, last]);
  return found;
}

/** The places of what is shown, and one on either side so that lines go to the edge. */
export function visible(times, [from, to]) {
  return [Math.max(0, placeOf(times, from) - 1), Math.min(times.length, placeOf(times, to) + 1)];
}

export function drawLine(ink, frame, { times, values, gap }, colour, width = 1.4) {
  ink.strokeStyle = ink.fillStyle = colour;
  ink.lineWidth = width;
  ink.lineJoin = ink.lineCap = "round";
  for (const [first, behind] of runs(times, values, visible(times, frame.shown), gap)) {
    if (behind - first === 1) dot(ink, frame.x(times[first]), frame.y(values[first]), 1.5);
    else path(ink, frame, times, values, first, behind);
  }
}

/** Many readings in one column of pixels become its lowest and highest: the picture is the same and is drawn fast. */
function path(ink, frame, times, values, first, behind) {
  const perPixel = (behind - first) / Math.max(1, frame.right - frame.left);
  ink.beginPath();
  if (perPixel <= 3) {
    for (let n = first; n < behind; n++) ink.lineTo(frame.x(times[n]), frame.y(values[n]));
  } else {
    for (let n = first; n < behind; ) {
      const column = Math.floor(frame.x(times[n]));
      const x = column + 0.5;
      let low = values[n];
      let high = values[n];
      ink.lineTo(x, frame.y(values[n]));
      for (; n < behind && Math.floor(frame.x(times[n])) === column; n++) {
        low = Math.min(low, values[n]);
        high = Math.max(high, values[n]);
      }
      ink.lineTo(x, frame.y(low));
      ink.lineTo(x, frame.y(high));
      ink.lineTo(x, frame.y(values[n - 1]));
    }
  }
  ink.stroke();
}

export function drawBand(ink, frame, { times, low, high, gap }, colour) {
  ink.fillStyle = colour;
  for (const [first, behind] of runs(times, low, visible(times, frame.shown), gap)) {
    ink.beginPath();
    for (let n = first; n < behind; n++) ink.lineTo(frame.x(times[n]), frame.y(low[n]));
    for (let n = behind - 1; n >= first; n--) ink.lineTo(frame.x(times[n]), frame.y(high[n] ?? low[n]));
    ink.fill();
  }
}

/** What nobody measured is hatched, where it is wide enough to be seen. */
export function drawGaps(ink, frame, { times, values, gap }, colour) {
  const found = runs(times, values, visible(times, frame.shown), gap);
  ink.strokeStyle = colour;
  ink.lineWidth = 1;
  for (let n = 1; n < found.length; n++) {
    const from = frame.x(times[found[n - 1][1] - 1]);
    const to = frame.x(times[found[n][0]]);
    if (to - from >= 6) hatch(ink, Math.max(from, frame.left), Math.min(to, frame.right), frame.top, frame.bottom);
  }
}

function hatch(ink, left, right, top, bottom) {
  ink.save();
  ink.beginPath();
  ink.rect(left, top, right - left, bottom - top);
  ink.clip();
  ink.beginPath();
  for (let x = left - (bottom - top); x < right; x += 7) {
    ink.moveTo(x, bottom);
    ink.lineTo(x + bottom - top, top);
  }
  ink.stroke();
  ink.restore();
}

export function drawZones(ink, frame, zones, colours) {
  let labelled = -Infinity;
  for (const zone of [...zones].sort((one, other) => one.from - other.from)) {
    const left = Math.max(frame.left, frame.x(zone.from));
    const right = Math.min(frame.right, Math.max(frame.x(zone.to), frame.x(zone.from) + 2));
    if (right <= left) continue;
    ink.globalAlpha = zone.isQuiet ? 0.07 : 0.16;
    ink.fillStyle = zone.isQuiet ? colours.text : colours.signal;
    ink.fillRect(left, frame.top, right - left, frame.bottom - frame.top);
    ink.globalAlpha = 1;
    const middle = (left + right) / 2;
    if (!zone.label || middle - labelled < 14) continue;
    labelled = middle;
    label(ink, middle, frame.top - 8, zone.label, colours);
  }
}

function label(ink, x, y, text, colours) {
  ink.font = colours.font.replace("11px", "600 11px");
  ink.fillStyle = colours.strong;
  ink.textAlign = "center";
  ink.textBaseline = "middle";
  ink.fillText(text, x, y);
}

export function dot(ink, x, y, radius) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 7);
  ink.fill();
}
