-- The fleet: what all workers of a platform share about a provider (buckets, frozen keys, breakers, retry budgets).
-- Each process asks for everything at once, in one call of fleet_tick, some ten times a second. Only this database's time
-- counts: callers say and are told durations, so their clocks may be wrong. Nothing here waits for the disk: what a crash
-- forgets is made good by beginning with an empty bucket. None of it is a tenant's.

create table fleet_workers (
  id       text primary key check (length(id) between 1 and 100),
  seen_at  timestamptz not null
) with (fillfactor = 50);

-- A token bucket: `tokens` as of `at`, which lies ahead while the scope is frozen. Without a rate nobody knows the limit,
-- and it can only be frozen.
create table fleet_buckets (
  scope         text primary key check (length(scope) between 1 and 300),
  rate          double precision check (rate > 0 and rate < 'infinity'),
  burst         double precision check (burst >= 1 and burst < 'infinity'),
  tokens        double precision not null check (tokens >= 0 and tokens < 'infinity'),
  at            timestamptz not null,
  frozen_until  timestamptz not null default '-infinity',
  thaws         bigint not null default 0,  -- by hand: the only way in which a freeze ends early
  check ((rate is null) = (burst is null))
) with (fillfactor = 50);

-- What people did by hand.
create table fleet_acts (
  id       bigint generated always as identity primary key,
  at       timestamptz not null default clock_timestamp(),
  scope    text not null,
  act      text not null check (act in ('freeze', 'thaw')),
  seconds  double precision not null check (seconds >= 0 and seconds < 'infinity'),
  actor    text not null check (length(actor) between 1 and 200)
);
create index fleet_acts_of_scope on fleet_acts (scope, at desc);

-- A circuit; `version` counts its changes, so that whoever speaks of an older state is not listened to. While it is open,
-- from `probe_at` on one worker at a time may send one call; its permit is lost at `probe_until`.
create table fleet_breakers (
  name         text primary key check (length(name) between 1 and 300),
  version      bigint not null default 0,
  open         boolean not null default false,
  trips        bigint not null default 0,
  probe_at     timestamptz not null default '-infinity',
  probe_by     text,
  probe_until  timestamptz not null default '-infinity'
) with (fillfactor = 50);

create table fleet_budgets (
  name    text primary key check (length(name) between 1 and 300),
  tokens  double precision not null check (tokens >= 0 and tokens < 'infinity'),
  at      timestamptz not null
) with (fillfactor = 50);

grant select, insert, update, delete on fleet_workers to prodsprints_dispatch;
grant select, insert, update on fleet_buckets, fleet_breakers, fleet_budgets to prodsprints_dispatch;
grant select, insert on fleet_acts to prodsprints_dispatch;

create function seconds_between(earlier timestamptz, later timestamptz) returns double precision language sql immutable
  return extract(epoch from later - earlier);

-- What a bucket holds at `present`. A bucket that is older than the server's start may have forgotten what it granted
-- last; so may any bucket, as seen by a caller whose connection was cut (`recovering`).
create function fleet_refilled(it fleet_buckets, present timestamptz, recovering boolean) returns fleet_buckets
language plpgsql as $$
begin
  if it.frozen_until > present then
    it.tokens := 0;
    it.at := it.frozen_until;
  elsif it.at > present then  -- the server's clock was set back: that is no time in which nothing may be granted
    it.at := present;
  elsif it.at < pg_postmaster_start_time() or recovering then
    it.tokens := 0;
    it.at := present;
  else
    it.tokens := coalesce(least(it.burst, it.tokens + seconds_between(it.at, present) * it.rate), 0);
    it.at := present;
  end if;
  return it;
end $$;

-- Ask: {scope, rate, burst, want, back: [[tokens, of]], freeze: seconds}. Answer: {granted, left, next, frozen, thaws, of}:
-- `next` are the seconds until there is a token, `frozen` those until the scope thaws, `of` the time of the grant, told
-- when tokens of it are given back. Of these so many are lost as the bucket may have flown over meanwhile: so the bucket
-- with what was given back is never fuller than if it had not been granted, and its bound holds (tests/.../test_leases).
create function fleet_bucket(ask jsonb, recovering boolean) returns jsonb language plpgsql as $$
declare
  it fleet_buckets;
  present timestamptz;
  want double precision := coalesce((ask ->> 'want')::double precision, 0);
  cold double precision := (ask ->> 'freeze')::double precision;
  granted double precision := 0;
  given jsonb;
