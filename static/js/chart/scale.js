// Where things stand on an axis, and what is written there. Times are seconds since 1970, UTC.
import { language } from "../dom.js";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
const DAY = 86400;

/** One tick alone tells no scale: then they stand closer. */
function twoAtLeast(ticksOf, count) {
  const ticks = ticksOf(count);
  return ticks.length > 1 || count > 8 ? ticks : twoAtLeast(ticksOf, 2 * count);
}

/** Round values from `low` to `high`, about `count` of them. */
export function valueTicks(low, high, count) {
  return high > low ? twoAtLeast((many) => roundValues(low, high, many), count) : [];
}

function roundValues(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999) ?? 10);
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) ticks.push(n * step + 0); // -0 becomes 0
  return ticks;
}

/** An axis along which equal steps are equally long. */
export const LINEAR = { along: (value) => value, back: (place) => place, ticks: valueTicks };

/** For scores: small ones are told apart though a peak is a hundred times as high. */
export const SCORES = {
  along: (value) => Math.log1p(Math.max(0, value)),
  back: (place) => Math.expm1(place),
  ticks: (low, high, count) => thinned([0, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 1e4].filter((one) => one >= low && one <= high), count),
  digits: 1,
};

/** Those that are far enough from each other on the axis of scores. */
function thinned(ticks, count) {
  const room = (Math.log1p(ticks.at(-1) ?? 0) / Math.max(count, 1)) * 0.6;
  const kept = [];
  for (const tick of ticks) if (!kept.length || Math.log1p(tick) - Math.log1p(kept.at(-1)) >= room) kept.push(tick);
  return kept;
}

/** Digits behind the point that tell `ticks` apart. */
export function digitsOf(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(ticks[0] || 1);
  if (!step) return 0;
  for (let digits = 0; digits < 6; digits++) {
    const scaled = step * 10 ** digits;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * Math.max(1, scaled)) return digits;
  }
  return 6;
}

export function written(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 10 ** -Math.max(digits, 3))) return value.toExponential(2);
  return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** As many digits as a reading needs: 88.4, 0.0312, 1,204. */
export function reading(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  return written(value, size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** Round moments of local time, about `count` of them, with their text. */
export function timeTicks(from, to, count) {
  return twoAtLeast((many) => roundMoments(from, to, many), count);
}

function roundMoments(from, to, count) {
  const rough = (to - from) / Math.max(count, 1);
  const step = STEPS.find((one) => one >= rough);
  return step ? withinDays(from, to, step) : wholeDays(from, to, Math.ceil(rough / DAY));
}

function withinDays(from, to, step) {
  const offset = -60 * new Date(1000 * from).getTimezoneOffset();
  const ticks = [];
  for (let at = Math.ceil((from + offset) / step) * step - offset; at <= to; at += step) {
    const date = new Date(1000 * at);
    const isMidnight = !date.getHours() && !date.getMinutes() && !date.getSeconds();
    ticks.push({ at, text: isMidnight ? day(at) : step < 60 ? seconds(at) : minutes(at) });
  }
  return ticks;
}

function wholeDays(from, to, days) {
  if (days > 14) return months(from, to, Math.ceil(days / 31));
  const date = new Date(1000 * from);
  date.setHours(0, 0, 0, 0);
  const ticks = [];
  for (; date / 1000 <= to; date.setDate(date.getDate() + days)) {
    if (date / 1000 >= from) ticks.push({ at: date / 1000, text: day(date / 1000) });
  }
  return ticks;
}

function months(from, to, every) {
  const date = new Date(1000 * from);
  date.setHours(0, 0, 0, 0);
  date.setDate(1);
  const ticks = [];
  for (; date / 1000 <= to; date.setMonth(date.getMonth() + every)) {
    if (date / 1000 >= from) ticks.push({ at: date / 1000, text: format({ month: "short", year: "numeric" }, date / 1000) });
  }
  return ticks;
}

const formats = new Map();

function format(options, at) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language || undefined, options));
  return formats.get(key).format(1000 * at);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day = (at) => format({ day: "numeric", month: "short" }, at);
const minutes = (at) => format(CLOCK, at);
const seconds = (at) => format({ ...CLOCK, second: "2-digit" }, at);

/** A moment in full: 22 Nov, 15:20:05. */
export function moment(at) {
  return format({ day: "numeric", month: "short", ...CLOCK, second: "2-digit" }, at);
}

/** The first place in the ascending `list` that is not below `value`. */
export function placeOf(list, value) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The place in the ascending `list` that is nearest to `value`, or -1. */
export function nearest(list, value) {
  const place = placeOf(list, value);
  if (!list.length) return -1;
  if (place === 0) return 0;
  if (place === list.length) return place - 1;
  return list[place] - value < value - list[place - 1] ? place : place - 1;
}
