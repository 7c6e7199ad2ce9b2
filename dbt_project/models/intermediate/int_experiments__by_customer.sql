with

exposures as (
    select * from {{ ref('int_experiments__exposures') }}
),

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
    where customer_id is not null and not is_bot
),

located as (
    select
        sessions.customer_id,
        exposures.test_id,
        exposures.variant,
        exposures.session_id,
        exposures.exposed_at,
        exposures.converted_at
    from exposures
    inner join sessions on exposures.session_id = sessions.session_id
),

-- A customer with two browsers may be in a test twice: the first exposure says the variant.
ranked as (
    select
        *,
        bool_or(converted_at is not null) over customer_test as is_converted,
        row_number() over (
            partition by customer_id, test_id order by exposed_at, session_id collate "C"
        ) as exposure_rank
    from located
    window customer_test as (partition by customer_id, test_id)
),

final as (
    select
        customer_id,
        test_id,
        variant,
        exposed_at,
        is_converted
    from ranked
    where exposure_rank = 1
)

select * from final
