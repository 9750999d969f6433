// What watches signals has found something: told on every page that has its socket open.
import { socket } from "../live/socket.js";
import { toast } from "./toasts.js";

socket.addEventListener("anomaly", (event) => toast(event.detail.text, { warn: event.detail.event !== "ended" }));
