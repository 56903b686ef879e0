-- Mirrors: which remote repositories have a local mirror, and how fresh it is. What counts lies beside the mirror itself,
-- on its node's disk; this is what people read, and by what a worker finds the mirrors that it refreshes.

create table mirrors (
  tenant_id   uuid not null default current_tenant() references tenants,
  id          uuid primary key default gen_random_uuid(),
  node        text not null,
  url         text not null check (length(url) <= 2048),
  size_bytes  bigint not null default 0 check (size_bytes >= 0),
  fetched_at  timestamptz,  -- when the host was last heard
  failed_at   timestamptz,  -- when it last was not
  failure     text not null default '' check (length(failure) <= 1000),
  used_at     timestamptz,  -- when a release last took a commit from it
  created_at  timestamptz not null default clock_timestamp(),
  unique (tenant_id, node, url)
);
alter table mirrors enable row level security;
alter table mirrors force row level security;
create policy tenant on mirrors to prodsprints_tenant using (tenant_id = current_tenant());
grant select, insert, update, delete on mirrors to prodsprints_tenant;

-- Workers learn who has mirrors: ids, no content.
create policy dispatch on mirrors to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id) on mirrors to prodsprints_dispatch;

-- A release of a remote repository is asked for by a name; its commit is found by the step `source`, and is empty before.
alter table releases drop constraint releases_commit_check;
alter table releases add constraint releases_commit_check
  check (commit ~ '^[0-9a-f]{40}([0-9a-f]{24})?$' or (commit = '' and kind = 'release'));
create index releases_of_repository on releases (tenant_id, repository);
