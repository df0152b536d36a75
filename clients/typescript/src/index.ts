import { GatelodgeProblem } from "./problem.js";
import type {
  Action,
  Attempts,
  BulkRevocation,
  BulkRevoked,
  EventsBody,
  Exchange,
  Identity,
  InvitedUser,
  LogIn,
  NewUser,
  PasswordChange,
  PasswordLink,
  PasswordRedemption,
  Pending,
  Registration,
  RevokedBody,
  Role,
  SessionBody,
  SessionsBody,
  SessionsPageBody,
  UserBody,
  UsersBody,
} from "./schema.js";
import { type Query, type Send, transport } from "./transport.js";
import { createWho, LOGGED_OUT } from "./who.js";

export { type Code, GatelodgeProblem } from "./problem.js";
export type * from "./schema.js";
export type { Who } from "./who.js";

export interface ClientOptions {
  /** Where the service is, such as `https://auth.example.com`. Left out: here. */
  baseUrl?: string | undefined;
  /**
   * What to do when a call finds that nobody is logged in: once, however many calls find it
   * at the same time. `"redirect"` leads to the service's own page and back again. Asking
   * with `whoami` is not such a call.
   */
  onUnauthenticated?: "redirect" | ((problem: GatelodgeProblem) => void) | undefined;
  /**
   * For how many milliseconds in all a call that may be done twice is tried again when the
   * service is busy or unavailable. 10 000 if left out; 0: never.
   */
  patience?: number | undefined;
  fetch?: typeof fetch | undefined;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** Of a call that ends sessions. */
export interface EndingOptions extends CallOptions {
  /** Answer when all instances refuse the sessions, or after 2 s with who has not said so. */
  wait?: "effective" | undefined;
}

/** With `wait`, if it was in vain: who has not said yet that it refuses the sessions. */
export type Ended<T> = T & Partial<Pending>;

/** A client of the service. Its calls need no `this`, and fail with a `GatelodgeProblem`. */
export type Gatelodge = ReturnType<typeof createClient>;

export function createClient(options: ClientOptions = {}) {
  const { onUnauthenticated, patience = 10_000 } = options;
  const baseUrl = (options.baseUrl ?? "").replace(/\/$/, "");
  const ask = transport(baseUrl, options.fetch ?? ((...request) => fetch(...request)), patience);
  const who = createWho(`gatelodge ${baseUrl}`, () => whoami());

  const loginUrl = (returnTo: string = location.href) =>
    `${baseUrl}/login?return_to=${encodeURIComponent(returnTo)}`;

  /** What only those who are logged in can do. */
  const call: Send = async (method, path, ...request) => {
    const era = who.era();
    try {
      return await ask(method, path, ...request);
    } catch (problem) {
      if (isUnauthenticated(problem) && who.end(era)) {
        if (onUnauthenticated === "redirect") {
          location.assign(loginUrl());
        } else {
          onUnauthenticated?.(problem);
        }
      }
      throw problem;
    }
  };

  const whoami = async (options?: CallOptions): Promise<Identity | null> => {
    const era = who.era();
    try {
      const identity = await ask("get", "/api/sessions/whoami", options);
      who.learn({ state: "logged_in", ...identity }, era);
      return identity;
    } catch (problem) {
      if (!isUnauthenticated(problem)) {
        throw problem;
      }
      who.learn(LOGGED_OUT, era);
      return null;
    }
  };

  const loggedIn = <T extends Identity>(answer: T): T => {
    who.become({ state: "logged_in", user: answer.user, session: answer.session });
    return answer;
  };
  const loggedOut = <T>(answer: T): T => {
    who.become(LOGGED_OUT);
    return answer;
  };

  return {
    /** Who is logged in, as far as is known; and how to hear of changes. */
    who: { get: who.get, subscribe: who.subscribe },

    /** Where the service's own page to log in is, which leads back to an address. */
    loginUrl,

    /** Who is logged in; null: nobody. Whether anybody is can be unknown: then it fails. */
    whoami,

    /** Opens an account, and logs in. */
    register: async (
      registration: Registration,
      options?: EndingOptions,
    ): Promise<Ended<Identity>> =>
      loggedIn(await ask("post", "/api/register", { body: registration, ...options })),

    /** Logs in. The session that this browser had before is ended. */
    login: async (credentials: LogIn, options?: EndingOptions): Promise<Ended<Identity>> =>
      loggedIn(await ask("post", "/api/login", { body: credentials, ...options })),

    /** Logs in with another system's JWT, once. The session this browser had before is ended. */
    exchange: async (exchange: Exchange, options?: EndingOptions): Promise<Ended<Identity>> =>
      loggedIn(await ask("post", "/api/sessions/exchange", { body: exchange, ...options })),

    /** Logs out; also without a session. */
    logout: async (options?: EndingOptions): Promise<Pending | undefined> =>
      loggedOut(await ask("post", "/api/logout", options)),

    /** Changes my password. All my sessions end, and this browser has a new one. */
    changePassword: async (
      change: PasswordChange,
      options?: EndingOptions,
    ): Promise<Pending | undefined> => {
      const answer = await call("post", "/api/password", { body: change, ...options });
      who.renew();
      return answer;
    },

    /** Sets a password by a link's token. All the user's sessions end. */
    redeemPassword: async (
      redemption: PasswordRedemption,
      options?: CallOptions,
    ): Promise<void> => {
      await ask("post", "/api/password/redeem", { body: redemption, ...options });
    },

    account: {
      /** Changes my name, or my e-mail address; a new address ends my other sessions. */
      update: async (
        change: { name: string } | { email: string; password: string },
        options?: EndingOptions,
      ): Promise<Ended<UserBody>> => {
        const answer = await call("patch", "/api/account", { body: change, ...options });
        const known = who.get();
        if (known.state === "logged_in") {
          who.become({ ...known, user: answer.user });
        }
        return answer;
      },

      /** Deletes my account, and ends all my sessions. */
      delete: async (password: string, options?: EndingOptions): Promise<Pending | undefined> =>
        loggedOut(await call("delete", "/api/account", { body: { password }, ...options })),
    },

    /** Where I am logged in. */
    sessions: {
      list: (options?: CallOptions): Promise<SessionsBody> =>
        call("get", "/api/sessions", options),

      /** Ends one of mine. */
      end: async (id: string, options?: EndingOptions): Promise<Pending | undefined> => {
        const answer = await call("delete", "/api/sessions/{id}", { path: { id }, ...options });
        const known = who.get();
        return known.state === "logged_in" && known.session.id === id ? loggedOut(answer) : answer;
      },

      /** Ends all of mine but this one. */
      endOthers: (options?: EndingOptions): Promise<Ended<RevokedBody>> =>
        call("delete", "/api/sessions", options),

      /** Ends all of mine, this one too. */
      endAll: async (options?: EndingOptions): Promise<Ended<RevokedBody>> => {
        const query = { include_current: true };
        return loggedOut(await call("delete", "/api/sessions", { query, ...options }));
      },
    },

    /** For administrators; others are refused with `forbidden`. */
    admin: {
      users: {
        list: (query?: Query<"/api/admin/users">, options?: CallOptions): Promise<UsersBody> =>
          call("get", "/api/admin/users", { query, ...options }),

        /** The user has no password until the link is used. */
        create: (user: NewUser, options?: CallOptions): Promise<InvitedUser> =>
          call("post", "/api/admin/users", { body: user, ...options }),

        get: (id: string, options?: CallOptions): Promise<UserBody> =>
          call("get", "/api/admin/users/{id}", { path: { id }, ...options }),

        delete: (id: string, options?: EndingOptions): Promise<Pending | undefined> =>
          call("delete", "/api/admin/users/{id}", { path: { id }, ...options }),

        /** Ends the user's sessions, and lets nobody log in. */
        lock: (id: string, options?: EndingOptions): Promise<Ended<UserBody>> =>
          call("post", "/api/admin/users/{id}/lock", { path: { id }, ...options }),

        unlock: (id: string, options?: CallOptions): Promise<UserBody> =>
          call("post", "/api/admin/users/{id}/unlock", { path: { id }, ...options }),

        setRole: (id: string, role: Role, options?: EndingOptions): Promise<Ended<UserBody>> =>
          call("put", "/api/admin/users/{id}/role", { path: { id }, body: { role }, ...options }),

        /** Makes a link that sets a password, once, within an hour. For the user alone. */
        passwordLink: (id: string, options?: CallOptions): Promise<PasswordLink> =>
          call("post", "/api/admin/users/{id}/password-link", { path: { id }, ...options }),

        /** Wrong passwords in a row, and until when no more are tried. */
        attempts: (id: string, options?: CallOptions): Promise<Attempts> =>
          call("get", "/api/admin/users/{id}/attempts", { path: { id }, ...options }),

        clearAttempts: (id: string, options?: CallOptions): Promise<undefined> =>
          call("delete", "/api/admin/users/{id}/attempts", { path: { id }, ...options }),

        sessions: (id: string, options?: CallOptions): Promise<SessionsBody> =>
          call("get", "/api/admin/users/{id}/sessions", { path: { id }, ...options }),

        endSessions: (id: string, options?: EndingOptions): Promise<Ended<RevokedBody>> =>
          call("delete", "/api/admin/users/{id}/sessions", { path: { id }, ...options }),
      },

      addresses: {
        /** Wrong passwords from an IP address; of IPv6, from its /64. */
        attempts: (ip: string, options?: CallOptions): Promise<Attempts> =>
          call("get", "/api/admin/addresses/{ip}/attempts", { path: { ip }, ...options }),

        clearAttempts: (ip: string, options?: CallOptions): Promise<undefined> =>
          call("delete", "/api/admin/addresses/{ip}/attempts", { path: { ip }, ...options }),
      },

      sessions: {
        list: (
          query?: Query<"/api/admin/sessions">,
          options?: CallOptions,
        ): Promise<SessionsPageBody> => call("get", "/api/admin/sessions", { query, ...options }),

        get: (id: string, options?: CallOptions): Promise<SessionBody> =>
          call("get", "/api/admin/sessions/{id}", { path: { id }, ...options }),

        end: (id: string, options?: EndingOptions): Promise<Pending | undefined> =>
          call("delete", "/api/admin/sessions/{id}", { path: { id }, ...options }),

        /** Ends all that a filter is for, or with `dry_run` says how many there are. */
        endMatching: (
          revocation: BulkRevocation,
          options?: EndingOptions,
        ): Promise<Ended<BulkRevoked>> =>
          call("post", "/api/admin/sessions/revoke", { body: revocation, ...options }),
      },

      events: {
        list: (
          query?: Query<"/api/admin/events"> & { action?: Action },
          options?: CallOptions,
        ): Promise<EventsBody> => call("get", "/api/admin/events", { query, ...options }),
      },
    },
  };
}

const isUnauthenticated = (problem: unknown): problem is GatelodgeProblem =>
  problem instanceof GatelodgeProblem && problem.code === "unauthenticated";
