// Where Gatelodge is: the page's own origin, unless VITE_GATELODGE names another.
const ORIGIN = import.meta.env.VITE_GATELODGE ?? "";

// What the API answers; its problem, thrown, if it is one.
export async function api(method, path, body) {
  const answer = await fetch(ORIGIN + path, {
    method,
    // Sends the cookie and keeps a new one, of another origin, too.
    credentials: "include",
    headers: body && { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (answer.status === 204) return null;
  const said = await answer.json();
  if (answer.ok) return said;
  throw Object.assign(new Error(said.detail), { code: said.code });
}
