{{ config(post_hook=['analyze {{ this }}', "{{ note_touched('product_interactions') }}"]) }}

{{ touched_rows('product_interactions', 'interaction_id') }}
