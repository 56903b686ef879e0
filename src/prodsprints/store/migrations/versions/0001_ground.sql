-- The ground: tenants, projects, environments, releases, and the engine's leases and heartbeats.
-- Three roles, none of which can log in. A login role becomes one of them for the length of a transaction:
--   prodsprints_tenant    acts for one tenant; sees only rows of the tenant named in app.tenant
--   prodsprints_dispatch  the workers' own view: who waits where; ids and states, no content
--   prodsprints_auth      looks up who carries a token, before the tenant is known

do $$
declare name text;
begin
  foreach name in array array['prodsprints_tenant', 'prodsprints_dispatch', 'prodsprints_auth'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', name);
    end if;
  end loop;
end $$;

create function current_tenant() returns uuid language sql stable
  return nullif(current_setting('app.tenant', true), '')::uuid;

create table tenants (
  id          uuid primary key default gen_random_uuid(),
  name        text not null unique check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
  created_at  timestamptz not null default now()
);

create table projects (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key default gen_random_uuid(),
  name        text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
  repository  text not null,
  created_at  timestamptz not null default now(),
  unique (tenant_id, name),
  unique (tenant_id, id)
);

create table environments (
  tenant_id           uuid not null default current_tenant(),
  id                  uuid primary key default gen_random_uuid(),
  project_id          uuid not null,
  name                text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
  node                text not null,
  current_release_id  uuid,
  port                integer,
  created_at          timestamptz not null default now(),
  unique (project_id, name),
  unique (tenant_id, id),
  foreign key (tenant_id, project_id) references projects (tenant_id, id)
);

create table releases (
  tenant_id           uuid not null default current_tenant(),
  id                  uuid primary key default gen_random_uuid(),
  environment_id      uuid not null,
  number              integer not null,
  kind                text not null check (kind in ('release', 'rollback')),
  status              text not null default 'queued'
                      check (status in ('queued', 'running', 'released', 'rolled_back', 'refused', 'failed', 'aborted')),
  repository          text not null,
  commit              text not null check (commit ~ '^[0-9a-f]{40}([0-9a-f]{24})?$'),
  label               text not null,
  digest              text check (digest ~ '^sha256:[0-9a-f]{64}$'),
  requested_by        text not null,
  node                text not null,
  fencing_token       bigint,
  worker              text,
  options             jsonb not null default '{}',
  reason              text not null default '',
  figures             jsonb not null default '{}',
  abort_requested_at    timestamptz,
  promote_requested_at  timestamptz,
  created_at          timestamptz not null default now(),
  started_at          timestamptz,
  finished_at         timestamptz,
  unique (environment_id, number),
  unique (tenant_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);
create index releases_waiting on releases (node, created_at) where status in ('queued', 'running');

alter table environments add foreign key (tenant_id, current_release_id) references releases (tenant_id, id);

create table release_steps (
  tenant_id    uuid not null default current_tenant(),
  release_id   uuid not null,
  name         text not null,
  position     integer not null,
  attempt      integer not null default 1,
  status       text not null check (status in ('running', 'done', 'skipped', 'refused', 'failed')),
  summary      text not null default '',
  detail       jsonb not null default '{}',
  started_at   timestamptz not null default clock_timestamp(),
  finished_at  timestamptz,
  primary key (release_id, name),
  foreign key (tenant_id, release_id) references releases (tenant_id, id)
);

create table release_events (
  tenant_id   uuid not null default current_tenant(),
  release_id  uuid not null,
  seq         bigint not null,
  at          timestamptz not null default clock_timestamp(),
  step        text not null,
  kind        text not null,
  message     text not null,
  data        jsonb not null default '{}',
  primary key (release_id, seq),
  foreign key (tenant_id, release_id) references releases (tenant_id, id)
);

create table release_ticks (
  tenant_id        uuid not null default current_tenant(),
  release_id       uuid not null,
  tick             integer not null,
  at               double precision not null,  -- seconds since the rollout began
  weight           double precision not null,
  stable_requests  bigint not null check (stable_requests >= stable_errors),
  stable_errors    bigint not null check (stable_errors >= 0),
  canary_requests  bigint not null check (canary_requests >= canary_errors),
  canary_errors    bigint not null check (canary_errors >= 0),
  primary key (release_id, tick),
  foreign key (tenant_id, release_id) references releases (tenant_id, id)
);

create sequence fencing_tokens;

create table leases (
  tenant_id      uuid not null default current_tenant() references tenants,
  resource       text not null,
  owner          text not null,
  fencing_token  bigint not null default nextval('fencing_tokens'),
  acquired_at    timestamptz not null default now(),
  expires_at     timestamptz not null,
  primary key (tenant_id, resource)
);

create table tokens (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key default gen_random_uuid(),
  digest      bytea not null unique,
  purpose     text not null check (purpose in ('api', 'login', 'session')),
  actor       text not null,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  used_at     timestamptz
);

create table idempotency_keys (
  tenant_id    uuid not null default current_tenant() references tenants,
  key          text not null check (length(key) between 1 and 255),
  fingerprint  bytea not null,
  status       integer,
  body         jsonb,
  created_at   timestamptz not null default now(),
  primary key (tenant_id, key)
);

-- The only table without a tenant: the processes themselves.
create table workers (
  id            text primary key,
  node          text not null,
  started_at    timestamptz not null default now(),
  heartbeat_at  timestamptz not null default now(),
  reaped_at     timestamptz
);

-- Row-level security, forced, so that it binds the owner of the tables too. The wider policies below ask who one is
-- now, too: before PostgreSQL 16 a login inherits the rights of its roles, policies included, without becoming one.
do $$
declare name text;
begin
  foreach name in array array['projects', 'environments', 'releases', 'release_steps', 'release_events', 'release_ticks',
                              'leases', 'tokens', 'idempotency_keys'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to prodsprints_tenant', name);
  end loop;
end $$;

alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants to prodsprints_tenant using (id = current_tenant());
grant select on tenants to prodsprints_tenant;
grant usage on sequence fencing_tokens to prodsprints_tenant, prodsprints_dispatch;

-- What the workers see across tenants: columns, not content.
create policy dispatch on tenants to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select, insert on tenants to prodsprints_dispatch;
create policy dispatch on releases to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, environment_id, node, status, worker, fencing_token, created_at, started_at) on releases to prodsprints_dispatch;
grant update (status, worker, fencing_token, started_at) on releases to prodsprints_dispatch;
create policy dispatch on leases to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select, insert, update, delete on leases to prodsprints_dispatch;
grant select, insert, update, delete on workers to prodsprints_dispatch;

-- The hot path of a release: each step begins and ends in one statement, which is its own transaction. The functions act
-- as their caller, who becomes the tenant for its length. They do not wait for the disk: the engine's own record of the
-- step does, later in the same write-ahead log, so that whatever the engine knows to be done is on disk here too.

create function act_for_tenant(tenant uuid) returns void language plpgsql as $$
begin
  perform set_config('role', 'prodsprints_tenant', true), set_config('app.tenant', tenant::text, true),
          set_config('synchronous_commit', 'off', true);
end $$;

-- Lines are numbered by their one writer; what is there already stays, since a lost answer is followed by a second try.
create function insert_lines(release uuid, lines jsonb) returns void language plpgsql as $$
begin
  insert into release_events (release_id, seq, at, step, kind, message, data)
  select release, line.* from jsonb_to_recordset(lines)
    as line (seq bigint, at timestamptz, step text, kind text, message text, data jsonb)
  on conflict do nothing;
end $$;

-- `for share`, so that nobody takes the lease over between this look and the commit of what was written under it.
create function holds_lease(wanted text, worker text, token bigint) returns boolean language plpgsql as $$
begin
  perform from leases where resource = wanted and owner = worker and fencing_token = token for share;
  return found;
end $$;

-- 'fenced' when the lease has another holder, else 'written'.
create function add_lines(tenant uuid, release uuid, resource text, worker text, token bigint, lines jsonb)
returns text language plpgsql as $$
begin
  perform act_for_tenant(tenant);
  if not holds_lease(resource, worker, token) then return 'fenced'; end if;
  perform insert_lines(release, lines);
  return 'written';
end $$;

-- 'fenced' when the lease has another holder, 'ended' when the step has ended before, else 'begun'.
create function begin_step(
  tenant uuid, release uuid, resource text, worker text, token bigint, step_name text, step_position int, lines jsonb
) returns text language plpgsql as $$
begin
  perform act_for_tenant(tenant);
  if not holds_lease(resource, worker, token) then return 'fenced'; end if;
  insert into release_steps as step (release_id, name, position, status)
  values (release, step_name, step_position, 'running')
  on conflict (release_id, name) do update
    set attempt = step.attempt + 1, started_at = clock_timestamp(), summary = '' where step.status = 'running';
  if not found then return 'ended'; end if;
  perform insert_lines(release, lines);
  return 'begun';
end $$;

create function end_step(
  tenant uuid, release uuid, resource text, worker text, token bigint, step_name text, step_status text,
  step_summary text, step_detail jsonb, lines jsonb
) returns text language plpgsql as $$
begin
  perform act_for_tenant(tenant);
  if not holds_lease(resource, worker, token) then return 'fenced'; end if;
  update release_steps
  set status = step_status, summary = step_summary, detail = step_detail, finished_at = clock_timestamp()
  where release_id = release and name = step_name;
  perform insert_lines(release, lines);
  return 'ended';
end $$;

create policy auth on tokens to prodsprints_auth using (current_user = 'prodsprints_auth');
grant select on tokens to prodsprints_auth;
grant update (used_at) on tokens to prodsprints_auth;
grant delete on tokens to prodsprints_auth;
create policy auth on tenants to prodsprints_auth using (current_user = 'prodsprints_auth');
grant select on tenants to prodsprints_auth;
