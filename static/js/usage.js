// The usage page: charts wider than the screen begin with the newest; warnings of limits arrive.
import { findAll } from "./dom.js";
import { socket } from "./live/socket.js";

for (const strip of findAll(".strip")) strip.scrollLeft = strip.scrollWidth;
socket.connect();
