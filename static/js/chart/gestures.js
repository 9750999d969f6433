// Hands on a chart. Mouse: drag to zoom in, with Shift to move, Ctrl and wheel to zoom, twice to see all. Touch: one finger
// points, two zoom and move. Keys: arrows point, + and - zoom, Page keys move, 0 shows all.

const FEWEST = 6; // pixels that make a drag
const MOVES = { ArrowLeft: -1, ArrowRight: 1 };

export function hear(trace, signal) {
  const { element, view } = trace;
  const fingers = new Map();
  let start = null;

  const xOf = (event) => event.clientX - element.getBoundingClientRect().left;
  const timeOf = (event) => trace.frame.timeAt(xOf(event));
  const listen = (type, act, options = {}) => element.addEventListener(type, act, { signal, ...options });

  listen("pointerdown", (event) => {
    if (!trace.frame || event.button || event.target.closest("a, [data-threshold-handle]")) return;
    fingers.set(event.pointerId, { x: xOf(event), at: timeOf(event) });
    if (event.pointerType === "touch") {
      view.point(timeOf(event));
      return;
    }
    start = { x: xOf(event), at: timeOf(event), isPan: event.shiftKey, shown: [...view.shown] };
    element.setPointerCapture(event.pointerId);
  });

  listen("pointermove", (event) => {
    if (!trace.frame) return;
    if (fingers.size === 2 && fingers.has(event.pointerId)) pinch(event);
    else if (start?.isPan) view.show(...moved(start, event));
    else {
      if (start) trace.showBrush([start.x, xOf(event)]);
      view.point(timeOf(event));
    }
  });

  listen("pointerup", (event) => {
    fingers.delete(event.pointerId);
    if (!start) return;
    const { x, at, isPan } = start;
    start = null;
    trace.showBrush(null);
    if (!isPan && Math.abs(xOf(event) - x) >= FEWEST) view.show(...[at, timeOf(event)].sort((a, b) => a - b));
  });
  listen("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    start = null;
    trace.showBrush(null);
  });
  listen("pointerleave", (event) => {
    if (!start && event.pointerType !== "touch" && element !== document.activeElement) view.point(null);
  });
  listen("dblclick", () => view.reset());
  listen("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    view.zoom(event.deltaY > 0 ? 1.25 : 0.8, timeOf(event));
  }, { passive: false });
  listen("blur", () => view.point(null));
  listen("keydown", (event) => {
    if (event.target === element && !event.ctrlKey && !event.metaKey && !event.altKey && press(event)) event.preventDefault();
  });

  function moved(from, event) {
    const by = ((from.x - xOf(event)) / (trace.frame.right - trace.frame.left)) * (from.shown[1] - from.shown[0]);
    return [from.shown[0] + by, from.shown[1] + by];
  }

  /** Both fingers stay on the moments that they touched. */
  function pinch(event) {
    fingers.get(event.pointerId).x = xOf(event);
    const [a, b] = [...fingers.values()].sort((one, other) => one.x - other.x);
    if (b.x - a.x < 12 || b.at <= a.at) return;
    const perPixel = (b.at - a.at) / (b.x - a.x);
    view.show(a.at - (a.x - trace.frame.left) * perPixel, a.at + (trace.frame.right - a.x) * perPixel);
  }

  /** Whether the key meant something. */
  function press({ key, shiftKey }) {
    const at = view.cursor ?? (view.shown[0] + view.shown[1]) / 2;
    if (key in MOVES) view.point(at + (MOVES[key] * view.span * (shiftKey ? 10 : 1)) / 200);
    else if (key === "+" || key === "=") view.zoom(0.7, at);
    else if (key === "-") view.zoom(1 / 0.7, at);
    else if (key === "PageUp") view.pan(-view.span / 2);
    else if (key === "PageDown") view.pan(view.span / 2);
    else if (key === "0" || key === "Home") view.reset();
    else return false;
    return true;
  }
}
