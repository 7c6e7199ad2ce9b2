with

sessions as (
    select
        session_id,
        anonymous_id,
        customer_id as signed_in_customer_id,
        session_start
    from {{ ref('stg_mongo__sessions') }}
    where session_start < {{ as_of_start() }}
),

-- Of two sessions that start at once, the anonymous one comes first: the sign-in is after it.
numbered as (
    select
        *,
        count(signed_in_customer_id) over cookie_time as sign_ins_so_far,
        count(signed_in_customer_id) over (partition by anonymous_id) as sign_ins
    from sessions
    where anonymous_id is not null
    window cookie_time as (
        partition by anonymous_id
        order by
            session_start,
            signed_in_customer_id collate "C" nulls first,
            session_id collate "C"
        rows unbounded preceding
    )
),

sign_ins as (
    select
        anonymous_id,
        sign_ins_so_far as sign_in_number,
        signed_in_customer_id as customer_id
    from numbered
    where signed_in_customer_id is not null
),

-- The next sign-in under the same cookie counts; where none follows, the last one before.
identified as (
    select
        numbered.session_id,
        sign_ins.customer_id
    from numbered
    inner join sign_ins
        on
            numbered.anonymous_id = sign_ins.anonymous_id
            and least(numbered.sign_ins_so_far + 1, numbered.sign_ins) = sign_ins.sign_in_number
    where numbered.signed_in_customer_id is null
),

final as (
    select
        sessions.session_id,
        coalesce(sessions.signed_in_customer_id, identified.customer_id) as customer_id,
        identified.customer_id is not null as is_identified_by_stitching,
        coalesce(
            sessions.signed_in_customer_id,
            identified.customer_id,
            'anon:' || sessions.anonymous_id,
            'session:' || sessions.session_id
        ) as visitor_id
    from sessions
    left join identified on sessions.session_id = identified.session_id
)

select * from final
