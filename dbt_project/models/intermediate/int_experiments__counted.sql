with

tests as (
    select * from {{ ref('stg_postgres__ab_tests') }}
    where test_id is not null
),

-- The same figures reported twice are one report; other variants than A and B are not compared.
reports as (
    select distinct
        test_id,
        variant,
        impressions,
        clicks,
        conversions,
        revenue
    from {{ ref('stg_postgres__ab_test_results') }}
    where variant in ('A', 'B')
),

-- Which of two contradicting reports is right, nobody knows: then there are no figures.
variants as (
    select
        tests.test_id,
        sides.variant,
        count(reports.test_id) as reports,
        case when count(*) = 1 then max(reports.impressions) end as impressions,
        case when count(*) = 1 then max(reports.clicks) end as clicks,
        case when count(*) = 1 then max(reports.conversions) end as conversions,
        case when count(*) = 1 then max(reports.revenue) end as revenue
    from tests
    cross join (values ('A'), ('B')) as sides (variant)
    left join reports
        on
            tests.test_id = reports.test_id
            and sides.variant = reports.variant
    group by tests.test_id, sides.variant
),

judged as (
    select
        *,
        case
            when reports = 0 then 'has no results'
            when reports > 1 then 'is reported more than once, with different figures'
            when impressions is null then 'has no number of impressions'
            when conversions is null then 'has no number of conversions'
            when impressions < 0 or conversions < 0 or conversions > impressions
                then 'has impossible figures'
            when impressions = 0 then 'was never shown'
        end as problem
    from variants
),

paired as (
    select
        test_id,
        {% for variant in ['a', 'b'] %}
            {% for figure in ['impressions', 'clicks', 'conversions', 'revenue', 'problem'] %}
                max({{ figure }}) filter (
                    where variant = '{{ variant | upper }}'
                ) as variant_{{ variant }}_{{ figure }},
            {% endfor %}
        {% endfor %}
        count(*) as variants
    from judged
    group by test_id
),

final as (
    select
        test_id,
        variant_a_impressions,
        variant_a_clicks,
        variant_a_conversions,
        variant_a_revenue,
        variant_b_impressions,
        variant_b_clicks,
        variant_b_conversions,
        variant_b_revenue,
        variant_a_problem is null and variant_b_problem is null as has_figures,
        case
            when variant_a_problem is not null or variant_b_problem is not null
                then concat_ws(
                    ' and ',
                    'variant A ' || variant_a_problem,
                    'variant B ' || variant_b_problem
                )
            when variant_a_conversions + variant_b_conversions = 0
                then 'nobody converted in either variant'
            when variant_a_conversions = 0 then 'nobody converted in variant A'
            when variant_b_conversions = 0 then 'nobody converted in variant B'
            when
                variant_a_conversions = variant_a_impressions
                and variant_b_conversions = variant_b_impressions
                then 'everybody converted in both variants'
        end as not_computable_because
    from paired
)

select * from final
