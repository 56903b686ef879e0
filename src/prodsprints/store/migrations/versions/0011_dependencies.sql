-- Dependencies: what each process's guards last saw, for the page and for whoever freezes a key by hand.

-- No tenant's: the platform's own processes and its own providers. Names of guards and keys and how often what happened;
-- no arguments, no answers, no secrets. Overwritten every two seconds, swept after ten minutes.
create table guard_sightings (
  worker    text not null check (length(worker) between 1 and 200),
  name      text not null check (length(name) between 1 and 300),
  sighting  jsonb not null check (length(sighting::text) <= 100000),
  at        timestamptz not null default clock_timestamp(),
  primary key (worker, name)
) with (fillfactor = 50);
grant select, insert, update, delete on guard_sightings to prodsprints_dispatch;
