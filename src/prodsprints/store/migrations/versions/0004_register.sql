-- The register: documents, snapshots, incidents, reviews, reports, contacts.
-- The words that people write stand here; what they count for stands in the ledger: a row without its signed statement
-- has no effect. `statement` is that statement's digest, and `person` an erasable reference (table people).

-- >>> assessment: what the log came to, signed, and what looking at the whole of it found. Both can be made again from
-- the log; a row that is not signed by the platform's key has no effect.

create table register_snapshots (
  tenant_id  uuid primary key default current_tenant() references tenants,
  body       bytea not null,
  key_id     text not null,
  signature  bytea not null check (length(signature) = 64),
  made_at    timestamptz not null default clock_timestamp()
);

create table log_verifications (
  tenant_id  uuid primary key default current_tenant() references tenants,
  body       text not null,
  key_id     text not null,
  signature  bytea not null check (length(signature) = 64)
);

do $$
declare name text;
begin
  foreach name in array array['register_snapshots', 'log_verifications'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to prodsprints_tenant', name);
  end loop;
end $$;

-- <<< assessment

-- >>> governance: documents, attestations, acceptances, incidents, reports, reviews, contacts

create table risk_documents (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key,
  version     integer not null check (version > 0),
  sha256      text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  text        text not null check (octet_length(text) <= 2097152),
  numbers     jsonb not null,  -- which id each risk and row was given, so that it keeps it in the next version
  person      uuid not null,
  statement   text not null,
  created_at  timestamptz not null default clock_timestamp(),
  unique (tenant_id, version)
);

create table attestations (
  tenant_id    uuid not null default current_tenant() references tenants,
  id           uuid primary key,
  environment  text not null,
  row_id       text not null,
  person       uuid not null,
  evidence     text not null check (length(evidence) between 1 and 500),
  expires_at   timestamptz not null,
  statement    text not null,
  created_at   timestamptz not null default clock_timestamp()
);
create index attestations_of_row on attestations (tenant_id, environment, row_id);

create table acceptances (
  tenant_id    uuid not null default current_tenant() references tenants,
  id           uuid primary key,
  environment  text not null,
  risk_id      text not null,
  person       uuid not null,
  reason       text not null check (length(reason) between 1 and 2000),
  expires_at   timestamptz not null,
  statement    text not null,
  created_at   timestamptz not null default clock_timestamp()
);
create index acceptances_of_risk on acceptances (tenant_id, environment, risk_id);

create table incidents (
  tenant_id      uuid not null default current_tenant() references tenants,
  id             uuid primary key,
  environment    text not null,
  risk_id        text not null,
  row_ids        text[] not null,
  title          text not null check (length(title) between 1 and 120),
  what_happened  text not null check (length(what_happened) between 1 and 4000),
  security       boolean not null,
  created_at     timestamptz not null default clock_timestamp(),
  unique (tenant_id, id)
);
create index incidents_by_time on incidents (tenant_id, created_at desc);

create table incident_actions (
  tenant_id    uuid not null default current_tenant(),
  id           uuid primary key,
  incident_id  uuid not null,
  action       text not null check (action in ('declared', 'linked', 'closed')),
  person       uuid not null,
  row_id       text,
  variant      text,
  outcome      text,
  statement    text not null,
  created_at   timestamptz not null default clock_timestamp(),
  foreign key (tenant_id, incident_id) references incidents (tenant_id, id)
);
create index actions_of_incident on incident_actions (incident_id, created_at);

create table risk_reports (
  tenant_id    uuid not null default current_tenant() references tenants,
  id           uuid primary key,
  title        text not null check (length(title) between 1 and 120),
  description  text not null check (length(description) between 1 and 4000),
  created_at   timestamptz not null default clock_timestamp(),
  unique (tenant_id, id)
);

create table risk_report_steps (
  tenant_id   uuid not null default current_tenant(),
  report_id   uuid not null,
  position    integer not null check (position >= 0),
  stage       text not null check (stage in ('identify', 'assess', 'plan', 'implement', 'monitor', 'closed')),
  person      uuid not null,
  note        text not null check (length(note) between 1 and 2000),
  created_at  timestamptz not null default clock_timestamp(),
  primary key (report_id, position),
  foreign key (tenant_id, report_id) references risk_reports (tenant_id, id)
);

create table reviews (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key,
  kind        text not null check (kind in ('weekly', 'monthly', 'quarterly', 'yearly')),
  due         date not null,
  person      uuid not null,
  attendees   text not null check (length(attendees) <= 500),
  decisions   text not null check (length(decisions) between 1 and 8000),
  agenda      jsonb not null,
  statement   text not null,
  created_at  timestamptz not null default clock_timestamp()
);
create index reviews_by_kind on reviews (tenant_id, kind, created_at desc);

create table contacts (
  tenant_id   uuid not null default current_tenant() references tenants,
  role        text not null check (role in ('platform', 'security', 'legal', 'executive', 'partners')),
  name        text not null check (length(name) between 1 and 120),
  reach       text not null check (length(reach) between 3 and 254),
  updated_at  timestamptz not null default clock_timestamp(),
  tested_at   timestamptz,
  primary key (tenant_id, role)
);

create table contact_tests (
  tenant_id   uuid not null default current_tenant(),
  id          uuid primary key,
  role        text not null,
  digest      bytea not null check (length(digest) = 32),
  attempts    integer not null default 0 check (attempts >= 0),
  expires_at  timestamptz not null,
  used_at     timestamptz,
  created_at  timestamptz not null default clock_timestamp(),
  foreign key (tenant_id, role) references contacts (tenant_id, role) on delete cascade
);
create index tests_of_contact on contact_tests (tenant_id, role, created_at desc);

do $$
declare name text;
begin
  foreach name in array array['risk_documents', 'attestations', 'acceptances', 'incidents', 'incident_actions',
                              'risk_reports', 'risk_report_steps', 'reviews', 'contacts', 'contact_tests'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I to prodsprints_tenant using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to prodsprints_tenant', name);
  end loop;
end $$;

-- <<< governance
