import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { api } from "./api.js";
import { useSession } from "./session.js";

function LogIn({ done }) {
  const [wrong, setWrong] = useState("");

  async function submit(event) {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.target));
    try {
      await api("POST", "/api/login", { email, password });
      done();
    } catch (problem) {
      setWrong(problem.message);
    }
  }

  return (
    <form onSubmit={submit}>
      <h1>Log in</h1>
      <label htmlFor="email">E-mail address</label>
      <input id="email" name="email" type="email" autoComplete="username" required />
      <label htmlFor="password">Password</label>
      <input id="password" name="password" type="password" autoComplete="current-password" required />
      <button>Log in</button>
      <p role="alert">{wrong}</p>
    </form>
  );
}

function Home({ user, done }) {
  const [sessions, setSessions] = useState([]);

  async function list() {
    setSessions((await api("GET", "/api/sessions")).sessions);
  }

  // `done` asks whose page it is again: whatever failed, that decides what is shown.
  useEffect(() => void list().catch(done), []);
  const end = (id) => api("DELETE", `/api/sessions/${id}`).then(list).catch(done);
  const logOut = () => api("POST", "/api/logout").finally(done);

  return (
    <>
      <h1>Hello, {user.name}</h1>
      <ul>
        {sessions.map(({ id, device, current }) => (
          <li key={id}>
            {device}
            {current ? ", this one" : <button onClick={() => end(id)}>End</button>}
          </li>
        ))}
      </ul>
      <button id="log-out" onClick={logOut}>
        Log out
      </button>
    </>
  );
}

function App() {
  const { user, look } = useSession();
  if (user === undefined) return <p>One moment…</p>;
  return user ? <Home user={user} done={look} /> : <LogIn done={look} />;
}

createRoot(document.getElementById("app")).render(<App />);
