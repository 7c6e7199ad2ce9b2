-- Returns versions that begin before the customer's version before them has ended.
with

versions as (
    select
        customer_id,
        valid_from,
        lag(valid_to, 1, valid_from) over customer_time as previous_valid_to
    from {{ ref('dim_customers') }}
    window customer_time as (partition by customer_id order by valid_from)
)

select
    customer_id,
    valid_from,
    previous_valid_to
from versions
where previous_valid_to is null or previous_valid_to > valid_from
