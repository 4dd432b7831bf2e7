// Passkeys on the library's own pages. A form with `data-passkey` holds where to ask for options and what to do with them;
// the answer goes back in its field `credential`, so that the server's own pages follow as without a script.
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const readable = (options) => {
  const read = { ...options, challenge: decode(options.challenge) };
  if (options.user) read.user = { ...options.user, id: decode(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) read[list] = options[list].map((known) => ({ ...known, id: decode(known.id) }));
  }
  return read;
};

const portable = (credential) => {
  const { response } = credential;
  const said = { clientDataJSON: encode(response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[part]) said[part] = encode(response[part]);
  }
  if (response.getTransports) said.transports = response.getTransports();
  const extensions = credential.getClientExtensionResults();
  return { id: credential.id, rawId: encode(credential.rawId), type: credential.type, response: said, extensions };
};

const ask = async (form, signal, mediation) => {
  const fields = new URLSearchParams({ csrfToken: form.elements.csrfToken.value });
  const headers = { accept: "application/json" };
  const answer = await fetch(form.dataset.options, { method: "POST", headers, body: fields });
  if (!answer.ok) throw new Error(`options: ${answer.status}`);
  const publicKey = readable((await answer.json()).publicKey);
  const create = form.dataset.passkey === "create";
  const request = { publicKey, signal, ...(mediation && { mediation }) };
  const credential = await navigator.credentials[create ? "create" : "get"](request);
  form.elements.credential.value = JSON.stringify(portable(credential));
  form.submit();
};

const say = (form, shown) => {
  const line = form.querySelector("[data-passkey-error]");
  if (line) line.hidden = !shown;
};

let waiting = new AbortController();

const prepare = (form) => {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(form, false);
    // The browser runs one ceremony at a time: the one that waits in the field gives way.
    waiting.abort();
    waiting = new AbortController();
    ask(form, waiting.signal).catch(() => say(form, true));
  });
};

const forms = [...document.querySelectorAll("form[data-passkey]")];
if (globalThis.PublicKeyCredential && navigator.credentials) {
  forms.forEach(prepare);
  const autofill = forms.find((form) => "autofill" in form.dataset);
  const offers = PublicKeyCredential.isConditionalMediationAvailable?.();
  if (autofill && offers && (await offers)) ask(autofill, waiting.signal, "conditional").catch(() => {});
}
