{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'product_interactions'},
    pre_hook="{{ forget_touched() }}",
    post_hook="{{ note_built() }}"
) }}

with

clean as (
    {{ clean_rows('product_interactions', ref('base_mongo__product_interactions')) }}
)

select
    source_key,
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
