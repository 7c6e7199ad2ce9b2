-- Returns sessions that staging has, that began before as_of, and that fct_sessions lacks.
select staged.session_id
from {{ ref('stg_mongo__sessions') }} as staged
left join {{ ref('fct_sessions') }} as sessions on staged.session_id = sessions.session_id
where
    sessions.session_id is null
    and staged.session_id is not null
    and staged.session_start < {{ as_of_start() }}
