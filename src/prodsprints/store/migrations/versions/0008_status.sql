-- Status: what is watched, what the health monitor saw of it, and what of both anybody may read.
-- Looks are kept for a day, one by one; what they came to is kept by the day. Time in which nobody looked is in none of
-- the three sums: it is not measured, and never counts as up.

-- `kind`: a part of the platform, an integration that guards report on, or what a user declared with an address.
create table watched_services (
  tenant_id         uuid not null default current_tenant() references tenants,
  id                uuid primary key default gen_random_uuid(),
  kind              text not null check (kind in ('platform', 'integration', 'declared')),
  key               text not null check (length(key) between 1 and 180),
  name              text not null check (length(name) between 1 and 60),
  url               text check (length(url) <= 500),
  expected_status   integer check (expected_status between 100 and 599),
  interval_seconds  double precision not null check (interval_seconds between 1 and 3600),
  is_public         boolean not null default false,
  level             text not null default 'unknown' check (level in ('up', 'degraded', 'down', 'unknown')),
  level_since       timestamptz not null default clock_timestamp(),
  recent            text[] not null default '{}' check (cardinality(recent) <= 5),
  seen_at           timestamptz,
  seen_seconds      double precision,
  seen_words        text not null default '' check (length(seen_words) <= 200),
  trouble_began_at  timestamptz,
  trouble_level     text check (trouble_level in ('degraded', 'down')),
  trouble_words     text not null default '' check (length(trouble_words) <= 200),
  created_at        timestamptz not null default clock_timestamp(),
  unique (tenant_id, id),
  unique (tenant_id, key),
  check ((kind = 'declared') = (url is not null)),
  check ((trouble_began_at is null) = (trouble_level is null))
);

create table service_looks (
  tenant_id   uuid not null default current_tenant(),
  service_id  uuid not null,
  at          timestamptz not null,
  outcome     text not null check (outcome in ('well', 'slow', 'failed')),
  seconds     double precision not null check (seconds >= 0),
  primary key (service_id, at),
  foreign key (tenant_id, service_id) references watched_services (tenant_id, id) on delete cascade
);

create table service_days (
  tenant_id         uuid not null default current_tenant(),
  service_id        uuid not null,
  day               date not null,  -- in UTC
  up_seconds        double precision not null default 0 check (up_seconds >= 0),
  degraded_seconds  double precision not null default 0 check (degraded_seconds >= 0),
  down_seconds      double precision not null default 0 check (down_seconds >= 0),
  primary key (service_id, day),
  foreign key (tenant_id, service_id) references watched_services (tenant_id, id) on delete cascade
);

-- `end_is_known` is false where the looking stopped before the trouble did: it ended at some time after `ended_at`.
create table service_outages (
  tenant_id     uuid not null default current_tenant(),
  id            uuid primary key default gen_random_uuid(),
  service_id    uuid not null,
  level         text not null check (level in ('degraded', 'down')),
  began_at      timestamptz not null,
  ended_at      timestamptz,
  end_is_known  boolean not null default true,
  detected_by   text not null check (detected_by in ('probe', 'guard', 'platform')),
  words         text not null check (length(words) <= 200),
  updated_at    timestamptz not null default clock_timestamp(),
  foreign key (tenant_id, service_id) references watched_services (tenant_id, id) on delete cascade,
  check (ended_at >= began_at)
);
create unique index one_outage_at_a_time on service_outages (service_id) where ended_at is null;
create index outages_of_service on service_outages (service_id, began_at desc);

-- What is told of an incident to everybody: nothing, until somebody publishes it. Its title there is its own: what people
-- write about an incident inside is not meant for outside.
create table incident_publications (
  tenant_id     uuid not null default current_tenant(),
  incident_id   uuid primary key,
  title         text not null check (length(title) between 1 and 120),
  published_at  timestamptz not null default clock_timestamp(),
  withdrawn_at  timestamptz,
  unique (tenant_id, incident_id),
  foreign key (tenant_id, incident_id) references incidents (tenant_id, id)
);

create table incident_updates (
  tenant_id    uuid not null default current_tenant(),
  id           uuid primary key,
  incident_id  uuid not null,
  stage        text not null check (stage in ('investigating', 'identified', 'monitoring', 'resolved')),
  words        text not null check (length(words) between 1 and 2000),
  person       uuid not null,
  created_at   timestamptz not null default clock_timestamp(),
  foreign key (tenant_id, incident_id) references incident_publications (tenant_id, incident_id)
);
create index updates_of_incident on incident_updates (incident_id, created_at);

do $$
declare name text;
begin
  foreach name in array array['watched_services', 'service_looks', 'service_days', 'service_outages',
                              'incident_publications', 'incident_updates'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update on %I to prodsprints_tenant', name);
  end loop;
end $$;
grant delete on watched_services, service_looks, service_days, service_outages to prodsprints_tenant;

-- The workers' view: whose services there are to look at, and not which.
create policy dispatch on watched_services to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id) on watched_services to prodsprints_dispatch;