begin
  select * into it from fleet_buckets where scope = ask ->> 'scope';
  if not found or want > 0 or cold is not null or ask ? 'back' or recovering then
    if it.scope is null then
      insert into fleet_buckets (scope, rate, burst, tokens, at)
      values (ask ->> 'scope', (ask ->> 'rate')::float8, (ask ->> 'burst')::float8,
              coalesce((ask ->> 'burst')::float8, 0), clock_timestamp())
      on conflict do nothing;
    end if;
    select * into it from fleet_buckets where scope = ask ->> 'scope' for update;
    present := clock_timestamp();  -- not before the row is ours: while we waited, others had it refilled
    it := fleet_refilled(it, present, recovering);
    if cold is not null and present + make_interval(secs => cold) > it.frozen_until then
      it.frozen_until := present + make_interval(secs => cold);
      it := fleet_refilled(it, present, recovering);
    end if;
    it.rate := (ask ->> 'rate')::float8;
    it.burst := (ask ->> 'burst')::float8;
    if it.rate is not null and it.frozen_until <= present then
      for given in select jsonb_array_elements(ask -> 'back') loop
        it.tokens := it.tokens + greatest(
          0, (given ->> 0)::float8 - it.rate * greatest(0, extract(epoch from present) - (given ->> 1)::float8));
      end loop;
      it.tokens := least(it.burst, it.tokens);
      granted := least(floor(want), floor(it.tokens));
      it.tokens := it.tokens - granted;
    end if;
    update fleet_buckets
    set rate = it.rate, burst = it.burst, tokens = it.tokens, at = it.at, frozen_until = it.frozen_until
    where scope = it.scope;
  else
    present := clock_timestamp();
    it := fleet_refilled(it, present, false);
  end if;
  return jsonb_build_object(
    'granted', granted, 'left', it.tokens, 'next', greatest(0, (1 - it.tokens) / it.rate), 'thaws', it.thaws,
    'frozen', case when it.frozen_until > present then seconds_between(present, it.frozen_until) else 0 end,
    'of', extract(epoch from present));
end $$;

-- Ask: {name, version, say, recovery, probe}: `say` is what the worker's own circuit did on the ground of `version`:
-- "opened", "closed", or "released" when its probe ended without a word about the provider; `probe` asks for a permit.
-- Answer: {version, open, probe_in, probing, permit}.
create function fleet_breaker(worker text, ask jsonb) returns jsonb language plpgsql as $$
declare
  it fleet_breakers;
  present timestamptz;
  say text := ask ->> 'say';
  recovery interval := make_interval(secs => (ask ->> 'recovery')::float8);
  permit boolean := false;
begin
  select * into it from fleet_breakers where name = ask ->> 'name';
  if not found or say is not null or (ask ->> 'probe')::boolean then
    insert into fleet_breakers (name) values (ask ->> 'name') on conflict do nothing;
    select * into it from fleet_breakers where name = ask ->> 'name' for update;
    present := clock_timestamp();
    if it.version = (ask ->> 'version')::bigint then
      case
        when say = 'opened' then
          it.version := it.version + 1;
          it.open := true;
          it.trips := it.trips + 1;
          it.probe_at := present + recovery;
          it.probe_until := '-infinity';
        when say = 'closed' and it.open then
          it.version := it.version + 1;
          it.open := false;
          it.probe_until := '-infinity';
        when say = 'released' and it.probe_by = worker then
          it.probe_until := '-infinity';
        else null;
      end case;
      if (ask ->> 'probe')::boolean and it.open and present >= it.probe_at and present >= it.probe_until then
        permit := true;
        it.probe_by := worker;
        it.probe_until := present + recovery + interval '1 second';
      end if;
    end if;
    update fleet_breakers
    set version = it.version, open = it.open, trips = it.trips, probe_at = it.probe_at, probe_by = it.probe_by,
        probe_until = it.probe_until
    where name = it.name;
  end if;
  present := clock_timestamp();
  return jsonb_build_object(
    'version', it.version, 'open', it.open, 'permit', permit, 'probing', it.probe_until > present,
    'probe_in', case when it.open then greatest(0, seconds_between(present, it.probe_at)) else 0 end);
end $$;

-- Ask: {name, reserve, refill, earned, want}; `refill` are the seconds in which an empty budget fills by itself.
-- Answer: {granted, left}.
create function fleet_budget(ask jsonb) returns jsonb language plpgsql as $$
declare
  it fleet_budgets;
  present timestamptz;
  reserve double precision := (ask ->> 'reserve')::float8;
  granted double precision := 0;
