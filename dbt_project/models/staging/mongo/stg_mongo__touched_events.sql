{{ config(post_hook=['analyze {{ this }}', "{{ note_touched('events') }}"]) }}

{{ touched_rows('events', 'event_id') }}
