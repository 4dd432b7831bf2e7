// Countersign's browser client: an ES module without dependencies. Types are in countersign.d.ts.
const script = new URL(import.meta.url).pathname;
let base = script.includes("/assets/") ? script.slice(0, script.lastIndexOf("/assets/")) : "/api/auth";

/** Another base path than the one this script was loaded from. */
export function configure(options) {
  if (options.basePath) base = options.basePath.replace(/\/$/, "");
}

const get = async (action) => {
  const answer = await fetch(`${base}/${action}`, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`GET ${action}: ${answer.status}`);
  return answer.json();
};

const post = async (path, fields) => {
  const csrfToken = await getCsrfToken();
  const body = new URLSearchParams({ ...fields, csrfToken, json: "true" });
  const answer = await fetch(`${base}/${path}`, { method: "POST", headers: { accept: "application/json" }, body });
  let data = {};
  try { data = await answer.json(); } catch { /* no body: the status says enough */ }
  return { answer, data };
};

/** A session, or null: `{}` and `null` both mean that nobody is signed in. */
const sessionOf = (body) => (body && body.user ? body : null);

/** The session, or null when nobody is signed in. Rejects when it cannot be told. */
export async function getSession() {
  const session = sessionOf(await get("session"));
  set(session);
  tell();
  return session;
}

/** The CSRF token that forms repeat. */
export async function getCsrfToken() {
  return (await get("csrf")).csrfToken;
}

/** The providers people can sign in with, by id. */
export function getProviders() {
  return get("providers");
}

/** Signs in. Without a provider, goes to the sign-in page. */
export async function signIn(provider, options = {}, authorizationParams = {}) {
  const { callbackUrl = location.href, redirect = true, ...fields } = options;
  const providers = provider ? await getProviders() : {};
  if (!provider || !providers[provider]) {
    location.assign(`${base}/signin?callbackUrl=${encodeURIComponent(callbackUrl)}`);
    return undefined;
  }
  const credentials = providers[provider].type === "credentials";
  const query = new URLSearchParams(authorizationParams).toString();
  const path = `${credentials ? "callback" : "signin"}/${encodeURIComponent(provider)}${query && `?${query}`}`;
  const { answer, data } = await post(path, { ...fields, callbackUrl });
  const url = data.url ?? callbackUrl;
  if (redirect || !credentials) {
    go(url);
    return undefined;
  }
  const error = new URL(url, location.href).searchParams.get("error");
  if (answer.ok) await getSession();
  return { error: error ?? (answer.ok ? null : "Unknown"), status: answer.status, ok: answer.ok, url: answer.ok ? url : null };
}

/** Signs out. */
export async function signOut(options = {}) {
  const { callbackUrl = location.href, redirect = true } = options;
  const { answer, data } = await post("signout", { callbackUrl });
  if (answer.ok) {
    set(null);
    tell();
  }
  if (redirect && answer.ok) {
    go(data.url ?? callbackUrl);
    return undefined;
  }
  return { ok: answer.ok, status: answer.status, url: data.url ?? null };
}

const go = (url) => {
  location.assign(url);
  if (url.includes("#")) location.reload();
};

// The state everybody who subscribed is told. It starts from the session the page came with.
let state = { session: null, status: "loading" };
const listeners = new Set();
let channel;

const embedded = () => {
  const element = globalThis.document?.getElementById("countersign-session");
  if (!element) return undefined;
  try { return sessionOf(JSON.parse(element.textContent)); } catch { return undefined; }
};

const set = (session) => {
  const status = session ? "authenticated" : "unauthenticated";
  const same = status === state.status && JSON.stringify(session) === JSON.stringify(state.session);
  state = { session, status };
  if (!same) listeners.forEach((listener) => listener(state));
};

const tell = () => channel?.postMessage("session");

/** Asks again; what cannot be told now leaves the last known state as it is. */
const refresh = async () => {
  try { set(sessionOf(await get("session"))); } catch { /* offline or 503: nobody was signed out by that */ }
};

/** Calls `listener` now and on every change with `{session, status}`. Returns a function that stops it. */
export function subscribe(listener, options = {}) {
  const { refetchInterval = 0, refetchOnFocus = true } = options;
  if (state.status === "loading") {
    const session = embedded();
    if (session !== undefined) state = { session, status: session ? "authenticated" : "unauthenticated" };
  }
  if (!channel && globalThis.BroadcastChannel) {
    channel = new BroadcastChannel("countersign");
    channel.onmessage = refresh;
  }
  listeners.add(listener);
  listener(state);
  if (state.status === "loading") refresh();
  const seen = () => document.visibilityState === "visible" && refresh();
  if (refetchOnFocus) document.addEventListener("visibilitychange", seen);
  const timer = refetchInterval > 0 && setInterval(refresh, refetchInterval * 1000);
  return () => {
    listeners.delete(listener);
    document.removeEventListener("visibilitychange", seen);
    clearInterval(timer);
  };
}
