-- The ledger: users, their sessions, and the numbered revocation log.

create table users (
    id uuid primary key,
    -- In its one spelling: NFKC, lower case, ASCII.
    email text collate "C" not null constraint users_email_key unique,
    name text not null,
    role text not null check (role in ('user', 'admin')),
    status text not null check (status in ('active', 'locked')),
    -- Null until an invited user has chosen a password.
    password_hash text,
    -- Grows with each change of what the user logs in with.
    credential_version bigint not null default 1,
    -- Grows when all of the user's sessions end; those of an older one are dead.
    session_generation bigint not null default 1,
    created_at timestamptz not null
);

create table sessions (
    id uuid primary key,
    -- SHA-256 of the token's secret.
    digest bytea not null constraint sessions_digest_key unique check (octet_length(digest) = 32),
    user_id uuid not null references users (id) on delete cascade,
    generation bigint not null,
    -- The log's head when this row was inserted.
    born bigint not null,
    issued_at timestamptz not null,
    authenticated_at timestamptz not null,
    -- Up to 5 % of the idle timeout behind what the hot store knows.
    last_seen_at timestamptz not null,
    expires_at timestamptz not null,
    idle_timeout_ms bigint not null,
    remember_me boolean not null,
    address inet,
    user_agent text
);

create index sessions_by_user on sessions (user_id, issued_at desc);
create index sessions_by_expiry on sessions (expires_at);

-- Append-only. Numbers follow each other without a gap, in the order of commits.
create table revocations (
    number bigint primary key,
    -- Tells this entry from another that a lost or restored log had under its number.
    mark uuid not null default gen_random_uuid(),
    kind text not null,
    user_id uuid,
    -- The session ended; with user_ended, the one spared.
    session_id uuid,
    recorded_at timestamptz not null default clock_timestamp()
);

insert into revocations (number, kind) values (0, 'origin');

-- One row: its lock, the last that a transaction takes, orders the commits.
create table revocation_head (
    singleton boolean primary key default true check (singleton),
    number bigint not null
);

insert into revocation_head (number) values (0);

-- The audit log. It outlives the users and sessions it tells of.
create table events (
    id uuid primary key,
    at timestamptz not null,
    action text not null,
    -- Who acted; null for somebody not known yet.
    actor_id uuid,
    subject_id uuid not null,
    session_id uuid,
    address inet
);
