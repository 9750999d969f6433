// How somebody arranges the charts of an asset: which stand where, how high they are, which are put away.
import { announce, find, findAll, on, post, say } from "../dom.js";

const STEPS = { up: -1, down: 1 };

export class Layout {
  constructor(root, address) {
    Object.assign(this, { root, address });
    on("click", "[data-arrange]", (event, button) => this.arrange(button));
    on("click", "[data-move]", (event, button) => this.move(button));
    on("click", "[data-size]", (event, button) => this.size(button));
    on("click", "[data-put-away]", (event, button) => this.putAway(button.closest("[data-panel]")));
    on("click", "[data-bring-back]", (event, button) => this.bringBack(button.dataset.bringBack));
  }

  get panels() {
    return findAll("[data-panel]", this.root);
  }

  arrange(button) {
    const isOn = this.root.toggleAttribute("data-arranging");
    button.setAttribute("aria-pressed", String(isOn));
    this.#showAway();
  }

  move(button) {
    const panel = button.closest("[data-panel]");
    const shown = this.panels.filter((one) => !one.hidden);
    const other = shown[shown.indexOf(panel) + STEPS[button.dataset.move]];
    if (!other) return;
    if (button.dataset.move === "up") other.before(panel);
    else other.after(panel);
    button.focus();
    announce(say("panel_moved", { name: panel.dataset.name, n: this.panels.indexOf(panel) + 1 }));
    this.save();
  }

  size(button) {
    const panel = button.closest("[data-panel]");
    const isLarge = panel.toggleAttribute("data-large");
    button.setAttribute("aria-pressed", String(isLarge));
    this.save();
  }

  putAway(panel) {
    panel.hidden = true;
    this.#showAway();
    find(`[data-bring-back="${panel.dataset.panel}"]`)?.focus();
    this.save();
  }

  bringBack(key) {
    find(`[data-panel="${key}"]`, this.root).hidden = false;
    this.#showAway();
    this.save();
  }

  #showAway() {
    for (const button of findAll("[data-bring-back]")) {
      button.hidden = !find(`[data-panel="${button.dataset.bringBack}"]`, this.root).hidden;
    }
    const place = find("[data-away]");
    const isArranging = "arranging" in this.root.dataset;
    if (place) place.hidden = !isArranging || !this.panels.some((one) => one.hidden);
  }

  save() {
    const keys = (panels) => panels.map((one) => one.dataset.panel);
    const content = {
      order: keys(this.panels),
      hidden: keys(this.panels.filter((one) => one.hidden)),
      large: keys(this.panels.filter((one) => "large" in one.dataset)),
    };
    clearTimeout(this.later);
    this.later = setTimeout(() => post(this.address, { content: JSON.stringify(content) }), 400);
  }
}
