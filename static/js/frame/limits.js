// A word of warning when a limit is nearly used up, on every page that has its socket open.
import { socket } from "../live/socket.js";
import { toast } from "./toasts.js";

socket.addEventListener("quota", (event) => toast(event.detail.text, { warn: true }));
