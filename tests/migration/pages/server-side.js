import { getServerSession } from "next-auth/next";
import { authOptions } from "./api/auth/[...nextauth]";

/** A page that asks for the session on the server. */
export default function ServerSide({ name }) {
  return <h1>{name ? `Hello ${name}` : "signed out"}</h1>;
}

export async function getServerSideProps({ req, res }) {
  const session = await getServerSession(req, res, authOptions);
  return { props: { name: session?.user?.name ?? null } };
}
