-- Administration: password links, "end everyone", and lists that an index answers.

-- Names, addresses and user agents are searched by what they contain. The
-- extension is a trusted one: the database's owner may create it.
create extension if not exists pg_trgm;

-- SHA-256 of the secret in a link that sets a password, once.
create table password_links (
    digest bytea primary key check (octet_length(digest) = 32),
    -- Whose password it sets; null: it makes the first admin.
    user_id uuid constraint password_links_user_key unique references users (id) on delete cascade,
    -- Dead when this is no longer the user's.
    credential_version bigint,
    expires_at timestamptz not null
);

-- One row: its lock, taken before any user's, is held by whatever may take the
-- last admin away or make the first.
create table admin_roster (
    singleton boolean primary key default true check (singleton)
);

insert into admin_roster default values;

-- Sessions born before this number of the log are dead.
alter table revocation_head add column everyone_ended bigint not null default 0;
-- No session with a lesser id is alive: where lists end.
alter table revocation_head add column first_alive uuid not null
    default '00000000-0000-0000-0000-000000000000';

-- One row: whoever sets it first does what is to be done once a minute.
create table chores (
    singleton boolean primary key default true check (singleton),
    begun_at timestamptz not null default 'epoch'
);

insert into chores default values;

create index users_by_text on users using gin (email gin_trgm_ops, name gin_trgm_ops);
create index admins on users (id) where role = 'admin';

-- Ids are in the order of time. No index has last_seen_at itself, only its hour,
-- and the pages have room: so most touches change no index (HOT updates).
alter table sessions set (fillfactor = 90);
-- A session without its user is dead, and is swept up later: so deleting a user
-- takes no longer if there are many.
alter table sessions drop constraint sessions_user_id_fkey;
drop index sessions_by_expiry;
alter table sessions add column last_seen_hour timestamptz not null
    generated always as
        (date_trunc('hour', last_seen_at at time zone 'UTC') at time zone 'UTC') stored;
create index sessions_by_last_seen on sessions (last_seen_hour);
drop index sessions_by_user;
create index sessions_by_user on sessions (user_id, generation, id);
create index sessions_by_address on sessions (address, id);
create index sessions_by_user_agent on sessions using gin (user_agent gin_trgm_ops);

-- Null: it concerned nobody in particular.
alter table events alter column subject_id drop not null;
-- An operator, on the command line; actor_id is null then.
alter table events add column by_operator boolean not null default false;
-- Given by who acted.
alter table events add column reason text;
-- What more there is to say, such as the new role.
alter table events add column detail text;
create index events_by_actor on events (actor_id, id);
create index events_by_operator on events (id) where by_operator;
create index events_by_subject on events (subject_id, id);
create index events_by_action on events (action, id);
