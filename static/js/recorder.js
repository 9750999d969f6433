// A microphone on the page: a button that records, and a file field that is given the clip as WAV of 16 kHz.
import { find, on, onArrival, setIcon, within } from "./dom.js";

const RATE = 16000; // samples a second
const AGAIN = "record-again"; // which button has the focus once the page is there anew
let running = null; // stops what is being recorded

/** What is there now must not be replaced: a recording runs in it. */
export const isRecording = () => running !== null;

onArrival((root) => within(root, "[data-record]").forEach(show));

function show(place) {
  place.hidden = false;
  if (place.dataset.record && sessionStorage.getItem(AGAIN) === place.dataset.record) {
    sessionStorage.removeItem(AGAIN);
    find("button", place).focus();
  }
}

on("click", "[data-record] button", (event, button) => (running ? running() : record(button.closest("[data-record]"))));

async function record(place) {
  const strings = find("[data-record-strings]").dataset;
  running = () => {};
  try {
    give(place, await wav(await heard(place, strings), Number(strings.most)));
  } catch (error) {
    tell(place, strings[reason(error)]);
  } finally {
    running = null;
    look(place, strings, false);
  }
}

/** Resolves with what the browser recorded, until the button is pressed again or the time is over. */
async function heard(place, strings) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no microphone over plain http", "SecurityError");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  try {
    const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 128_000 });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const ended = new Promise((resolve, reject) => {
      recorder.onstop = resolve;
      recorder.onerror = (event) => reject(event.error);
    });
    recorder.start();
    running = () => recorder.state === "recording" && recorder.stop();
    const over = setTimeout(running, Number(strings.most) * 1000);
    look(place, strings, true);
    await ended;
    clearTimeout(over);
    return new Blob(parts);
  } finally {
    stream.getTracks().forEach((track) => track.stop());
  }
}

/** One channel of 16 kHz, 16 bits. */
async function wav(blob, most) {
  const context = new OfflineAudioContext(1, 1, RATE); // decoding brings it to its rate
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const count = Math.min(sound.length, most * RATE);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, place) => sound.getChannelData(place));
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const word = (at, text) => [...text].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * count, true);
  for (let at = 0; at < count; at++) {
    const mixed = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
    view.setInt16(44 + 2 * at, Math.round(Math.max(-1, Math.min(1, mixed)) * 32767), true);
  }
  return new File([view], "clip.wav", { type: "audio/wav" });
}

function give(place, file) {
  const field = find("[data-recorded]", place.closest("form"));
  const transfer = new DataTransfer();
  transfer.items.add(file);
  field.files = transfer.files;
  if (place.dataset.record) sessionStorage.setItem(AGAIN, place.dataset.record);
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

on("change", "[data-recorded]:not([data-asked])", (event, field) => field.form.requestSubmit());

function reason(error) {
  if (error?.name === "SecurityError") return "insecure";
  if (error?.name === "NotAllowedError") return "denied";
  if (error?.name === "NotFoundError" || error?.name === "NotReadableError") return "absent";
  return "failed";
}

function look(place, strings, isOn) {
  const button = find("button", place);
  const label = isOn ? strings.stop : place.dataset.label;
  setIcon(button, isOn ? "stop" : "mic");
  find("[data-record-word]", place).textContent = label;
  button.toggleAttribute("data-on", isOn);
  if (isOn) button.removeAttribute("aria-label");
  else button.setAttribute("aria-label", place.dataset.name);
  if (isOn) tell(place, strings.recording);
  else if (find("[data-record-said]", place).textContent === strings.recording) tell(place, "");
}

function tell(place, text) {
  find("[data-record-said]", place).textContent = text;
}
