import * as client from "next-auth-v5/react";
import { show } from "./app.mjs";

show(client, client.SessionProvider, () => {
  const { data: session, status, update } = client.useSession();
  return { session, status, update };
});
