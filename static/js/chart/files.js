// What is shown, taken along: a table or a picture.
import { colours } from "./trace.js";

/** One row a moment of any chart, one column a chart; cells that nobody measured stay empty. */
export function toCsv(named, [from, to]) {
  const rows = new Map();
  named.forEach(([, { times, values }], column) => {
    times.forEach((at, n) => {
      if (at < from || at > to) return;
      if (!rows.has(at)) rows.set(at, new Array(named.length).fill(""));
      rows.get(at)[column] = values[n] ?? "";
    });
  });
  const lines = [...rows.keys()].sort((a, b) => a - b).map((at) => [new Date(1000 * at).toISOString(), ...rows.get(at)].join(","));
  return [["time", ...named.map(([name]) => quoted(name))].join(","), ...lines, ""].join("\r\n");
}

/** A cell that a spreadsheet would take for a formula is kept text. */
function quoted(text) {
  const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** All charts below each other, each under its name, at twice the size of the screen. */
export async function toPng(named, title) {
  const width = Math.max(...named.map(([, trace]) => trace.element.clientWidth));
  const height = 44 + named.reduce((sum, [, trace]) => sum + trace.element.clientHeight + 24, 0);
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
  const ink = canvas.getContext("2d");
  const inks = colours(named[0][1].element);
  ink.scale(2, 2);
  ink.fillStyle = inks.ground;
  ink.fillRect(0, 0, width, height);
  write(ink, inks, title, 12, 22, "600 15px");
  let top = 44;
  for (const [name, trace, threshold] of named) {
    write(ink, inks, name, 12, top + 10, "600 12px");
    ink.save();
    ink.translate(0, top + 20);
    const frame = trace.frameOf(trace.element.clientWidth, trace.element.clientHeight);
    trace.paint(ink, frame, colours(trace.element, trace.options.colour));
    if (threshold) line(ink, inks, frame, threshold.value);
    ink.restore();
    top += trace.element.clientHeight + 24;
  }
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function write(ink, inks, text, x, y, face) {
  ink.font = inks.font.replace("11px", face);
  ink.fillStyle = inks.strong;
  ink.textAlign = "left";
  ink.textBaseline = "middle";
  ink.fillText(text, x, y);
}

function line(ink, inks, frame, value) {
  ink.strokeStyle = inks.signal;
  ink.lineWidth = 1.5;
  ink.beginPath();
  ink.moveTo(frame.left, frame.y(value));
  ink.lineTo(frame.right, frame.y(value));
  ink.stroke();
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