begin
  if not ask ? 'want' and not ask ? 'earned' then
    select * into it from fleet_budgets where name = ask ->> 'name';
    return jsonb_build_object('granted', 0, 'left', coalesce(it.tokens, reserve));
  end if;
  insert into fleet_budgets values (ask ->> 'name', reserve, clock_timestamp()) on conflict do nothing;
  select * into it from fleet_budgets where name = ask ->> 'name' for update;
  present := clock_timestamp();
  it.tokens := least(reserve, it.tokens + coalesce((ask ->> 'earned')::float8, 0)
    + greatest(0, seconds_between(it.at, present)) * reserve / (ask ->> 'refill')::float8);
  granted := least(floor(coalesce((ask ->> 'want')::float8, 0)), floor(it.tokens));
  update fleet_budgets set tokens = it.tokens - granted, at = present where name = it.name;
  return jsonb_build_object('granted', granted, 'left', it.tokens - granted);
end $$;

-- Everything that one process asks for, and how many processes there are. Those that are asked for are named in one order
-- by everybody, so that no two calls wait for each other.
create function fleet_tick(worker text, asks jsonb) returns jsonb language plpgsql as $$
declare
  recovering boolean := (asks ->> 'recovering')::boolean;
  buckets jsonb;
  breakers jsonb;
  budgets jsonb;
begin
  perform set_config('role', 'prodsprints_dispatch', true), set_config('synchronous_commit', 'off', true);
  insert into fleet_workers as known (id, seen_at) values (worker, clock_timestamp())
  on conflict (id) do update set seen_at = excluded.seen_at
  where known.seen_at not between clock_timestamp() - interval '1 second' and clock_timestamp();
  if found then
    delete from fleet_workers where seen_at < clock_timestamp() - interval '1 minute';
  end if;
  select coalesce(jsonb_agg(fleet_bucket(ask, recovering) order by place), '[]') into buckets
  from jsonb_array_elements(asks -> 'buckets') with ordinality as of (ask, place);
  select coalesce(jsonb_agg(fleet_breaker(worker, ask) order by place), '[]') into breakers
  from jsonb_array_elements(asks -> 'breakers') with ordinality as of (ask, place);
  select coalesce(jsonb_agg(fleet_budget(ask) order by place), '[]') into budgets
  from jsonb_array_elements(asks -> 'budgets') with ordinality as of (ask, place);
  return jsonb_build_object(
    'buckets', buckets, 'breakers', breakers, 'budgets', budgets,
    'workers', (select count(*) from fleet_workers where seen_at >= clock_timestamp() - interval '3 seconds'));
end $$;

create function fleet_leave(worker text) returns void language plpgsql as $$
begin
  perform set_config('role', 'prodsprints_dispatch', true), set_config('synchronous_commit', 'off', true);
  delete from fleet_workers where id = worker;
end $$;

-- By hand. The seconds that the scope is frozen now; the longer freeze stays.
create function fleet_freeze(place text, seconds double precision, who text) returns double precision language plpgsql as $$
declare until timestamptz := clock_timestamp() + make_interval(secs => seconds);
begin
  perform set_config('role', 'prodsprints_dispatch', true);
  insert into fleet_acts (scope, act, seconds, actor) values (place, 'freeze', fleet_freeze.seconds, who);
  insert into fleet_buckets as it (scope, tokens, at, frozen_until) values (place, 0, until, until)
  on conflict (scope) do update
    set tokens = 0, at = greatest(it.at, until), frozen_until = greatest(it.frozen_until, until)
  returning it.frozen_until into until;
  return seconds_between(clock_timestamp(), until);
end $$;

-- By hand. The seconds that it would still have been frozen; 0 if it was not. Its bucket begins empty.
create function fleet_thaw(place text, who text) returns double precision language plpgsql as $$
declare
  it fleet_buckets;
  present timestamptz;
  spared double precision := 0;
begin
  perform set_config('role', 'prodsprints_dispatch', true);
  select * into it from fleet_buckets where scope = place for update;
  present := clock_timestamp();
  if it.frozen_until > present then
    spared := seconds_between(present, it.frozen_until);
    update fleet_buckets set tokens = 0, at = present, frozen_until = '-infinity', thaws = thaws + 1 where scope = place;
  end if;
  insert into fleet_acts (scope, act, seconds, actor) values (place, 'thaw', spared, who);
  return spared;
end $$;
