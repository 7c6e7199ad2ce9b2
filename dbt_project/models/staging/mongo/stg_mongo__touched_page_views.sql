{{ config(post_hook=['analyze {{ this }}', "{{ note_touched('page_views') }}"]) }}

{{ touched_rows('page_views', 'view_id') }}
