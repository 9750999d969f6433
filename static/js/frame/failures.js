// Requests that failed for a reason the page has no place for.
import { say } from "../dom.js";
import { toast } from "./toasts.js";

const TOLD_IN_PLACE = new Set([401, 422, 429]);

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (TOLD_IN_PLACE.has(status) || event.detail.xhr.getResponseHeader("HX-Retarget")) return;
  toast(status === 503 ? say("outage") : say("request_failed", { status }), { danger: true });
});
document.addEventListener("htmx:sendError", () => toast(say("unreachable"), { danger: true }));

// A 404 is put in only where the server said where; otherwise it would replace what is being read.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status >= 400 && !xhr.getResponseHeader("HX-Retarget")) event.detail.shouldSwap = false;
});

// htmx.ajax rejects without a reason when a request cannot be sent; that was told above.
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason === undefined) event.preventDefault();
});
