// The client-side example: shows one of three states, and data from a guarded API route.
const example = document.getElementById("example");
const { subscribe, signOut } = await import(example.dataset.client);

subscribe(async ({ status }) => {
  for (const part of example.querySelectorAll("[data-when]")) {
    part.hidden = part.dataset.when !== status;
  }
  if (status === "authenticated") {
    const answer = await fetch("/api/get-session-example", { headers: { accept: "application/json" } });
    const content = answer.ok ? JSON.stringify(await answer.json(), null, 2) : `${answer.status}`;
    example.querySelector("[data-content]").textContent = content;
  }
});

example.querySelector("[data-action=sign-out]").addEventListener("click", () => signOut({ redirect: false }));
