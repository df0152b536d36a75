-- 100 000 users; 1 000 000 sessions, ten of each user, issued over the last day; an
-- event for every tenth of them: all as the service would have written them. One
-- session in five hundred was not seen since it was issued. One in ten has been idle
-- for too long, and waits to be swept up. They lie on the disk in the order in which
-- they were issued, as log-ins would have put them there.

create function id_at(at bigint, number bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(at), 12, '0') || '7' || lpad(to_hex(number % 4096), 3, '0')
        || 'a' || substr(md5(number::text), 1, 15))::uuid
$$;

-- Indexes are made faster at once than row by row.
create temporary table definitions as
    select indexname, indexdef from pg_indexes
    where tablename in ('users', 'sessions', 'events') and indexdef not like '%UNIQUE%';
do $$
declare name text;
begin
    for name in select indexname from definitions loop
        execute 'drop index ' || name;
    end loop;
end $$;

insert into users (id, email, name, role, status, password_hash, created_at)
    select id_at(1799900000000 + n, n), 'user' || n || '@example.com',
        'Name ' || md5(n::text), 'user', 'active', 'x', to_timestamp(1799900000 + n / 1000)
    from generate_series(1, 100000) n;
create temporary table numbered as
    select id, row_number() over (order by id) as number from users;

insert into sessions (id, digest, user_id, generation, born, issued_at, authenticated_at,
        last_seen_at, expires_at, idle_timeout_ms, remember_me, address, user_agent)
    select id_at(1799913600000 + s * 86, s), sha256(s::text::bytea), u.id, 1, 0,
        to_timestamp(1799913600 + s * 0.086), to_timestamp(1799913600 + s * 0.086),
        case when s % 500 = 0 then to_timestamp(1799913600 + s * 0.086)
            else to_timestamp(1800000000 - random() * 600) end,
        to_timestamp(1800086400), case when s % 10 = 3 then 60000 else 172800000 end, false,
        ('10.' || s % 200 || '.' || s / 200 % 250 || '.' || s / 50000)::inet,
        'Mozilla/5.0 (' || (array['X11; Linux x86_64', 'Windows NT 10.0; Win64; x64',
            'Macintosh; Intel Mac OS X 10_15_7', 'iPhone; CPU iPhone OS 18_7'])[1 + s % 4]
            || ') Browser/' || s % 97 || '.0 Build/' || substr(md5((s % 1000)::text), 1, 8)
    from generate_series(1, 1000000) s join numbered u on u.number = 1 + s % 100000
    order by s;

insert into events (id, at, action, actor_id, subject_id, session_id, address)
    select id_at(1799913600000 + number * 860, number), issued_at, 'logged_in',
        user_id, user_id, id, address
    from (select row_number() over () as number, sessions.* from sessions
        where get_byte(digest, 0) < 26) tenth;
insert into events (id, at, action, by_operator, subject_id)
    select id_at(1799913600000 + number * 860, 7 * number),
        to_timestamp(1799913600 + number * 0.86), 'user_locked', true, id
    from numbered where number % 100 = 0;

do $$
declare definition text;
begin
    for definition in select indexdef from definitions loop
        execute definition;
    end loop;
end $$;
