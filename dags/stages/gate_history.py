"""What a table's own history leads to expect: the statistics behind the checks on figures.

Nights that were published teach, at most the last 56 of them (eight weeks); a stopped night never
does. Nothing is judged before 14 steps from one night to the next are known (two of each weekday).
The newest rows alone are in ``gate_recent``, the drift of features in ``gate_drift``.

Bounds are robust: the median for what is usual, and 1.4826 times the median absolute deviation
(MAD) for its spread, so that one odd night in the history moves neither (Iglewicz and Hoaglin,
*How to Detect and Handle Outliers*, 1993, who alarm from 3.5 spreads on; a gate looks at hundreds
of figures every night, so that here it takes 6 or 8).

``rows``
    Judged by the rows that came per day since the last night. Counts are compared as
    2 sqrt(n + 3/8), whose spread is about 1 whatever n (Anscombe, *The transformation of Poisson,
    binomial and negative-binomial data*, Biometrika 35, 1948), signed for tables that shrink. The
    median is that of the same weekday where two of these are known. Bounds: 6 spreads, none
    taken for smaller than 1.
``age_hours``
    Hours from the newest row to the night. Its lower quartile is how the source is made (0, or
    24 where it has dates only). A source that never sleeps is silent for so long that 14 rows
    should have come once in a million nights (exp(-14)); its wait exceeds 20 times the median as
    rarely. The larger of the two, never less than 20 hours, and half as much again as the median
    wait on the same weekday (a shop may rest on Sundays); of an even number of them the longer of
    the middle two.
``nulls``, ``share``, ``mean``
    Of tables with 100 rows or more. Judged by their step from one night to the next: 8 spreads of
    the past steps, but at least 2 percentage points for a share, and for a mean a tenth of it or of
    its standard deviation. A value that 30 rows or more had last night may not fall below a fifth
    of its share.
"""

LEARNING_NIGHTS = 14
LONGEST_HISTORY = 56
PROFILED_ROWS = 100  # of fewer rows, a column says too little from one night to the next

# A value that no row has tonight has no figure of its own; it is 0.
VANISHED = """
insert into quality.table_figures (as_of, table_name, figure, column_name, value)
select
    %(as_of)s,
    before.table_name,
    before.figure,
    before.column_name,
    0
from quality.table_figures as before
where
    before.figure in ('share', 'recent_share')
    and before.as_of = (
        select max(as_of) from quality.verdicts where published and as_of < %(as_of)s
    )
    and exists (
        select 1 from quality.table_figures as f
        where
            f.as_of = %(as_of)s and f.table_name = before.table_name
            and f.figure = before.figure
    )
    and not exists (
        select 1 from quality.table_figures as f
        where
            f.as_of = %(as_of)s and f.table_name = before.table_name
            and f.figure = before.figure and f.column_name = before.column_name
    )
"""

