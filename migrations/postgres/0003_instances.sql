-- Who checks and ends sessions: whom a revocation must have reached.

create table instances (
    id uuid primary key,
    -- What an instance last said through the ledger, as it does when Redis does not
    -- carry it: the number of its word, and where its revocation view stands.
    beat bigint,
    reached bigint,
    mark bytea check (octet_length(mark) = 4),
    -- Whether it hears of the others through the ledger alone.
    is_deaf boolean not null default false,
    -- Somebody has missed it: its view is not confirmed until it enrols again.
    struck_off_at timestamptz
);

-- The marks of the last entry, and of the one before what was appended last: whoever
-- appends learns what came before, also if it had to wait for this row's lock.
alter table revocation_head add column mark uuid;
alter table revocation_head add column mark_before uuid;
update revocation_head h set mark = r.mark from revocations r where r.number = h.number;
