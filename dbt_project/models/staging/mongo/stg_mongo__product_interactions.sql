with

clean as (
    {{ clean_rows('product_interactions', ref('base_mongo__product_interactions')) }}
)

select
    interaction_id,
    session_id,
    customer_id,
    product_id,
    interaction_type,
    product_name,
    category,
    occurred_at,
    created_at
from clean
