// Passkeys: the browser is asked for one, and what it says is sent with the form. webauthn-json.js (allauth's) turns
// what the server says into what the browser wants, and back; it is there before any module runs.
const webauthn = globalThis.webauthnJSON;
const find = (selector) => document.querySelector(selector);

function optionsOf(form) {
  const options = JSON.parse(form.querySelector("#passkey-data").textContent);
  return form.dataset.passkey === "create" ? options.creation_options : options.request_options;
}

/** A passkey that signs in alone is kept on the device and asks who holds it; another follows a password. */
function adapt(options, form) {
  const alone = form.querySelector("[data-passwordless]").checked;
  const wanted = { residentKey: alone ? "required" : "discouraged", requireResidentKey: alone };
  if (alone) wanted.userVerification = "required";
  Object.assign(options.publicKey.authenticatorSelection, wanted);
  return options;
}

async function loginOptions(form) {
  const answer = await fetch(form.action, { headers: { Accept: "application/json", "X-Requested-With": "XMLHttpRequest" } });
  if (!answer.ok) throw new Error(`passkey options: ${answer.status}`);
  return (await answer.json()).request_options;
}

async function credentialFor(form) {
  if ("passkeyLogin" in form.dataset) return webauthn.get(await loginOptions(form));
  if (form.dataset.passkey === "create") return webauthn.create(adapt(optionsOf(form), form));
  return webauthn.get(optionsOf(form));
}

for (const form of document.querySelectorAll("[data-passkey], [data-passkey-login]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const isSupported = webauthn.supported();
    find("[data-passkey-unsupported]").hidden = isSupported;
    if (!isSupported) return;
    find("[data-passkey-failed]").hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(await credentialFor(form));
      form.submit();
    } catch {
      find("[data-passkey-failed]").hidden = false;
    }
  });
}
