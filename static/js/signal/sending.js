// A file of readings on its way to the server, with how much of it is there.
import { csrfToken, find, on, say } from "../dom.js";
import { onDrop } from "../drop.js";

on("change", "[data-drop-readings] input", (event, field) => field.files.length && send(field.form, field.files[0]));
on("submit", "[data-readings-form]", (event) => event.preventDefault());
onDrop("[data-drop-readings]", (drop, files) => send(drop.closest("form"), files[0]));

/** With XMLHttpRequest, because fetch does not tell how much was sent. */
function send(form, file) {
  const bar = find("[data-sent]", form);
  const body = new FormData();
  body.append("asset", form.elements.asset.value);
  body.append("file", file, file.name);
  find("[data-drop-name]", form).textContent = file.name;
  refuse(form, "");
  bar.hidden = false;
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "json";
  request.setRequestHeader("X-CSRFToken", csrfToken());
  request.upload.onprogress = ({ loaded, total }) => { bar.value = total ? loaded / total : 0; };
  request.onload = () => {
    if (request.status < 300) location.assign(form.dataset.page.replace("00000000-0000-0000-0000-000000000000", request.response.id));
    else refuse(form, request.response?.reasons?.join(" ") ?? say("request_failed", { status: request.status }));
  };
  request.onerror = () => refuse(form, say("unreachable"));
  request.send(body);
}

function refuse(form, text) {
  const place = find("[data-refused]", form);
  place.textContent = text;
  place.hidden = !text;
  find("[data-sent]", form).hidden = Boolean(text);
  find("input[type=file]", form).value = "";
}
