import * as client from "next-auth-v3/client";
import { show } from "./app.mjs";

show(client, client.Provider, () => {
  const [session, loading] = client.useSession();
  return { session, status: loading ? "loading" : session ? "authenticated" : "unauthenticated" };
});
