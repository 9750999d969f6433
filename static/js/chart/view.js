// What several charts show together: the stretch of time, the moment under the cursor, whether they follow what comes in.

const SHORTEST = 2; // seconds

export class View extends EventTarget {
  /** `from` and `to` are what there is; `shown` is the part that is drawn. */
  constructor(from, to) {
    super();
    this.all = [from, to];
    this.shown = [from, to];
    this.cursor = null;
    this.follows = true;
    this.handles = 0; // lines that are dragged by a handle at the right: all charts leave room, so that they stay aligned
  }

  get span() {
    return this.shown[1] - this.shown[0];
  }

  get isWhole() {
    return this.shown[0] <= this.all[0] && this.shown[1] >= this.all[1];
  }

  show(from, to) {
    const most = this.all[1] - this.all[0];
    const span = Math.min(most, Math.max(SHORTEST, to - from));
    const middle = (from + to) / 2;
    const start = Math.min(this.all[1] - span, Math.max(this.all[0], middle - span / 2));
    this.shown = [start, start + span];
    this.follows = this.shown[1] >= this.all[1] - 0.002 * span;
    this.#tell("range");
  }

  /** Zoom by `factor` (below 1 is nearer), keeping `at` where it is. */
  zoom(factor, at = (this.shown[0] + this.shown[1]) / 2) {
    const [from, to] = this.shown;
    this.show(at - (at - from) * factor, at + (to - at) * factor);
  }

  pan(seconds) {
    this.show(this.shown[0] + seconds, this.shown[1] + seconds);
  }

  reset() {
    this.show(...this.all);
  }

  point(at) {
    this.cursor = at === null ? null : Math.min(this.shown[1], Math.max(this.shown[0], at));
    this.#tell("cursor");
  }

  /** Another stretch is there, as after choosing "14 days". */
  replace(from, to) {
    this.all = [from, to];
    this.cursor = null;
    this.reset();
  }

  /** Time went on. Whoever looks at the newest goes on looking at it; who looks back is left alone. What there is keeps its
   *  length, or `grows` from its beginning. */
  goOn(to, grows = false) {
    if (to <= this.all[1]) return;
    const by = to - this.all[1];
    const isWhole = this.isWhole;
    this.all = [this.all[0] + (grows ? 0 : by), to];
    if (isWhole) this.shown = [...this.all];
    else if (this.follows) this.shown = [this.shown[0] + by, to];
    this.#tell("range");
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
