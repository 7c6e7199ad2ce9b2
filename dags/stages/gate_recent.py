"""What the rows that came last lead to expect of those of tonight.

All of a table's history hides what is wrong in one day's rows: if every session of tonight lacks
its device, the share of nulls in a year's sessions moves by a quarter of a point. So tables with
a clock are measured by the rows of the last day alone, or of the last seven where these are fewer
than six a day; and what cleanup puts into quarantine of the loads since the last published night by
the rows that they inserted. A night is compared with nights of the same window. As in
``gate_history`` they are the last 56 published ones, at least 14, and the median is that of the
same weekday where four of these are known.

``recent_nulls``, ``recent_share``, ``recent_quarantined`` and conditions of a suite's own
    A share of n rows is compared as 2 arcsin sqrt((k + 3/8) / (n + 3/4)), whose standard error is
    1 / sqrt(n + 1/2) whatever the share (Anscombe, Biometrika 35, 1948). Bounds: 4.5 of them for
    the rows of tonight, which chance exceeds thrice in a million, and at least 2 percentage points.
    As the median of k nights has a variance of pi / 2k theirs, sqrt(1 + pi / 2k) times as many.
    Where past nights differ by more than chance explains, in proportion more: the standard error
    is multiplied by the robust spread of the past nights' own standard scores: 1.4826 times their
    median distance, or the 90th percentile over 1.645, the larger (what comes in bursts has quiet
    nights for its median). One bad order takes all its lines to quarantine with it, so that these
    must be 50 points more. A value of a category may take any share of one day, as a campaign
    brings a day's sessions; what is odd is that a value vanishes, so that it must also have fallen
    below a tenth of its usual share.
``recent_mean``
    Bounds: 8 standard errors s / sqrt(n), likewise multiplied, at least a tenth of the mean, with
    s the standard deviation of the whole table on the last night. A mean of few rows of a skewed
    column exceeds that by chance: Bernstein's inequality (Boucheron, Lugosi and Massart,
    *Concentration Inequalities*, 2013, 2.8) adds 8 squared / 3 times the size of a single value
    over n; taken for that size is s squared / mean, which it is of rare events.
"""

RECENT_ROWS = 6  # five of which all are null could still be chance

# The days of the window, and its name; no row where the table is too thin.
RECENT_WINDOW = f"""
select
    case when n >= 7 * {RECENT_ROWS} then 1 else 7 end,
    case when n >= 7 * {RECENT_ROWS} then '1 day' else '7 days' end
from (
    select
        count(*) as n,
        count(*) filter (where {{clock}} >= quality.night() - 1) as n_of_day
    from {{table}}
    where
        ({{where}})
        and {{clock}} >= quality.night() - 7 and {{clock}} < quality.night()
) as recent
where case when n >= 7 * {RECENT_ROWS} then n_of_day else n end >= {RECENT_ROWS}
"""

# The rows that loads since the last published night inserted, and what is in quarantine of these
# loads, as a share of that.
NEW_QUARANTINED = f"""
with loads as (

    select
        batch_id,
        inserted as n
    from elt.load_log
    where
        source_system = {{system}}
        and source_table = {{source}}
        and as_of <= quality.night()
        and as_of > (
            select max(as_of) from quality.verdicts
            where published and as_of < quality.night()
        )

),

counted as (

    select
        sum(n)::double precision as n,
        (
            select count(*) from {{quarantine}}
            where batch_id in (select batch_id from loads)
        ) as quarantined
    from loads

)

select 'recent_rows', 'new', n from counted where n >= {RECENT_ROWS}
union all
select 'recent_quarantined', '', least(quarantined / n, 1) from counted where n >= {RECENT_ROWS}
"""

