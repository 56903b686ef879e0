-- Soft delete: a deleted project is hidden from its tenant, and not a row of it is gone. Nothing purges yet; whoever
-- builds that gives it a role of its own, since no role of ours may delete these rows from here on.
-- A deleted project keeps its name: who takes it by accident is told how to bring the project back.

alter table projects
  add column deleted_at  timestamptz,
  add column deleted_by  text,
  add constraint deleted_by_somebody check ((deleted_at is null) = (deleted_by is null));
create index projects_deleted on projects (tenant_id, deleted_at) where deleted_at is not null;

-- Since when nothing of it runs on its node any more: from the end of a deletion to the next release that is kept here.
alter table environments add column withdrawn_at timestamptz;

-- Whoever joins projects sees the living only, unless the transaction asks for the deleted ones too.
create policy hide_deleted on projects as restrictive to prodsprints_tenant
  using (deleted_at is null or current_setting('app.deleted', true) = 'shown') with check (true);

create function show_deleted() returns void language plpgsql as $$
begin
  perform set_config('app.deleted', 'shown', true);
end $$;

revoke delete on projects, environments, releases, release_steps, release_events, release_ticks from prodsprints_tenant;

-- 'deleted', also when it was before; 'unknown'; 'busy' while a release of it waits or runs.
create function delete_project(project text, actor text) returns text language plpgsql as $$
declare it projects;
begin
  perform show_deleted();
  select * into it from projects where name = project for update;
  if it.id is null then return 'unknown'; end if;
  if it.deleted_at is not null then return 'deleted'; end if;
  if exists (select from releases r join environments e on e.id = r.environment_id
             where e.project_id = it.id and r.status in ('queued', 'running')) then
    return 'busy';
  end if;
  update environments set withdrawn_at = null where project_id = it.id;
  update projects set deleted_at = now(), deleted_by = actor where id = it.id;
  return 'deleted';
end $$;

-- 'undeleted', also when it was not deleted; 'unknown'. What each environment served is queued to serve again, from its
-- image, in the same transaction: a project is never back without it.
create function undelete_project(project text, actor text) returns text language plpgsql as $$
declare it projects;
begin
  perform show_deleted();
  select * into it from projects where name = project for update;
  if it.id is null then return 'unknown'; end if;
  if it.deleted_at is null then return 'undeleted'; end if;
  update projects set deleted_at = null, deleted_by = null where id = it.id;
  insert into releases (environment_id, number, kind, repository, commit, label, digest, requested_by, node, options)
  select e.id, (select max(number) + 1 from releases where environment_id = e.id), 'rollback', r.repository, r.commit,
         r.label, r.digest, actor, e.node, jsonb_build_object('of', coalesce(r.options ->> 'of', r.id::text))
  from environments e join releases r on r.id = e.current_release_id where e.project_id = it.id;
  return 'undeleted';
end $$;

-- A release that is asked for while its project is being deleted comes too late, and is refused. `for share`, so that
-- of the two one waits for the other.
create function refuse_deleted_project() returns trigger language plpgsql as $$
begin
  perform from environments e join projects p on p.id = e.project_id
  where e.id = new.environment_id and p.deleted_at is null for share of p;
  if not found and exists (select from environments where id = new.environment_id) then
    raise exception using errcode = 'restrict_violation', message = 'the project is deleted';
  end if;
  return new;
end $$;
create trigger refuse_deleted_project before insert on releases for each row execute function refuse_deleted_project();

-- What carries a deletion out on its node: ids and states, no content.
create policy dispatch on projects to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, deleted_at) on projects to prodsprints_dispatch;
create policy dispatch on environments to prodsprints_dispatch using (current_user = 'prodsprints_dispatch');
grant select (tenant_id, id, project_id, node, withdrawn_at) on environments to prodsprints_dispatch;
