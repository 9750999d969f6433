// Questions about a picture: the picture is sent as soon as it is chosen.
import { find, on } from "./dom.js";
import { onPicture, send } from "./search/sent.js";
import "./search/why.js";

const form = find("[data-ask]");

async function take(file) {
  const sent = await send(file, form.dataset.send, find("#refusal"));
  if (!sent) return;
  find("[data-picture]").value = "";
  find("[data-sent]").value = sent.id;
  const preview = find("[data-preview]");
  preview.src = sent.picture;
  preview.alt = sent.name;
  preview.hidden = false;
  find("#question").focus();
}

on("change", "[data-file]", (event, field) => take(field.files[0]));
onPicture("[data-drop]", take);
