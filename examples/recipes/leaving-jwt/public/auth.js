function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export async function logIn(email, password) {
  const answer = await post("/auth/login", { email, password });
  if (answer.ok) Object.assign(localStorage, await answer.json());
}

async function refresh() {
  const { refreshToken } = localStorage;
  if (!refreshToken) return false;
  const answer = await post("/auth/refresh", { refreshToken });
  if (answer.ok) Object.assign(localStorage, await answer.json());
  if (answer.status === 401) localStorage.clear();
  return answer.ok;
}

export async function call(path, options) {
  const ask = () => {
    const Authorization = `Bearer ${localStorage.accessToken}`;
    return fetch(path, { ...options, headers: { ...options?.headers, Authorization } });
  };
  const answer = await ask();
  return answer.status === 401 && (await refresh()) ? ask() : answer;
}

export async function logOut() {
  const { refreshToken } = localStorage;
  localStorage.clear();
  await post("/auth/logout", { refreshToken });
}
