"""Models: each family trains and infers by itself, from the marts, as of a date."""
