// What the server knows of a stretch of time, as the charts want it.

/** JSON of an address with `values` in its query; throws what the server says. */
export async function ask(address, values = {}, signal = undefined) {
  const url = new URL(address, location.href);
  for (const [name, value] of Object.entries(values)) if (value !== null && value !== undefined) url.searchParams.set(name, value);
  const response = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" }, signal });
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Error(said.reasons?.join(" ") ?? String(response.status));
}

/** The first band of a sensor that has anything in it. */
export function bandOf(sensor, bands) {
  return bands.find((one) => one.sensor === sensor && one.times.length);
}

/** Columns of a chart from a series and the bands that detectors give of its sensor. */
export function withBand(series, bands) {
  const columns = { times: series.times, values: series.values };
  const band = bandOf(series.id, bands);
  return band ? { ...columns, band: { times: band.times, low: band.low, high: band.high } } : columns;
}

/** New readings, with a gap before the first when it comes much later than it was expected. */
export function fresh(points, last, interval) {
  const ordered = [...points].sort((a, b) => a[0] - b[0]);
  const times = [];
  const values = [];
  let before = last;
  for (const [at, value] of ordered) {
    if (interval && before !== undefined && at - before > 5 * interval) {
      times.push(before + interval);
      values.push(null);
    }
    times.push(at);
    values.push(value);
    before = at;
  }
  return { times, values };
}
