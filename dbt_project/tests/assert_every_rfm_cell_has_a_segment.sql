-- Returns the cells of the 125 that the seed leaves out.
select
    recencies.score as recency_score,
    frequencies.score as frequency_score,
    monetaries.score as monetary_score
from generate_series(1, 5) as recencies (score)
cross join generate_series(1, 5) as frequencies (score)
cross join generate_series(1, 5) as monetaries (score)
left join {{ ref('rfm_segment_map') }} as segment_map
    on
        recencies.score = segment_map.recency_score
        and frequencies.score = segment_map.frequency_score
        and monetaries.score = segment_map.monetary_score
where segment_map.rfm_segment is null
