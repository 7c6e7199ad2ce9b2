"""How far a model's features have drifted from the training window.

Measured is the population stability index of each feature between the training window's night and
this one, over the tenths of the former (Siddiqi, *Credit Risk Scorecards*, 2006: from 0.1 on some,
from 0.25 on a major shift). By chance alone it is (1 / n + 1 / m) times a chi-square with
bins - 1 degrees of freedom (Yurdakul and Naranjo, *Statistical Properties of the Population
Stability Index*, Journal of Risk Model Validation 14, 2020); 27.9 is the latter's 99.9th percentile
at 9, and what is below is no drift either.
"""

# The night's own tenths of each column, for nights to come; ties make for fewer than ten.
BINS = """
insert into quality.feature_bins (as_of, table_name, column_name, edges, counts)
with cells as (

    select
        cell.column_name,
        cell.value
    from {table}
    cross join lateral (values {values}) as cell (column_name, value)
    where {where} and cell.value is not null

),

tenths as (

    select
        column_name,
        array(
            select distinct edge from unnest(
                percentile_disc(array[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
                within group (order by value)
            ) as t (edge)
            order by edge
        ) as edges
    from cells
    group by column_name

),

counted as (

    select
        tenths.column_name,
        tenths.edges,
        width_bucket(cells.value, tenths.edges) as bin,
        count(*) as value_count
    from cells
    inner join tenths on cells.column_name = tenths.column_name
    group by 1, 2, 3

)

select
    %(as_of)s,
    {name},
    counted.column_name,
    counted.edges,
    array_agg(coalesce(filled.value_count, 0) order by bins.bin)
from (select distinct column_name, edges from counted) as counted
cross join lateral generate_series(0, cardinality(counted.edges)) as bins (bin)
left join counted as filled
    on counted.column_name = filled.column_name and bins.bin = filled.bin
group by counted.column_name, counted.edges
"""

# The training window's night: the last published one that the champions had seen all of, or the
# first of all while there is none.
DRIFT = """
insert into quality.table_figures (
    as_of, table_name, figure, column_name, value, usual, high, nights, learnt_from, learnt_until
)
with binned as (

    select distinct bins.as_of
    from quality.feature_bins as bins
    inner join quality.verdicts as verdicts on bins.as_of = verdicts.as_of
    where bins.table_name = {name} and verdicts.published and bins.as_of < %(as_of)s

),

reference as (

    select
        coalesce(
            max(as_of) filter (where as_of <= (
                select min((params ->> 'trained_until')::date) from ml.model_versions
                where is_champion
            )),
            min(as_of)
        ) as as_of,
        count(*) as nights
    from binned

),

cells as (

    select
        cell.column_name,
        cell.value
    from {table}
    cross join lateral (values {values}) as cell (column_name, value)
    where {where} and cell.value is not null

),

counted as (

    select
        bins.column_name,
        width_bucket(cells.value, bins.edges) as bin,
        count(*) as value_count
    from cells
    inner join quality.feature_bins as bins on cells.column_name = bins.column_name
    inner join reference on bins.as_of = reference.as_of
    where bins.table_name = {name}
    group by 1, 2

),

compared as (

    select
        bins.column_name,
        coalesce(counted.value_count, 0) as n,
        before.value_count as m,
        cardinality(bins.counts) as cells,
        sum(coalesce(counted.value_count, 0)) over of_column as all_n,
        sum(before.value_count) over of_column as all_m
    from quality.feature_bins as bins
    inner join reference on bins.as_of = reference.as_of
    cross join lateral unnest(bins.counts) with ordinality as before (value_count, place)
    left join counted
        on bins.column_name = counted.column_name and before.place = counted.bin + 1
    where bins.table_name = {name}
    window of_column as (partition by bins.column_name)

),

-- Half a row in each bin keeps an empty one from being infinitely far off.
shares as (

    select
        *,
        (n + 0.5) / (all_n + 0.5 * cells) as p,
        (m + 0.5) / (all_m + 0.5 * cells) as q
    from compared
    where all_n > 0 and all_m > 0

)

select
    %(as_of)s,
    {name},
    'psi',
    shares.column_name,
    sum((shares.p - shares.q) * ln(shares.p / shares.q)),
    0,
    case when reference.nights >= %(least)s
        then greatest(0.25, (1 / max(shares.all_n) + 1 / max(shares.all_m)) * 27.9)
    end,
    reference.nights,
    reference.as_of,
    reference.as_of
from shares
cross join reference
group by shares.column_name, reference.nights, reference.as_of
"""
