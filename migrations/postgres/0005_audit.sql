-- The audit log: by which request, and what became of it.

-- As the service's log names it; null for a command.
alter table events add column request_id uuid;
-- A refusal, such as of a wrong password. Nothing was changed.
alter table events add column failed boolean not null default false;
