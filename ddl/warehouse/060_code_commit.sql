-- The git commit of the code that trained a version.
set local role amato_scientist;

alter table ml.model_versions add column code_commit text not null default 'unknown';

reset role;
