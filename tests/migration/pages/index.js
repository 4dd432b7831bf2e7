import { useSession } from "next-auth/react";

/** A page that asks for the session in the browser. */
export default function Home() {
  const { data: session, status } = useSession();
  return <h1>{status === "authenticated" ? `Hello ${session.user.name}` : status}</h1>;
}