RECENT_BOUNDS = """
with teaching as (

    select as_of from quality.verdicts
    where published and as_of < %(as_of)s
    order by as_of desc
    limit %(longest)s

),

series as (

    select
        f.table_name,
        f.figure,
        f.column_name,
        f.as_of,
        counted.value as n,
        tonight.value as n_tonight,
        extract(isodow from f.as_of) = extract(isodow from %(as_of)s::date) as is_weekday,
        case f.figure
            when 'recent_mean' then f.value
            else 2 * asin(sqrt((f.value * counted.value + 0.375) / (counted.value + 0.75)))
        end as level
    from quality.table_figures as tonight
    inner join quality.table_figures as counted
        on
            tonight.table_name = counted.table_name
            and tonight.figure = counted.figure
            and tonight.column_name = counted.column_name
    inner join quality.table_figures as f
        on counted.table_name = f.table_name and counted.as_of = f.as_of
    where
        tonight.as_of = %(as_of)s
        and tonight.figure = 'recent_rows'
        and f.figure like 'recent\\_%%'
        and f.figure not in ('recent_rows', 'recent_stddev')
        and f.value is not null
        and f.as_of in (select as_of from teaching)

),

learnt as (

    select
        table_name,
        figure,
        column_name,
        n_tonight,
        count(*) as nights,
        min(as_of) as learnt_from,
        max(as_of) as learnt_until,
        percentile_cont(0.5) within group (order by level) as centre,
        percentile_cont(0.5) within group (order by level)
        filter (where is_weekday) as centre_of_weekday,
        count(*) filter (where is_weekday) as weekdays
    from series
    group by table_name, figure, column_name, n_tonight

),

spread as (

    select
        table_name,
        figure,
        column_name,
        greatest(
            1.4826 * percentile_cont(0.5) within group (order by distance),
            percentile_cont(0.9) within group (order by distance) / 1.645
        ) as spread
    from (
        select
            series.*,
            abs(series.level - learnt.centre) * sqrt(series.n + 0.5) as distance
        from series
        inner join learnt using (table_name, figure, column_name)
    ) as distances
    group by table_name, figure, column_name

),

tolerance as (

    select
        learnt.*,
        case
            when learnt.weekdays >= 4 then learnt.centre_of_weekday
            else learnt.centre
        end as usual,
        case
            -- Until the whole table has been measured, nothing says what a single row may be.
            when learnt.figure = 'recent_mean' and deviation.value is null then null
            when learnt.figure = 'recent_mean' then greatest(
                8 * greatest(spread.spread, deviation.value) / sqrt(learnt.n_tonight)
                + coalesce(
                    64.0 / 3 * power(deviation.value, 2)
                    / nullif(abs(mean.value), 0) / learnt.n_tonight, 0
                ),
                0.1 * abs(learnt.centre)
            )
            else 4.5 * greatest(spread.spread, 1) / sqrt(learnt.n_tonight + 0.5)
        end
        * sqrt(1 + pi() / 2 / case
            when learnt.weekdays >= 4 then learnt.weekdays
            else learnt.nights
        end) as tolerance
    from learnt
    inner join spread using (table_name, figure, column_name)
    left join quality.table_figures as deviation
        on
            deviation.figure = 'stddev'
            and learnt.table_name = deviation.table_name
            and learnt.column_name = deviation.column_name
            and learnt.learnt_until = deviation.as_of
    left join quality.table_figures as mean
        on
            mean.figure = 'mean'
            and learnt.table_name = mean.table_name
            and learnt.column_name = mean.column_name
            and learnt.learnt_until = mean.as_of
    where learnt.nights >= %(least)s

),

bounds as (

    select
        table_name,
        figure,
        column_name,
        case figure
            when 'recent_mean' then usual
            else least(greatest({usual}, 0), 1)
        end as usual,
        case figure
            when 'recent_mean' then usual - tolerance
            when 'recent_share' then least({low}, {usual} / 10)
            else least({low}, {usual} - 0.02)
        end as low,
        case
            when figure = 'recent_mean' then usual + tolerance
            when figure = 'recent_quarantined' then greatest({high}, {usual} + 0.5)
            when figure <> 'recent_share' then greatest({high}, {usual} + 0.02)
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
""".format(
    # Back from the scale of the comparison to shares.
    **{
        name: f"((power(sin(least(greatest({level}, 0), pi()) / 2), 2) * (n_tonight + 0.75)"
        " - 0.375) / n_tonight)"
        for name, level in (
            ("usual", "usual"),
            ("low", "usual - tolerance"),
            ("high", "usual + tolerance"),
        )
    }
)
