// A small React page over one of the three clients: it shows what useSession says, and lets the test call the rest.
import { createElement as element } from "react";
import { createRoot } from "react-dom/client";

/** `useStatus` brings the client's useSession into one shape: { session, status, update }. */
export function show(client, Provider, useStatus) {
  const App = () => {
    const { session, status, update } = useStatus();
    // Every state that was rendered, in order; the test reads it.
    if (window.states.at(-1) !== status) window.states.push(status);
    window.update = update;
    return element("main", null,
      element("h1", { id: "status" }, status),
      element("p", { id: "name" }, session?.user?.name ?? ""),
      element("p", { id: "email" }, session?.user?.email ?? ""));
  };
  window.states = [];
  window.client = client;
  // What a page rendered on the server brings along; absent, the client asks.
  const given = document.getElementById("session");
  const props = given ? { session: JSON.parse(given.textContent) } : {};
  createRoot(document.getElementById("root")).render(element(Provider, props, element(App)));
}