BOUNDS = """
with teaching as (

    select as_of from quality.verdicts
    where published and as_of < %(as_of)s
    order by as_of desc
    limit %(longest)s

),

history as (

    select
        f.table_name,
        f.figure,
        f.column_name,
        f.as_of,
        f.value,
        f.as_of = %(as_of)s as is_tonight,
        -- A night that did not have the value says that its share was 0.
        lag(f.value) over series as before,
        lag(f.as_of) over series as before_as_of
    from quality.table_figures as f
    where
        f.figure in ('rows', 'age_hours', 'nulls', 'share', 'mean')
        and f.value is not null
        and (f.figure <> 'nulls' or exists (
            select 1 from quality.table_figures as r
            where
                r.as_of = f.as_of and r.table_name = f.table_name and r.figure = 'rows'
                and r.value >= %(profiled)s
        ))
        and (f.as_of = %(as_of)s or f.as_of in (select as_of from teaching))
    window series as (
        partition by f.table_name, f.figure, f.column_name order by f.as_of
    )

),

-- What is compared: rows per day as a root, the age itself, and else the step.
steps as (

    select
        *,
        extract(isodow from as_of) = extract(isodow from %(as_of)s::date) as is_weekday,
        case figure
            when 'rows' then
                sign(value - before)
                * 2 * sqrt(abs(value - before) / nullif(as_of - before_as_of, 0) + 0.375)
            when 'age_hours' then value
            else value - before
        end as step
    from history

),

learnt as (

    select
        table_name,
        figure,
        column_name,
        count(*) as nights,
        min(as_of) as learnt_from,
        max(as_of) as learnt_until,
        percentile_disc(0.25) within group (order by value) as least,
        percentile_disc(0.6) within group (order by value)
        filter (where is_weekday) as usual_of_weekday,
        coalesce(
            percentile_cont(0.5) within group (order by step)
            filter (where is_weekday and figure = 'rows' and weekdays >= 2),
            percentile_cont(0.5) within group (order by step)
        ) as usual,
        (array_agg(value order by as_of desc))[1] as last_value,
        max(as_of) as last_as_of
    from (
        select
            *,
            count(*) filter (where is_weekday) over (
                partition by table_name, figure, column_name
            ) as weekdays
        from steps
        where not is_tonight and step is not null
    ) as past
    group by table_name, figure, column_name

),

spread as (

    select
        table_name,
        figure,
        column_name,
        1.4826 * percentile_cont(0.5) within group (
            order by abs(steps.step - medians.centre)
        ) as spread
    from steps
    inner join (
        select
            table_name,
            figure,
            column_name,
            percentile_cont(0.5) within group (order by step) as centre
        from steps
        where not is_tonight and step is not null
        group by table_name, figure, column_name
    ) as medians using (table_name, figure, column_name)
    where not steps.is_tonight and steps.step is not null
    group by table_name, figure, column_name

),

tolerance as (

    select
        learnt.*,
        rows_before.value as rows_before,
        %(as_of)s - learnt.last_as_of as days,
        case learnt.figure
            when 'rows' then 6 * greatest(spread.spread, 1)
            when 'age_hours' then greatest(
                20 * (learnt.usual - learnt.least),
                1.5 * (learnt.usual_of_weekday - learnt.least),
                case when {rate} > 0 then 24 * 14 / {rate} else 'infinity' end,
                19.99
            )
            when 'mean' then greatest(
                8 * spread.spread, 0.1 * abs(learnt.last_value), 0.1 * deviation.value
            )
            else greatest(8 * spread.spread, 0.02)
        end as tolerance
    from learnt
    inner join spread using (table_name, figure, column_name)
    left join quality.table_figures as deviation
        on
            learnt.figure = 'mean'
            and deviation.figure = 'stddev'
            and learnt.table_name = deviation.table_name
            and learnt.column_name = deviation.column_name
            and learnt.last_as_of = deviation.as_of
    left join quality.table_figures as rows_before
        on
            rows_before.figure = 'rows'
            and learnt.table_name = rows_before.table_name
            and learnt.last_as_of = rows_before.as_of
    left join learnt as flow
        on
            learnt.figure = 'age_hours'
            and flow.figure = 'rows'
            and learnt.table_name = flow.table_name
    where learnt.nights >= %(least)s

),

bounds as (

    select
        table_name,
        figure,
        column_name,
        case figure
            when 'rows' then last_value + days * {usual}
            when 'age_hours' then usual
            else last_value + usual
        end as usual,
        case
            when figure = 'rows' then last_value + days * {low}
            when figure = 'age_hours' then null
            when figure = 'share' and last_value * rows_before >= 30
                then greatest(last_value + usual - tolerance, last_value / 5)
            else last_value + usual - tolerance
        end as low,
        case figure
            when 'rows' then last_value + days * {high}
            when 'age_hours' then least + tolerance
            else last_value + usual + tolerance
        end as high
    from tolerance

)

update quality.table_figures as f
set
    usual = bounds.usual,
    low = bounds.low,
    high = bounds.high,
    nights = learnt.nights,
    learnt_from = learnt.learnt_from,
    learnt_until = learnt.learnt_until
from learnt
left join bounds using (table_name, figure, column_name)
where
    f.as_of = %(as_of)s
    and f.table_name = learnt.table_name
    and f.figure = learnt.figure
    and f.column_name = learnt.column_name
    -- The nulls of a table that has too few rows tonight are known, but not judged.
    and (f.figure <> 'nulls' or exists (
        select 1 from history
        where
            is_tonight and history.figure = 'nulls'
            and history.table_name = f.table_name and history.column_name = f.column_name
    ))
""".format(
    **{
        name: f"(sign({root}) * greatest(power(({root}) / 2, 2) - 0.375, 0))"
        for name, root in (
            ("usual", "usual"),
            ("low", "usual - tolerance"),
            ("high", "usual + tolerance"),
            ("rate", "flow.usual"),
        )
    }
)
