import NextAuth from "next-auth";
import CredentialsProvider from "next-auth/providers/credentials";

export const authOptions = {
  session: { strategy: "jwt" },
  providers: [
    CredentialsProvider({
      credentials: { email: { label: "E-mail" }, password: { label: "Password", type: "password" } },
      // A real application asks its database.
      authorize: ({ email, password }) =>
        password === "correct horse battery" ? { id: "1815", name: "Ada", email } : null,
    }),
  ],
};

export default NextAuth(authOptions);
