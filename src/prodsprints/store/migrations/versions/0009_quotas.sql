-- Quotas (R001.5): what providers allow, what is used of it, and the requests to raise it.
-- Use is kept raw for two weeks and as each day's maximum for more than a year; both are written at once, so that
-- nothing is lost when the raw ones are let go. `person` is an erasable reference (table people).

create table quotas (
  tenant_id    uuid not null default current_tenant() references tenants,
  id           uuid primary key,
  provider     text not null check (provider ~ '^[a-z][a-z0-9-]{0,39}$'),
  account      text not null check (account ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  region       text not null check (region ~ '^[a-z0-9-]{0,40}$'),
  service      text not null check (service ~ '^[A-Za-z0-9.-]{0,100}$'),
  code         text not null check (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  name         text not null check (length(name) <= 200),
  unit         text not null check (length(unit) <= 40),
  kind         text not null check (kind in ('resource', 'rate')),
  source       text not null check (source in ('provider', 'published', 'hand')),
  allowed      double precision check (allowed > 0 and allowed <= 1e15),  -- NaN is greater than any number here
  allowed_at   timestamptz,
  adjustable   boolean not null default true,
  lead_days    integer not null check (lead_days between 1 and 365),
  trouble      text not null default '' check (length(trouble) <= 1000),
  measured_at  timestamptz,
  next_at      timestamptz not null default now(),
  created_at   timestamptz not null default now(),
  unique (tenant_id, id),
  unique (tenant_id, provider, account, region, service, code)
);
create index quotas_due on quotas (next_at);

create table quota_samples (
  tenant_id  uuid not null default current_tenant(),
  quota_id   uuid not null,
  at         timestamptz not null,
  used       double precision not null check (used >= 0 and used <= 1e15),
  primary key (quota_id, at),
  foreign key (tenant_id, quota_id) references quotas (tenant_id, id) on delete cascade
);

create table quota_days (
  tenant_id  uuid not null default current_tenant(),
  quota_id   uuid not null,
  day        date not null,
  used       double precision not null check (used >= 0 and used <= 1e15),
  allowed    double precision check (allowed > 0 and allowed <= 1e15),
  primary key (quota_id, day),
  foreign key (tenant_id, quota_id) references quotas (tenant_id, id) on delete cascade
);

create table quota_requests (
  tenant_id        uuid not null default current_tenant(),
  id               uuid primary key,
  quota_id         uuid not null,
  state            text not null default 'drafted'
                   check (state in ('drafted', 'asked', 'sent', 'granted', 'denied', 'dropped')),
  desired          double precision not null check (desired > 0 and desired <= 1e15),
  allowed          double precision not null check (allowed > 0 and allowed <= 1e15),
  reason           text not null check (length(reason) <= 2000),
  call             jsonb,
  reaches          timestamptz,
  person           uuid,
  provider_id      text not null default '' check (length(provider_id) <= 300),
  provider_status  text not null default '' check (length(provider_status) <= 200),
  trouble          text not null default '' check (length(trouble) <= 1000),
  next_at          timestamptz not null default now(),
  created_at       timestamptz not null default now(),
  asked_at         timestamptz,
  sent_at          timestamptz,
  ended_at         timestamptz,
  foreign key (tenant_id, quota_id) references quotas (tenant_id, id) on delete cascade,
  check ((ended_at is not null) = (state in ('granted', 'denied', 'dropped')))
);
-- Never two at once for one quota: whoever drafts, and whoever sends, finds the one that there is.
create unique index quota_requests_open on quota_requests (quota_id) where state in ('drafted', 'asked', 'sent');
create index quota_requests_due on quota_requests (next_at) where state in ('asked', 'sent');
create index quota_requests_newest on quota_requests (quota_id, created_at desc);

do $$
declare name text;
begin
  foreach name in array array['quotas', 'quota_samples', 'quota_days', 'quota_requests'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to prodsprints_tenant', name);
  end loop;
end $$;

-- The workers' view: whose turn it is; no name, no figure.
create policy dispatch on quotas to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, next_at), update (next_at) on quotas to prodsprints_dispatch;
create policy dispatch on quota_requests to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, state, next_at), update (next_at) on quota_requests to prodsprints_dispatch;
