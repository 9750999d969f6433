// What watches signals has found something: told on every page that has its socket open.
import { socket } from "../live/socket.js";
import { find, number } from "../dom.js";
import { toast } from "./toasts.js";

socket.addEventListener("anomaly", ({ detail }) => {
  toast(detail.text, { warn: detail.event !== "ended" });
  const place = find("[data-open-incidents]");
  if (!place) return;
  find("[data-count]", place).textContent = number(detail.open);
  place.hidden = !detail.open;
});
