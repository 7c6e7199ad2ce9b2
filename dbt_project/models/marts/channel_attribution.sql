with

by_channel as (
    select * from {{ ref('int_attribution__by_channel') }}
),

final as (
    select
        channel,
        touches,
        orders_last_touch,
        revenue_first_touch::numeric(18, 2) as revenue_first_touch,
        revenue_last_touch::numeric(18, 2) as revenue_last_touch,
        revenue_linear::numeric(18, 2) as revenue_linear,
        revenue_position_based::numeric(18, 2) as revenue_position_based,
        revenue_time_decay::numeric(18, 2) as revenue_time_decay,
        revenue_{{ var('attribution_model') }}::numeric(18, 2) as attributed_revenue,
        (
            revenue_{{ var('attribution_model') }}
            / nullif(sum(revenue_{{ var('attribution_model') }}) over (), 0)
        )::numeric(18, 10) as attributed_share,
        {{ as_of() }} as as_of
    from by_channel
)

select * from final
