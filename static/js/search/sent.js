// A picture that is searched with, or asked about: sent, then read behind the scenes.
import { find, post, say } from "../dom.js";
import { onDrop } from "../drop.js";
import { toast } from "../frame/toasts.js";

/** What is known of it once it is read, or null when that failed; a refusal is put into `refusal`. */
export async function send(file, url, refusal) {
  if (!file?.type.startsWith("image/")) return null;
  toast(say("reading_picture"));
  const body = new FormData();
  body.append("picture", file, file.name || "picture");
  const response = await post(url, body);
  if (!response.ok) {
    refusal.innerHTML = await response.text();
    return null;
  }
  let sent = await response.json();
  for (let wait = 50; !sent.is_ready && !sent.error; wait = Math.min(2 * wait, 1000)) {
    await new Promise((done) => setTimeout(done, wait));
    sent = await (await fetch(sent.look, { credentials: "same-origin" })).json();
  }
  if (sent.error) toast(sent.error, { danger: true });
  return sent.error ? null : sent;
}

/** Files that are dropped on `selector`, or pasted anywhere. */
export function onPicture(selector, handler) {
  if (!find(selector)) return;
  onDrop(selector, (place, files) => handler(files[0]));
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files][0];
    if (file) handler(file);
  });
}
