-- Drills: their runs, what is seen of them while they run, and the journals that evidence names by hash.

create table drill_runs (
  tenant_id          uuid not null default current_tenant() references tenants,
  id                 uuid primary key default gen_random_uuid(),
  row_id             text not null check (row_id ~ '^[A-Z]{1,8}[0-9]{1,5}\.[0-9]{1,3}$'),
  variant            text not null check (length(variant) between 1 and 80),
  environment        text not null check (environment ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
  requested_by       text not null check (length(requested_by) <= 200),
  scheduled          boolean not null default false,
  status             text not null default 'queued' check (status in ('queued', 'running', 'ended')),
  outcome            text check (outcome in ('held', 'failed', 'invalid', 'none')),
  reason             text not null default '',
  node               text,
  worker             text,
  digest             text check (digest ~ '^[0-9a-f]{64}$'),
  evidence_index     bigint,
  treatment_journal  text check (treatment_journal ~ '^[0-9a-f]{64}$'),
  placebo_journal    text check (placebo_journal ~ '^[0-9a-f]{64}$'),
  measured           jsonb not null default '{}',
  created_at         timestamptz not null default now(),
  started_at         timestamptz,
  finished_at        timestamptz,
  unique (tenant_id, id),
  check ((status = 'ended') = (outcome is not null))
);
create index drill_runs_waiting on drill_runs (created_at) where status in ('queued', 'running');
create index drill_runs_newest on drill_runs (tenant_id, created_at desc, id desc);
create index drill_runs_of_row on drill_runs (tenant_id, row_id, variant, environment, created_at desc);

create table drill_events (
  tenant_id  uuid not null default current_tenant(),
  run_id     uuid not null,
  seq        bigint not null,
  arm        text not null check (arm in ('', 'treatment', 'placebo')),
  at         double precision not null,  -- seconds since the arm began
  kind       text not null check (length(kind) <= 20),
  data       jsonb not null default '{}',
  primary key (run_id, seq),
  foreign key (tenant_id, run_id) references drill_runs (tenant_id, id) on delete cascade
);

-- By content: a journal is written once and never changed, and its hash is what evidence names.
create table drill_journals (
  tenant_id   uuid not null default current_tenant() references tenants,
  sha256      text not null check (sha256 = encode(sha256(content), 'hex')),
  content     bytea not null check (length(content) <= 4194304),
  created_at  timestamptz not null default now(),
  primary key (tenant_id, sha256)
);

do $$
declare name text;
begin
  foreach name in array array['drill_runs', 'drill_events', 'drill_journals'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert on %I to prodsprints_tenant', name);
  end loop;
end $$;
grant update on drill_runs to prodsprints_tenant;

-- The workers' view: who waits, who runs what where, and what was ever asked for, to run it again; no reason, no outcome.
create policy dispatch on drill_runs to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, row_id, variant, environment, scheduled, status, node, worker, created_at)
  on drill_runs to prodsprints_dispatch;
grant update (status, node, worker, started_at) on drill_runs to prodsprints_dispatch;
