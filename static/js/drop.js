// Files that are dropped onto something.
import { on } from "./dom.js";

/** Calls take(place, files, transfer) with what is dropped onto a place; while it hovers the place has data-over. */
export function onDrop(selector, take) {
  on("dragover", selector, (event, place) => {
    event.preventDefault();
    place.dataset.over = "";
  });
  on("dragleave", selector, (event, place) => delete place.dataset.over);
  on("drop", selector, (event, place) => {
    event.preventDefault();
    delete place.dataset.over;
    if (event.dataTransfer.files.length) take(place, event.dataTransfer.files, event.dataTransfer);
  });
}
