-- The night a version became champion. Scoring an older night again must take the version that
-- was champion then: a later one has learnt from days that night had not seen.
set local role amato_scientist;

alter table ml.model_versions add column promoted_as_of date;

reset role;
