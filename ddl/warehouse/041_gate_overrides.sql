-- What an override covers, verdicts that are taken back, and stale predictions by the newest night.
set local role amato_transformer;
grant create on schema quality to amato_validator;
set local role amato_validator;

-- findings: what stopped the night when it was published. An override holds for the build that was
-- judged and for these; one from before they were kept has none, and covers nothing that is judged
-- again. A run publishes a night once.
alter table quality.overrides
drop constraint overrides_as_of_build_id_key,
add column override_id bigint generated always as identity primary key,
add column findings text[] not null default '{}';
alter table quality.overrides alter column findings drop default;
create unique index overrides_run on quality.overrides (as_of, dag_id, run_id)
where findings <> '{}';

-- verdict is null, and the night not published, where its tables are not judged as they stand: a
-- judgement is going on or broke off, or dbt has begun to build the night again since.
alter table quality.verdicts
alter column verdict drop not null,
add constraint verdicts_published_is_judged check (verdict is not null or not published);

-- Takes back what was said of a night. Who builds may do that, and nothing else with verdicts.
create function quality.void_verdict(night date) returns void
language sql security definer set search_path = '' as $$
    insert into quality.verdicts (as_of, published) values (night, false)
    on conflict (as_of) do update set
        build_id = null, verdict = null, published = false, score = null, finding = null, mark = null
$$;
revoke execute on function quality.void_verdict(date) from public;
grant execute on function quality.void_verdict(date) to amato_transformer;

-- The newest night that was opened or judged: whether it may be used, and what was found, or why
-- nothing is known.
create view quality.newest_night as
select
    newest.as_of,
    coalesce(verdicts.published, false) as published,
    case
        when verdicts.verdict is null then 'the gate has not judged it as it stands'
        else verdicts.finding
    end as finding
from (
    select max(nights.as_of) as as_of
    from (
        select as_of from elt.nights
        union all
        select as_of from quality.verdicts
    ) as nights
) as newest
left join quality.verdicts on newest.as_of = verdicts.as_of
where newest.as_of is not null;
grant select on quality.newest_night to amato_scientist;
set local role amato_transformer;
revoke create on schema quality from amato_validator;

-- Which night's predictions are in force. They are stale where they are of an earlier night than
-- the newest, or that one is not published: they stay where they are until one is, and is scored.
set local role amato_scientist;
create or replace view ml.predictions_standing as
with scored as (
    select
        model,
        max(as_of) as predictions_as_of
    from ml.model_runs
    where kind = 'infer' and state = 'success'
    group by model
)

select
    scored.model,
    scored.predictions_as_of,
    newest.as_of as newest_night,
    coalesce(not newest.published or scored.predictions_as_of < newest.as_of, false) as is_stale,
    case
        when not newest.published then newest.finding
        when scored.predictions_as_of < newest.as_of then 'it is not scored yet'
    end as stale_because
from scored
left join quality.newest_night as newest on true;

reset role;
