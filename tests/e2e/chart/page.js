// What the page of an asset does with charts, without a server behind it.
import { Overview } from "/static/js/chart/overview.js";
import { Threshold } from "/static/js/chart/threshold.js";
import { Trace } from "/static/js/chart/trace.js";
import { View } from "/static/js/chart/view.js";
import { toCsv, toPng } from "/static/js/chart/files.js";
import * as draw from "/static/js/chart/draw.js";
import * as scale from "/static/js/chart/scale.js";

const data = await (await fetch("/chart/data.json")).json();
const byId = (id) => document.getElementById(id);
const view = new View(data.value.times[0], data.value.times.at(-1));
const value = new Trace(byId("value"), view);
const score = new Trace(byId("score"), view, { limits: [0, 1], colour: "--c6" });
const threshold = new Threshold(score, byId("threshold"));
const overview = new Overview(byId("overview"), view, { window: "Shown", from: "From", to: "To" });
value.zones = data.zones;
value.set(data.value);
score.set(data.score);
overview.set(data.value);
Object.assign(window, { view, value, score, threshold, overview, toCsv, toPng, draw, scale, data });
document.body.dataset.ready = "";
