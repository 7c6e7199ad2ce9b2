with

nights as (
    select * from {{ ref('customer_rfm_history') }}
),

previous_night as (
    select max(as_of) as as_of from nights
    where as_of < {{ as_of() }}
),

latest as (
    select * from nights
    where as_of = {{ as_of() }}
),

previous as (
    select nights.* from nights
    inner join previous_night on nights.as_of = previous_night.as_of
),

moves as (
    select
        coalesce(previous.rfm_segment, '(no purchase)') as from_segment,
        coalesce(latest.rfm_segment, '(no purchase)') as to_segment,
        count(*) as customers,
        sum(coalesce(previous.monetary_value, 0)) as previous_value,
        sum(coalesce(latest.monetary_value, 0)) as latest_value
    from previous
    full outer join latest on previous.customer_id = latest.customer_id
    group by 1, 2
),

final as (
    select
        moves.from_segment,
        moves.to_segment,
        moves.from_segment = moves.to_segment as is_unchanged,
        moves.customers,
        round(
            moves.customers / sum(moves.customers) over (partition by moves.from_segment), 6
        )::numeric(7, 6) as share_of_from_segment,
        moves.previous_value::numeric(18, 2) as previous_value,
        moves.latest_value::numeric(18, 2) as latest_value,
        previous_night.as_of as previous_as_of,
        {{ as_of() }} as as_of
    from moves
    inner join previous_night on previous_night.as_of is not null
)

select * from final
