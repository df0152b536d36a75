import { useEffect, useState } from "react";
import { api } from "./api.js";

// Whose page this is: undefined until that is known, null if nobody is logged in.
export function useSession() {
  const [user, setUser] = useState(undefined);

  async function look() {
    try {
      setUser((await api("GET", "/api/sessions/whoami")).user);
    } catch (problem) {
      // Anything else is no log-out: nobody can tell right now. Ask again.
      if (problem.code === "unauthenticated") setUser(null);
      else setTimeout(look, 2000);
    }
  }

  useEffect(() => {
    look();
    // The session may have been ended elsewhere while nobody was looking.
    window.addEventListener("focus", look);
    return () => window.removeEventListener("focus", look);
  }, []);

  return { user, look };
}
