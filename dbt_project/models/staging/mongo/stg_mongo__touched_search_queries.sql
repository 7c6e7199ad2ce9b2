{{ config(post_hook=['analyze {{ this }}', "{{ note_touched('search_queries') }}"]) }}

{{ touched_rows('search_queries', 'query_id') }}
